"""Orders that may still trade, and how often orders were sent: what the gate needs, by one query."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Final
from uuid import UUID

from django.db import connection

from apps.core.trading import OrderIntent, OrderType, Side, TimeInForce, WorkingOrder
from apps.execution.domain.states import OrderStatus
from apps.execution.models.orders import ENDED, Order
from apps.marketdata.selectors.market import MARKET_TIME

#: Between the values of an order's line, and between the lines: in no symbol, currency or number.
_BETWEEN: Final = "\x1f"
_LINE: Final = "\x1e"
# In SQL, not by the ORM: each order asks these, and building the queries costs Django more than the database needs to answer them.
# One line of text an order: a hundred rows of twelve columns cost an order more than all queries, and a line that was read before says what it
# said then.
_WORKING = f"""
select o.id, concat_ws(%(between)s, o.id, o.client_order_id, o.instrument_id, i.symbol, o.side, o.quantity - o.cumulative_quantity, o.order_type,
    o.time_in_force, coalesce(o.limit_price::text, ''), coalesce(o.stop_price::text, ''), o.book_id, i.currency) as line
from execution_order o join marketdata_instrument i on i.id = o.instrument_id
where o.portfolio_id = %(portfolio)s and not (o.status in ({", ".join(f"'{status}'" for status in ENDED)}))
    and o.quantity > o.cumulative_quantity and not o.id = any(%(instead_of)s)
"""  # noqa: S608 - the list is that of the partial index
# What a working parent has not sent yet: its quantity less what its children have traded and may still trade. A paused one holds nothing
# back: in a halt the desk must be able to leave.
_UNSENT = f"""
select -a.id, concat_ws(%(between)s, -a.id, a.client_order_id, a.instrument_id, i.symbol, a.side, a.quantity - child.taken,
    case when a.limit_price is null then 'market' else 'limit' end, 'day', coalesce(a.limit_price::text, ''), '', a.book_id, i.currency)
from execution_algoorder a join marketdata_instrument i on i.id = a.instrument_id, lateral (
    select coalesce(sum(case when o.status in ({", ".join(f"'{status}'" for status in ENDED)}) then o.cumulative_quantity
        else o.quantity end), 0) as taken
    from execution_order o where o.algo_id = a.id) child
where a.portfolio_id = %(portfolio)s and a.status = 'working' and a.id is distinct from %(algo)s and a.quantity > child.taken
"""  # noqa: S608 - the same list
# An identical order is one of the same terms in the same portfolio, so in the same account. It is as old as the larger of two distances, in
# wall time and in market time: a replay shows many sessions in a second. Children of one parent repeat themselves, and may.
_RATES = """
select count(*), count(*) filter (where instrument_id = %(instrument)s), count(*) filter (where strategy = %(strategy)s and strategy <> ''),
    min(greatest(abs(extract(epoch from %(at)s - created_at)), coalesce(abs(extract(epoch from (select now from clock) - market_time)), 0)))
        filter (where instrument_id = %(instrument)s and side = %(side)s and quantity = %(quantity)s and order_type = %(order_type)s
            and time_in_force = %(time_in_force)s and limit_price is not distinct from %(limit_price)s
            and stop_price is not distinct from %(stop_price)s and trail_offset is not distinct from %(trail_offset)s
            and client_order_id <> %(client_order_id)s and not id = any(%(instead_of)s)
            and (algo_id is null or algo_id is distinct from %(algo)s)), (
    select count(*) from execution_reconciliationbreak b
    where b.portfolio_id = %(portfolio)s and b.halts and not exists (select from execution_breakresolution r where r.found_id = b.id)
)
from execution_order where portfolio_id = %(portfolio)s and created_at > %(since)s and status <> %(denied)s
"""
# The market's time; the rates; the orders that may still trade oldest first, then the parents, null without any.
_SURROUNDINGS = f"""
with clock as materialized (select {MARKET_TIME} as now)
select (select now from clock), rates.*,
    (select string_agg(beside.line, %(line)s order by beside.id < 0, abs(beside.id)) from (({_WORKING}) union all ({_UNSENT})) beside)
from ({_RATES}) rates
"""  # noqa: S608 - made of fixed texts
#: How far back orders are counted, and looked through for the same order.
LOOK_BACK = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRates:
    """Orders sent in the last minute: of the whole portfolio, of one instrument in it, of one strategy. Denied ones were never sent.

    `identical_age` is how many seconds ago the same order was sent under another id, None if it was not. `strangers` is how many orders and
    executions the broker has that the desk does not know, and that nobody has explained yet.
    """

    portfolio: int
    instrument: int
    strategy: int
    identical_age: Decimal | None
    strangers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the gate looks at around one order: the market's time, how often orders were sent, and which ones may still trade beside it.

    `working` are the portfolio's working orders, oldest first, and then what its working parents have not sent yet, each like one order
    whose id is minus the parent's.
    """

    market_time: datetime
    rates: OrderRates
    working: tuple[WorkingOrder, ...]


def working_orders(portfolio_id: int) -> tuple[WorkingOrder, ...]:
    """The portfolio's working orders, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(f"{_WORKING} order by o.id", {"portfolio": portfolio_id, "instead_of": [], "between": _BETWEEN})
        return tuple(_working_order(line) for _, line in cursor.fetchall())


@lru_cache(maxsize=64)
def _working_orders(lines: str) -> tuple[WorkingOrder, ...]:
    """The orders of some lines: nothing but the text counts, so the same text needs no second reading."""
    return tuple(map(_working_order, lines.split(_LINE)))


@lru_cache(maxsize=4096)
def _working_order(line: str) -> WorkingOrder:
    pk, client_id, instrument, symbol, side, leaves, order_type, time_in_force, limit, stop, book, currency = line.split(_BETWEEN)
    return WorkingOrder(
        order_id=int(pk),
        client_order_id=UUID(client_id),
        instrument_id=int(instrument),
        symbol=symbol,
        side=Side(side),
        leaves=Decimal(leaves),
        order_type=OrderType(order_type),
        time_in_force=TimeInForce(time_in_force),
        limit_price=Decimal(limit) if limit else None,
        stop_price=Decimal(stop) if stop else None,
        book_id=int(book),
        currency=currency,
    )


def group_order_ids(group_id: int | None) -> tuple[int, ...]:
    """The orders of a bracket or an OCO pair; none, and no query, for an order that belongs to no group."""
    return () if group_id is None else tuple(Order.objects.filter(group_id=group_id).values_list("id", flat=True))


def surroundings_of(*, intent: OrderIntent, at: datetime, instead_of: Collection[int], algo_id: int | None) -> Surroundings:
    """The market's time at `at` (wall time), how many orders were sent in the minute before, whether this one is one of them again, what stands
    against opening anything, and what may trade beside it. `instead_of` and the parent `algo_id` are not counted. One query."""
    values = {name: getattr(intent, name) for name in ("quantity", "limit_price", "stop_price", "trail_offset", "client_order_id", "strategy")}
    values |= {name: getattr(intent, name).value for name in ("side", "order_type", "time_in_force")}
    values |= {"portfolio": intent.portfolio_id, "instrument": intent.instrument_id, "at": at, "since": at - LOOK_BACK}
    values |= {"denied": OrderStatus.DENIED.value, "instead_of": list(instead_of), "algo": algo_id, "between": _BETWEEN, "line": _LINE}
    with connection.cursor() as cursor:
        cursor.execute(_SURROUNDINGS, values)
        market_time, portfolio, instrument, strategy, age, strangers, lines = cursor.fetchone()
    return Surroundings(
        market_time=market_time,
        rates=OrderRates(portfolio=portfolio, instrument=instrument, strategy=strategy, identical_age=age, strangers=strangers),
        working=_working_orders(lines) if lines else (),
    )
