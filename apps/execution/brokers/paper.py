"""The paper broker: fills at the latest price through the desk's one matching function, with slippage and one commission per order.

A last price is matched as a bar of one price, so that a stop or a limit means here what it means in a backtest. The broker keeps
nothing of its own: the order's row is its book, and execution ids follow from it, so that doing the same again does nothing twice.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal

from apps.core.documents import plain
from apps.core.money import ZERO, price_from_float
from apps.core.trading import TimeInForce
from apps.execution.brokers.protocol import BrokerOrder, Execution, ExecutionReport, MarketPrice
from apps.execution.domain.amounts import trimmed
from apps.execution.domain.states import OrderEventKind
from apps.strategies.domain.matching import FillAt, OrderTypeCode, TifCode, match

PAPER = "paper"


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperCosts:
    """`slippage_bps` makes market and stop fills worse (1 bp = 1e-4); `commission` is charged once per order, with its first fill."""

    slippage_bps: Decimal
    commission: Decimal


class PaperBroker:
    """A `Broker` which trades against the latest price. `market` gives it, None where a symbol has none."""

    name = PAPER

    def __init__(self, *, market: Callable[[str], MarketPrice | None], costs: PaperCosts) -> None:
        self._market = market
        self._costs = costs

    def submit(self, order: BrokerOrder) -> tuple[ExecutionReport, ...]:
        """Acknowledge the order and match it once. An immediate order without a price is cancelled, any other rests."""
        acknowledged = ExecutionReport(kind=OrderEventKind.NEW)
        price = self._market(order.symbol)
        if price is None:
            return (acknowledged, *_without_price(order))
        return (acknowledged, *self.match(order, price))

    def match(self, order: BrokerOrder, price: MarketPrice) -> tuple[ExecutionReport, ...]:
        """What this price does to the order: nothing, a stop triggered, a fill, the cancel of an immediate order's rest."""
        quantity, fill_price, triggered, done = match(
            OrderTypeCode[order.order_type.name],
            order.side.sign,
            float(order.leaves),
            _number(order.limit_price),
            _number(order.stop_price),
            order.stop_triggered,
            TifCode[order.time_in_force.name],
            *(float(price.price),) * 5,
            float("inf") if price.volume is None else float(price.volume),
            FillAt.CLOSE,
            1.0,
            float(self._costs.slippage_bps),
        )
        reports = []
        if triggered and not order.stop_triggered:
            reports.append(ExecutionReport(kind=OrderEventKind.TRIGGERED, reason=f"{order.symbol} at {trimmed(price.price)}"))
        filled = _shares(quantity, order.leaves)
        if filled > ZERO:
            reports.append(ExecutionReport(kind=OrderEventKind.TRADE, execution=self._execution(order, price, filled, price_from_float(fill_price))))
        if filled < order.leaves and done:
            reports.append(ExecutionReport(kind=OrderEventKind.CANCELED, reason=f"{order.time_in_force.upper()}: not all of it could trade at once"))
        return tuple(reports)

    def cancel(self, order: BrokerOrder) -> tuple[ExecutionReport, ...]:
        """Confirm at once, or refuse when nothing is left."""
        if order.leaves == ZERO:
            return (ExecutionReport(kind=OrderEventKind.CANCEL_REJECT, reason="too late to cancel"),)
        return (ExecutionReport(kind=OrderEventKind.CANCELED),)

    def _execution(self, order: BrokerOrder, price: MarketPrice, quantity: Decimal, fill_price: Decimal) -> Execution:
        return Execution(
            execution_id=f"{order.reference}-{trimmed(order.cumulative)}",
            quantity=quantity,
            price=fill_price,
            fee=ZERO if order.cumulative else self._costs.commission,
            market_time=price.market_time,
            quote={
                "price": str(trimmed(price.price)),
                "market_time": str(plain(price.market_time)),
                "source": price.source,
                "slippage_bps": str(trimmed(self._costs.slippage_bps)),
            },
        )


def _without_price(order: BrokerOrder) -> tuple[ExecutionReport, ...]:
    if order.time_in_force in (TimeInForce.IOC, TimeInForce.FOK):
        return (ExecutionReport(kind=OrderEventKind.CANCELED, reason="no price to trade against"),)
    return ()


def _number(price: Decimal | None) -> float:
    return float("nan") if price is None else float(price)


def _shares(quantity: float, leaves: Decimal) -> Decimal:
    """Shares as the ledger counts them: all of the leaves, or what volume allows, never more."""
    if quantity >= float(leaves):
        return leaves
    return Decimal(repr(quantity)).quantize(Decimal("0.000001"), ROUND_DOWN)
