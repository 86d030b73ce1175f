"""Orders that may still trade, and how often orders were sent: what the gate needs, by one query."""

import time as wall
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache, partial
from typing import Any, Final
from uuid import UUID

from django.db import transaction

from apps.core.kept import Kept
from apps.core.postgres.base import Question
from apps.core.postgres.rows import BETWEEN, LINE, fetch
from apps.core.trading import OrderIntent, OrderType, Side, TimeInForce, WorkingOrder
from apps.execution.domain.states import MESSAGES, OrderEventKind
from apps.execution.models.orders import ENDED, Order
from apps.execution.selectors.order_memory import COLUMNS, OrderMemory, OrderRates, order_lines
from apps.marketdata.selectors.market import MARKET_TIME

#: How far back orders are counted, and looked through for the same order.
LOOK_BACK = timedelta(minutes=1)
#: Symbols and currencies are read again after so many seconds: an instrument may be renamed without an order.
KEPT_SECONDS: Final = 30.0
# In SQL, not by the ORM: each order asks these, and building the queries costs Django more than the database needs to answer them.
# In sub-selects: so PostgreSQL expects as many rows before it knows the portfolio and the revision as when it knows them, and plans once.
_OF_PORTFOLIO = "o.portfolio_id = (select %(portfolio)s::bigint)"
_MAY_TRADE = f"""{_OF_PORTFOLIO} and not (o.status in ({", ".join(f"'{status}'" for status in ENDED)}))
    and o.quantity > o.cumulative_quantity"""
_LINES = f"""
select string_agg(concat_ws(%(between)s, {COLUMNS}), %(line)s) from execution_order o where """  # noqa: S608 - fixed texts
# What a working parent has not sent yet: its quantity less what its children have traded and may still trade. A paused one holds nothing
# back: in a halt the desk must be able to leave.
_UNSENT = f"""
select string_agg(concat_ws(%(between)s, -a.id, a.client_order_id, a.instrument_id, i.symbol, a.side, a.quantity - child.taken,
    case when a.limit_price is null then 'market' else 'limit' end, coalesce(a.limit_price::text, ''), a.book_id, i.currency), %(line)s order by a.id)
from execution_algoorder a join marketdata_instrument i on i.id = a.instrument_id, lateral (
    select coalesce(sum(case when o.status in ({", ".join(f"'{status}'" for status in ENDED)}) then o.cumulative_quantity
        else o.quantity end), 0) as taken
    from execution_order o where o.algo_id = a.id) child
where a.portfolio_id = %(portfolio)s and a.status = 'working' and a.id is distinct from %(algo)s and a.quantity > child.taken
"""  # noqa: S608 - the list is that of the partial index
_STRANGERS = """
select count(*) from execution_reconciliationbreak b
where b.portfolio_id = %(portfolio)s and b.halts and not exists (select from execution_breakresolution r where r.found_id = b.id)
"""
# What was asked of brokers since a moment, from the partial index of messages. Between two bounds PostgreSQL expects few of them. The changes of the
# portfolio's orders are counted beside its orders; all messages only where the desk limits them.
_SINCE = "e.recorded_at > %(since)s and e.recorded_at < %(since)s::timestamptz + interval '1 day'"
_CHANGES = f"""
select string_agg((
    select concat_ws(%(between)s, o.instrument_id, o.strategy) from execution_order o where o.id = e.order_id and {_OF_PORTFOLIO}), %(line)s)
from execution_orderevent e where e.kind = '{OrderEventKind.PENDING_REPLACE}' and {_SINCE}
"""  # noqa: S608 - made of fixed texts
_DESK_MESSAGES = f"""
case when exists (
    select from risk_desklimit d where d.kind = 'order_rate' and d.active_from <= %(at)s and (d.active_to is null or d.active_to > %(at)s))
then (select count(*) from execution_orderevent e where e.kind in ({", ".join(f"'{kind}'" for kind in MESSAGES)}) and {_SINCE}) else 0 end
"""  # noqa: S608 - made of fixed texts
# The market's time; the strangers; the unsent parents; check figures of the orders that may trade; the newest revision; lines of orders; changes; the
# desk's messages.
_SURROUNDINGS = f"""
select {MARKET_TIME}, ({_STRANGERS}), ({_UNSENT}), figures.many, figures.revisions,
    {{newest}}, ({_LINES} {{which}}), ({_CHANGES}), {_DESK_MESSAGES}
from (select count(*) as many, coalesce(sum(o.revision), 0) as revisions from execution_order o where {_MAY_TRADE}) figures
"""  # noqa: S608 - made of fixed texts
_ANEW: Final = _SURROUNDINGS.format(
    newest="(select coalesce(max(revision), 0) from execution_order where portfolio_id = %(portfolio)s)",
    which=f"({_MAY_TRADE}) or ({_OF_PORTFOLIO} and o.created_at > %(since)s)",
)
# Between two bounds PostgreSQL expects few changes.
_CHANGED: Final = _SURROUNDINGS.format(
    newest="%(seen)s::bigint",
    which=f"""{_OF_PORTFOLIO} and o.revision > (select %(seen)s::bigint)
        and o.revision < (select %(seen)s::bigint) + 1000000000000""",
)
_memories: Kept[int, OrderMemory] = Kept(most=64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the gate looks at around one order: the market's time, how often orders were sent, and which ones may still trade beside it.

    `working` are the portfolio's working orders, oldest first, and then what its working parents have not sent yet, each like one order
    whose id is minus the parent's. `strangers` is how many orders and executions the broker has that the desk does not know, and that nobody
    has explained yet. `desk_messages` is what the whole desk has asked of its brokers in the last minute, cancels too; 0 where it does not
    limit that.
    """

    market_time: datetime
    rates: OrderRates
    working: tuple[WorkingOrder, ...]
    strangers: int
    desk_messages: int


def working_orders(portfolio_id: int) -> tuple[WorkingOrder, ...]:
    """The portfolio's working orders, oldest first."""
    ((lines,),) = fetch(f"{_LINES} {_MAY_TRADE}", {"portfolio": portfolio_id, "between": BETWEEN, "line": LINE})
    found = sorted(order_lines(lines), key=lambda line: line.order_id)
    return tuple(line.working for line in found if line.working is not None)


def orders_ahead(portfolio_id: int) -> tuple[WorkingOrder, ...]:
    """The same, and what working parents have not sent yet, each like one order whose id is minus the parent's."""
    ((lines,),) = fetch(f"select ({_UNSENT})", {"portfolio": portfolio_id, "algo": None, "between": BETWEEN, "line": LINE})
    return working_orders(portfolio_id) + (tuple(map(_unsent, lines.split(LINE))) if lines else ())


def group_order_ids(group_id: int | None) -> tuple[int, ...]:
    """The orders of a bracket or an OCO pair; none, and no query, for an order that belongs to no group."""
    return () if group_id is None else tuple(Order.objects.filter(group_id=group_id).values_list("id", flat=True))


def surroundings_of(*, intent: OrderIntent, at: datetime, instead_of: Collection[int], algo_id: int | None) -> Surroundings:
    """The market's time at `at` (wall time), how many orders were sent in the minute before, whether this one is one of them again, what stands
    against opening anything, and what may trade beside it. `instead_of` and the parent `algo_id` are not counted. One query, as a rule."""
    since = at - LOOK_BACK
    known = _memory(intent.portfolio_id)
    row = fetch(*_question(known, intent.portfolio_id, at=at, algo_id=algo_id))[0]
    memory = _remembered(known or OrderMemory(), row, older_than=since)
    if memory.figures != tuple(row[3:5]) and known is not None:
        row = fetch(*_question(None, intent.portfolio_id, at=at, algo_id=algo_id))[0]
        memory = _remembered(OrderMemory(), row, older_than=since)
    if memory is not known:
        # When the transaction that has read it commits: what it has written itself may still be taken back.
        transaction.on_commit(partial(_memories.put, intent.portfolio_id, memory))
    market_time, strangers, unsent = row[:3]
    changes, desk_messages = row[7:]
    working = tuple(order for order in memory.working if order.order_id not in instead_of) if instead_of else memory.working
    return Surroundings(
        market_time=market_time,
        rates=memory.rates(
            intent,
            at=at,
            since=since,
            market_time=market_time,
            instead_of=instead_of,
            algo_id=algo_id,
            changes=[_change(line) for line in changes.split(LINE)] if changes else (),
        ),
        working=working + tuple(map(_unsent, unsent.split(LINE))) if unsent else working,
        strangers=strangers,
        desk_messages=desk_messages,
    )


def surroundings_question(intent: OrderIntent, *, at: datetime, algo_id: int | None) -> Question:
    """What `surroundings_of` asks first, for `asked_together`."""
    return _question(_memory(intent.portfolio_id), intent.portfolio_id, at=at, algo_id=algo_id)


def _memory(portfolio_id: int) -> OrderMemory | None:
    known = _memories.get(portfolio_id)
    return None if known is None or wall.monotonic() - known.read_at > KEPT_SECONDS else known


def _question(known: OrderMemory | None, portfolio_id: int, *, at: datetime, algo_id: int | None) -> Question:
    values = {"portfolio": portfolio_id, "at": at, "since": at - LOOK_BACK, "algo": algo_id, "between": BETWEEN, "line": LINE}
    return (_ANEW, values) if known is None else (_CHANGED, {**values, "seen": known.newest})


def _remembered(known: OrderMemory, row: tuple[Any, ...], *, older_than: datetime) -> OrderMemory:
    lines = order_lines(row[6])
    newest = max((line.revision for line in lines), default=0)
    return known.with_changes(lines, newest=max(newest, row[5]), older_than=older_than, read_at=known.read_at or wall.monotonic())


def _change(line: str) -> tuple[int, str]:
    instrument, strategy = line.split(BETWEEN)
    return int(instrument), strategy


@lru_cache(maxsize=256)
def _unsent(line: str) -> WorkingOrder:
    pk, client_id, instrument, symbol, side, leaves, order_type, limit, book, currency = line.split(BETWEEN)
    return WorkingOrder(
        order_id=int(pk),
        client_order_id=UUID(client_id),
        instrument_id=int(instrument),
        symbol=symbol,
        side=Side(side),
        leaves=Decimal(leaves),
        order_type=OrderType(order_type),
        time_in_force=TimeInForce.DAY,
        limit_price=Decimal(limit) if limit else None,
        stop_price=None,
        book_id=int(book),
        currency=currency,
    )
