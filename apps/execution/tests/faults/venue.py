"""A venue for tests that is a `Broker` and keeps a book of its own, as a broker behind a line would.

It takes whatever it is sent, twice if it is sent twice, and counts that. Its answers get lost before or after it has acted.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from apps.core.money import ZERO
from apps.core.trading import OrderType
from apps.execution.brokers.protocol import BrokerOrder, BrokerTimeout, BrokerUnreachable, Execution, ExecutionReport
from apps.execution.domain.states import OrderEventKind

FEE = Decimal("1.25")


@dataclass(slots=True)
class VenueOrder:
    """An order as the venue has it. `end` says how it ended, None while it works."""

    order: BrokerOrder
    executions: list[Execution] = field(default_factory=list)
    end: OrderEventKind | None = None
    changes: int = 0

    @property
    def filled(self) -> Decimal:
        return sum((one.quantity for one in self.executions), ZERO)

    @property
    def left(self) -> Decimal:
        return self.order.quantity - self.filled

    @property
    def works(self) -> bool:
        return self.end is None and self.left > ZERO


class Venue:
    """`trouble` is asked at each call: "" (answer), "away" (not reached), "lost" (not reached, and nobody knows), "silent" (done, and nobody knows).

    `around` is called with each call's name and its work, so that a process can die on either side of it. `depth` is what one price trades
    of an order at most.
    """

    name = "paper"

    def __init__(self, *, trouble: Callable[[], str], around: Callable[[str, Callable[[], object]], object]) -> None:
        self.book: dict[str, VenueOrder] = {}
        self.arrived: list[str] = []
        self.price = Decimal(100)
        self.depth = Decimal(1000)
        self._trouble, self._around = trouble, around

    # What the desk calls.

    def submit(self, order: BrokerOrder) -> tuple[ExecutionReport, ...]:
        return self._called("submit", order, lambda: self._take(order))

    def cancel(self, order: BrokerOrder) -> tuple[ExecutionReport, ...]:
        return self._called("cancel", order, lambda: self._cancel(order))

    def replace(self, order: BrokerOrder, changed: BrokerOrder) -> tuple[ExecutionReport, ...]:
        return self._called("replace", order, lambda: self._change(order, changed))

    def lookup(self, order: BrokerOrder) -> tuple[ExecutionReport, ...]:
        return self._called("lookup", order, lambda: self.story(order))

    def _called(self, name: str, order: BrokerOrder, act: Callable[[], tuple[ExecutionReport, ...]]) -> tuple[ExecutionReport, ...]:
        def answer() -> tuple[ExecutionReport, ...]:
            trouble = self._trouble()
            if trouble == "away":
                raise BrokerUnreachable(f"nobody listens ({name})")
            if trouble == "lost":
                raise BrokerTimeout(f"no answer to {name}")
            reports = act()
            if trouble == "silent":
                raise BrokerTimeout(f"no answer to {name}")
            return reports

        return self._around(f"{name} at the venue", answer)  # type: ignore[return-value]

    # The venue.

    def move(self, price: Decimal) -> None:
        """The market moves; what works meets it."""
        self.price = price
        for known in self.book.values():
            self._match(known)

    def expire(self, reference: str) -> None:
        """The order's time is over, if the venue has it and it works."""
        known = self.book.get(reference)
        if known is not None and known.works:
            known.end = OrderEventKind.EXPIRED

    def story(self, order: BrokerOrder) -> tuple[ExecutionReport, ...]:
        """All that has happened to the order, in an order in which it can have happened to the desk's `order`."""
        known = self.book.get(order.reference)
        if known is None:
            return (ExecutionReport(kind=OrderEventKind.REJECTED, reason="the venue has never had it"),)
        trades = [ExecutionReport(kind=OrderEventKind.TRADE, execution=one) for one in known.executions]
        changed = (known.order.quantity, known.order.limit_price) != (order.quantity, order.limit_price)
        change = [ExecutionReport(kind=OrderEventKind.REPLACED)] if changed else []
        middle = [*change, *trades] if known.order.quantity > order.quantity else [*trades, *change]
        end = [ExecutionReport(kind=known.end)] if known.end is not None and known.left else []
        return (ExecutionReport(kind=OrderEventKind.NEW), *middle, *end)

    @property
    def duplicates(self) -> dict[str, int]:
        """References that arrived as a new order more than once."""
        return {reference: n for reference, n in Counter(self.arrived).items() if n > 1}

    def position(self) -> Decimal:
        return sum((one.quantity * known.order.side.sign for known in self.book.values() for one in known.executions), ZERO)

    def spent(self) -> Decimal:
        """Money that went out, fees included."""
        rows = [(known.order.side.sign, one) for known in self.book.values() for one in known.executions]
        return sum((sign * one.quantity * one.price + one.fee for sign, one in rows), ZERO)

    def _take(self, order: BrokerOrder) -> tuple[ExecutionReport, ...]:
        self.arrived.append(order.reference)
        known = self.book[order.reference] = VenueOrder(order)
        self._match(known)
        if known.works and order.time_in_force.is_immediate:
            known.end = OrderEventKind.CANCELED
        return self.story(order)

    def _cancel(self, order: BrokerOrder) -> tuple[ExecutionReport, ...]:
        known = self.book.get(order.reference)
        if known is None or not known.works:
            told = self.story(order)
            refused = ExecutionReport(kind=OrderEventKind.CANCEL_REJECT, reason="nothing is left to cancel")
            return told if known is None or known.left else (*told, refused)
        known.end = OrderEventKind.CANCELED
        return self.story(order)

    def _change(self, order: BrokerOrder, changed: BrokerOrder) -> tuple[ExecutionReport, ...]:
        known = self.book.get(order.reference)
        if known is None or not known.works:
            return (*self.story(order), ExecutionReport(kind=OrderEventKind.REPLACE_REJECT, reason="nothing is left to change"))
        known.order = replace(known.order, quantity=max(changed.quantity, known.filled), limit_price=changed.limit_price)
        known.changes += 1
        answer = self.story(order)
        self._match(known)
        return answer

    def _match(self, known: VenueOrder) -> None:
        order = known.order
        if not known.works or (order.order_type is OrderType.LIMIT and (self.price - (order.limit_price or ZERO)) * order.side.sign > 0):
            return
        execution = Execution(
            execution_id=f"{order.reference}/{len(known.executions)}",
            quantity=min(known.left, self.depth),
            price=self.price,
            fee=FEE,
            market_time=MARKET_TIME,
        )
        known.executions.append(execution)


MARKET_TIME = datetime.fromisoformat("2024-07-02T16:00:00+00:00")
