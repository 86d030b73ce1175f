"""The paper broker: fills through the desk's one matching function, with slippage and one commission per order.

A buy trades at the ask and a sale at the bid where a feed says them, else at the last price; stops are triggered by the last price. Each is
matched as a bar of one price, so that a stop or a limit means here what it means in a backtest. The broker keeps nothing of its own: the
order's row is its book, and execution ids follow from it, so that doing the same again does nothing twice.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from hashlib import sha256

from apps.core.money import ZERO, price_from_float
from apps.core.trading import OrderType, TimeInForce
from apps.execution.brokers.protocol import (
    BrokerOrder,
    BrokerStatement,
    BrokerUnreachable,
    DisplayedPrice,
    Execution,
    ExecutionReport,
    MarketPrice,
)
from apps.execution.domain.amounts import trimmed
from apps.execution.domain.states import OrderEventKind
from apps.strategies.domain.matching import FillAt, OrderTypeCode, TifCode, match

PAPER = "paper"
#: Of a share, as the ledger counts them.
SMALLEST_FRACTION = Decimal("0.000001")
#: How the matching function knows an order: a trailing stop is a stop whose price moves, the close trades as the market does.
_CODES = {
    **{kind: OrderTypeCode[kind.name] for kind in OrderType if kind.name in OrderTypeCode.__members__},
    OrderType.TRAILING_STOP: OrderTypeCode.STOP,
    OrderType.MARKET_ON_CLOSE: OrderTypeCode.MARKET,
}
#: The end of a day or of a good-till-date order is known to whoever knows the session, not to the matching.
_TIF_CODES = {**{tif: TifCode[tif.name] for tif in TimeInForce if tif.name in TifCode.__members__}, TimeInForce.GTD: TifCode.GTC}


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperCosts:
    """`slippage_bps` makes market and stop fills worse (1 bp = 1e-4); `commission` is charged once per order, with its first fill."""

    slippage_bps: Decimal
    commission: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperFaults:
    """What goes wrong on purpose: with `latency` an order rests until its caller says that it has passed, and of all orders the fraction
    `reject_share` is rejected. Which ones follows from `seed` and the client order id alone, so that a replay sees the same."""

    latency: timedelta = timedelta(0)
    reject_share: Decimal = ZERO
    seed: int = 0

    def rejects(self, client_order_id: str) -> bool:
        """Whether an order is one of those."""
        if not self.reject_share:
            return False
        drawn = int.from_bytes(sha256(f"{self.seed}:{client_order_id}".encode()).digest()[:8])
        return drawn < self.reject_share * 2**64


NO_FAULTS = PaperFaults()


class PaperBroker:
    """A `Broker` which trades against the latest price. `market` gives it, None where a symbol has none.

    An immediate order for a venue trades against what that venue displays (`displayed`), at its price, up to its size, and pays its fee.
    Of the size displayed at bid or ask an order takes at most `displayed_share`, a fraction, and rests; all that it wants where that is None or
    no size is known. A market-on-close order waits until `close` is called with the session's last price. `book` is what the broker has said
    so far, which is all the book that it has.
    """

    name = PAPER

    def __init__(
        self,
        *,
        market: Callable[[str], MarketPrice | None],
        costs: PaperCosts,
        displayed: Callable[[BrokerOrder], DisplayedPrice | None] = lambda _: None,
        displayed_share: Decimal | None = Decimal(1),
        faults: PaperFaults = NO_FAULTS,
        book: Callable[[datetime], BrokerStatement] | None = None,
    ) -> None:
        self._market = market
        self._costs = costs
        self._displayed = displayed
        self._displayed_share = displayed_share
        self._faults = faults
        self._book = book

    def submit(self, order: BrokerOrder) -> tuple[ExecutionReport, ...]:
        """Acknowledge the order and match it once. An immediate order without a price is cancelled, any other rests; with latency each rests."""
        if self._faults.rejects(order.client_order_id):
            reason = f"rejected on purpose: share {trimmed(self._faults.reject_share)}, seed {self._faults.seed}"
            return (ExecutionReport(kind=OrderEventKind.REJECTED, reason=reason),)
        acknowledged = ExecutionReport(kind=OrderEventKind.NEW)
        if order.venue and order.time_in_force.is_immediate:
            return (acknowledged, *self._at_venue(order))
        if order.venue:
            return (acknowledged,)  # it rests in the venue's queue: what was displayed has been swept already
        if self._faults.latency:
            return (acknowledged,)
        price = self._market(order.symbol)
        if price is None:
            return (acknowledged, *_without_price(order))
        return (acknowledged, *self.match(order, price))

    def _at_venue(self, order: BrokerOrder) -> tuple[ExecutionReport, ...]:
        shown = self._displayed(order)
        if shown is None:
            return (ExecutionReport(kind=OrderEventKind.CANCELED, reason=f"{order.venue} displays nothing"),)
        price, quantity = shown.market, min(order.leaves, shown.market.volume or ZERO)
        within = order.limit_price is None or order.side.sign * (order.limit_price - price.price) >= ZERO
        if not within or quantity <= ZERO or (order.time_in_force is TimeInForce.FOK and quantity < order.leaves):
            return (ExecutionReport(kind=OrderEventKind.CANCELED, reason=f"{order.venue} no longer displays it"),)
        execution = self._execution(order, price, quantity, price.price)
        # A rebate is set against the commission; a fill has no negative fee.
        fee = max(ZERO, execution.fee + (shown.fee * quantity).quantize(Decimal("0.0001")))
        quote = {
            **execution.quote,
            "venue": order.venue,
            "displayed": str(trimmed(price.volume)),
            "venue_fee": str(trimmed(shown.fee)),
            "slippage_bps": "0",
        }
        traded = ExecutionReport(kind=OrderEventKind.TRADE, execution=replace(execution, fee=fee, quote=quote))
        if quantity == order.leaves:
            return (traded,)
        return (traded, ExecutionReport(kind=OrderEventKind.CANCELED, reason=f"{order.venue} displayed {trimmed(quantity)} of it"))

    def match(self, order: BrokerOrder, price: MarketPrice) -> tuple[ExecutionReport, ...]:
        """What this price does to the order: nothing, a stop triggered, a fill, the cancel of an immediate order's rest."""
        if order.order_type is OrderType.MARKET_ON_CLOSE:
            return ()
        if order.order_type.has_trail and not order.stop_triggered and (moved := trailed_stop(order, price.price)) != order.working_stop:
            # The price that moves the stop away from itself cannot reach it as well.
            return (ExecutionReport(kind=OrderEventKind.RESTATED, working_stop=moved),)
        return self._matched(order, price)

    def close(self, order: BrokerOrder, price: MarketPrice) -> tuple[ExecutionReport, ...]:
        """Trade a market-on-close order at the session's last price; what volume does not allow expires."""
        reports = self._traded(order, price)
        traded = sum((report.execution.quantity for report in reports if report.execution), ZERO)
        rest = () if traded == order.leaves else (ExecutionReport(kind=OrderEventKind.EXPIRED, reason="not all of it could trade at the close"),)
        return (*reports, *rest)

    def _matched(self, order: BrokerOrder, price: MarketPrice) -> tuple[ExecutionReport, ...]:
        book = price.against(order.side)
        if order.stop_triggered or not (order.order_type.has_stop or order.order_type.has_trail):
            return self._traded(order, book)
        _, _, triggered, _ = self._match(order, price, order.leaves)
        if not triggered:
            return _unfilled(order)
        trigger = ExecutionReport(kind=OrderEventKind.TRIGGERED, reason=f"{order.symbol} at {trimmed(price.price)}")
        return (trigger, *self._traded(replace(order, stop_triggered=True), book))

    def _traded(self, order: BrokerOrder, price: MarketPrice) -> tuple[ExecutionReport, ...]:
        available = self._available(order, price)
        quantity, fill_price, _, _ = self._match(order, price, available)
        if quantity <= 0:
            return _unfilled(order)
        trade = ExecutionReport(kind=OrderEventKind.TRADE, execution=self._execution(order, price, available, price_from_float(fill_price)))
        return (trade, *(_unfilled(order) if available < order.leaves else ()))

    def _available(self, order: BrokerOrder, price: MarketPrice) -> Decimal:
        """Shares that may trade now: whole ones where whole ones are displayed and asked for, none where a fill-or-kill order wants more."""
        if price.volume is None or self._displayed_share is None:
            return order.leaves
        whole = price.volume == price.volume.to_integral_value() and order.leaves == order.leaves.to_integral_value()
        left = max(ZERO, price.volume * self._displayed_share - order.taken).quantize(Decimal(1) if whole else SMALLEST_FRACTION, ROUND_DOWN)
        if order.time_in_force is TimeInForce.FOK and left < order.leaves:
            return ZERO
        return min(order.leaves, left)

    def _match(self, order: BrokerOrder, price: MarketPrice, shares: Decimal) -> tuple[float, float, bool, bool]:
        return match(
            _CODES[order.order_type],
            order.side.sign,
            float(shares),
            _number(order.limit_price),
            _number(order.working_stop if order.order_type.has_trail else order.stop_price),
            order.stop_triggered,
            _TIF_CODES[order.time_in_force],
            *(float(price.price),) * 5,
            float("inf"),
            FillAt.CLOSE,
            1.0,
            float(self._costs.slippage_bps),
        )

    def cancel(self, order: BrokerOrder) -> tuple[ExecutionReport, ...]:
        """Confirm at once, or refuse when nothing is left."""
        if order.leaves == ZERO:
            return (ExecutionReport(kind=OrderEventKind.CANCEL_REJECT, reason="too late to cancel"),)
        return (ExecutionReport(kind=OrderEventKind.CANCELED),)

    def replace(self, order: BrokerOrder, changed: BrokerOrder) -> tuple[ExecutionReport, ...]:
        """Change at once, or refuse when nothing is left. The changed order meets the next price like any other."""
        if order.leaves == ZERO:
            return (ExecutionReport(kind=OrderEventKind.REPLACE_REJECT, reason="too late to change"),)
        return (ExecutionReport(kind=OrderEventKind.REPLACED),)

    def lookup(self, order: BrokerOrder) -> tuple[ExecutionReport, ...]:
        """The paper broker keeps nothing: the desk's own row is its book, so an order that was sent is submitted."""
        return self.submit(order)

    def statement(self, since: datetime) -> BrokerStatement:
        """The account by the broker's own word. Raises BrokerUnreachable where nobody has kept it."""
        if self._book is None:
            raise BrokerUnreachable("this paper broker keeps no book")
        return self._book(since)

    def _execution(self, order: BrokerOrder, price: MarketPrice, quantity: Decimal, fill_price: Decimal) -> Execution:
        last = {} if price.last is None else {"last": str(trimmed(price.last))}
        return Execution(
            execution_id=f"{order.reference}-{trimmed(order.cumulative)}",
            quantity=quantity,
            price=fill_price,
            fee=ZERO if order.cumulative else self._costs.commission,
            market_time=price.market_time,
            quote=price.identity | {"slippage_bps": str(trimmed(self._costs.slippage_bps))} | last,
        )


def trailed_stop(order: BrokerOrder, price: Decimal) -> Decimal:
    """Where a trailing stop stands after a price: `trail_offset` behind the best price so far, never further away than before."""
    if order.trail_offset is None:
        raise ValueError(f"order {order.reference} has no trail offset")
    stop = price + order.side.sign * order.trail_offset
    if order.working_stop is None:
        return stop
    return min(stop, order.working_stop) if order.side.sign > 0 else max(stop, order.working_stop)


def _without_price(order: BrokerOrder) -> tuple[ExecutionReport, ...]:
    if order.time_in_force.is_immediate:
        return (ExecutionReport(kind=OrderEventKind.CANCELED, reason="no price to trade against"),)
    return ()


def _unfilled(order: BrokerOrder) -> tuple[ExecutionReport, ...]:
    """What becomes of what could not trade now."""
    if order.time_in_force.is_immediate:
        return (ExecutionReport(kind=OrderEventKind.CANCELED, reason=f"{order.time_in_force.upper()}: not all of it could trade at once"),)
    return ()


def _number(price: Decimal | None) -> float:
    return float("nan") if price is None else float(price)
