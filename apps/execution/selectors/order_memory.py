"""What a process remembers of a portfolio's orders, so that an order that waits asks only for what has changed since.

Every write of an order gives its row the next `revision` of one sequence, by a trigger. Orders of a portfolio are written under its lock, so
their revisions grow from one commit to the next. What a transaction has read is kept when it commits: nothing in here was ever taken back.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

from apps.core.postgres.rows import BETWEEN, LINE
from apps.core.trading import OrderIntent, OrderType, Side, TimeInForce, WorkingOrder
from apps.execution.domain.states import TERMINAL_STATUSES, OrderStatus

#: The columns of a line, of `execution_order o`, in the order in which `order_lines` takes them. One text an order:
#: a hundred rows of twenty columns cost an order more than all queries.
COLUMNS: Final = """o.id, o.revision, o.status, o.client_order_id, o.instrument_id,
    (select concat_ws(%(between)s, i.symbol, i.currency) from marketdata_instrument i where i.id = o.instrument_id),
    o.side, o.quantity, o.cumulative_quantity, o.order_type, o.time_in_force, coalesce(o.limit_price::text, ''), coalesce(o.stop_price::text, ''),
    coalesce(o.trail_offset::text, ''), o.book_id, o.strategy, coalesce(o.algo_id::text, ''), o.created_at, coalesce(o.market_time::text, '')"""
_MICROSECONDS: Final = Decimal(1_000_000)

Terms = tuple[Side, Decimal, OrderType, TimeInForce, Decimal | None, Decimal | None, Decimal | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRates:
    """Orders and changes of orders sent in the last minute: of the whole portfolio, of one instrument in it, of one strategy in it. Denied ones were
    never sent.

    `identical_age` is how many seconds ago the same order was sent under another id, None if it was not.
    """

    portfolio: int
    instrument: int
    strategy: int
    identical_age: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLine:
    """One order as it stood at a revision. `working` is None where it cannot trade any more, `sent` False for one that was denied."""

    order_id: int
    revision: int
    client_order_id: UUID
    instrument_id: int
    terms: Terms
    strategy: str
    algo_id: int | None
    created_at: datetime
    market_time: datetime | None
    sent: bool
    working: WorkingOrder | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderMemory:
    """The orders of a portfolio that may trade and those of the last minutes, up to the revision `newest`. `working` are the first, oldest first.
    When there are more than `most` lines, those of long ago are left out."""

    orders: Mapping[int, OrderLine] = field(default_factory=dict)
    working: tuple[WorkingOrder, ...] = ()
    revisions: int = 0
    newest: int = 0
    read_at: float = 0.0
    most: int = 256

    @property
    def figures(self) -> tuple[int, int]:
        """How many orders may trade, and the sum of their revisions: as the database computes them."""
        return len(self.working), self.revisions

    def with_changes(self, changed: Iterable[OrderLine], *, newest: int, older_than: datetime, read_at: float) -> "OrderMemory":
        """The memory brought up to `newest`; what has ended and was made before `older_than` may be forgotten. Nothing of this one is changed: other
        threads may be reading it."""
        lines = {line.order_id: line for line in changed}
        if not lines and self.read_at:
            return self
        moved = any(line.working is not None or _works(self.orders.get(key)) for key, line in lines.items())
        orders, most = {**self.orders, **lines}, self.most
        if len(orders) > most:
            orders = {key: line for key, line in orders.items() if line.working is not None or line.created_at > older_than}
            most = max(most, len(orders) + len(orders) // 2)
        working, revisions = self.working, self.revisions
        if moved:
            working = tuple(line.working for _, line in sorted(orders.items()) if line.working is not None)
            revisions = sum(orders[order.order_id].revision for order in working)
        return OrderMemory(orders=orders, working=working, revisions=revisions, newest=newest, read_at=read_at, most=most)

    def rates(
        self,
        intent: OrderIntent,
        *,
        at: datetime,
        since: datetime,
        market_time: datetime,
        instead_of: Collection[int],
        algo_id: int | None,
        changes: Collection[tuple[int, str]] = (),
    ) -> OrderRates:
        """Orders made after `since`, with the `changes` asked for since then (instrument and strategy of each). An identical order is one of the
        same terms in the same portfolio, so in the same account. It is as old as the larger of two distances, in wall time and in market time: a
        replay shows many sessions in a second. Children of one parent repeat themselves, and may."""
        recent = [line for line in self.orders.values() if line.created_at > since and line.sent]
        same = [line for line in recent if line.instrument_id == intent.instrument_id]
        terms = terms_of(intent)
        ages = [
            _age(line, at, market_time)
            for line in same
            if line.terms == terms
            and line.client_order_id != intent.client_order_id
            and line.order_id not in instead_of
            and (line.algo_id is None or line.algo_id != algo_id)
        ]
        return OrderRates(
            portfolio=len(recent) + len(changes),
            instrument=len(same) + sum(instrument == intent.instrument_id for instrument, _ in changes),
            strategy=_of_strategy(intent.strategy, [*(line.strategy for line in recent), *(name for _, name in changes)]),
            identical_age=min(ages, default=None),
        )


def terms_of(intent: OrderIntent) -> Terms:
    """What two identical orders have in common beside the instrument."""
    return (
        intent.side,
        intent.quantity,
        intent.order_type,
        intent.time_in_force,
        intent.limit_price,
        intent.stop_price,
        intent.trail_offset,
    )


def order_lines(text: str | None) -> list[OrderLine]:
    """The orders of the lines that `COLUMNS` makes; none without a text."""
    return [_order_line(line.split(BETWEEN)) for line in text.split(LINE)] if text else []


def _order_line(values: list[str]) -> OrderLine:
    order_id, revision, status, client_id, instrument, symbol, currency, side, quantity, done, kind, tif, *rest = values
    limit, stop, trail, book, strategy, algo, created_at, market_time = rest
    terms: Terms = (Side(side), Decimal(quantity), OrderType(kind), TimeInForce(tif), _price(limit), _price(stop), _price(trail))
    leaves = terms[1] - Decimal(done)
    client_order_id, instrument_id = UUID(client_id), int(instrument)
    working = None
    if status not in TERMINAL_STATUSES and leaves > 0:
        working = WorkingOrder(
            order_id=int(order_id),
            client_order_id=client_order_id,
            instrument_id=instrument_id,
            symbol=symbol,
            side=terms[0],
            leaves=leaves,
            order_type=terms[2],
            time_in_force=terms[3],
            limit_price=terms[4],
            stop_price=terms[5],
            book_id=int(book),
            currency=currency,
        )
    return OrderLine(
        order_id=int(order_id),
        revision=int(revision),
        client_order_id=client_order_id,
        instrument_id=instrument_id,
        terms=terms,
        strategy=strategy,
        algo_id=int(algo) if algo else None,
        created_at=datetime.fromisoformat(created_at),
        market_time=datetime.fromisoformat(market_time) if market_time else None,
        sent=status != OrderStatus.DENIED,
        working=working,
    )


def _of_strategy(strategy: str, names: Sequence[str]) -> int:
    """An order by hand is of no strategy."""
    return names.count(strategy) if strategy else 0


def _price(text: str) -> Decimal | None:
    return Decimal(text) if text else None


def _works(line: OrderLine | None) -> bool:
    return line is not None and line.working is not None


def _age(line: OrderLine, at: datetime, market_time: datetime) -> Decimal:
    """Seconds, with six places."""
    apart = abs(at - line.created_at)
    if line.market_time is not None:
        apart = max(apart, abs(market_time - line.market_time))
    return (Decimal(apart.days * 86_400 + apart.seconds) * _MICROSECONDS + apart.microseconds) / _MICROSECONDS
