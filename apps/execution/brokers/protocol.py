"""What the desk asks of a broker, and what a broker answers: frozen types, Decimals, no Django.

An adapter turns its broker's words into these. It never writes to the database: `services.reports` books what it reports.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from apps.core.trading import OrderType, Side, TimeInForce
from apps.execution.domain.states import OrderEventKind


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerOrder:
    """An allowed order as it goes to a broker. `reference` is unique per order for ever; `cumulative` (shares) has traded already."""

    reference: str
    symbol: str
    side: Side
    quantity: Decimal
    cumulative: Decimal
    order_type: OrderType
    time_in_force: TimeInForce
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    stop_triggered: bool = False

    @property
    def leaves(self) -> Decimal:
        return self.quantity - self.cumulative


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketPrice:
    """A last price of one symbol. `volume` (shares) bounds what can fill against it, None where it is not known."""

    symbol: str
    price: Decimal
    market_time: datetime
    source: str
    volume: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One fill. `fee` in the currency of the account; `quote` is what it was matched against, for the record."""

    execution_id: str
    quantity: Decimal
    price: Decimal
    fee: Decimal
    market_time: datetime
    quote: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionReport:
    """FIX 35=8: one thing that happened to an order at the broker. `execution` is there exactly when the kind is TRADE."""

    kind: OrderEventKind
    reason: str = ""
    execution: Execution | None = None

    def __post_init__(self) -> None:
        if (self.kind is OrderEventKind.TRADE) is (self.execution is None):
            raise ValueError("an execution report has an execution exactly when it reports a trade")


class Broker(Protocol):
    """A place that takes orders. Calls answer what is known at once; what happens later comes through the adapter's own process."""

    @property
    def name(self) -> str:
        """Under which execution ids are unique."""

    def submit(self, order: BrokerOrder) -> tuple[ExecutionReport, ...]:
        """Hand the order over. Submitting the same reference again never makes a second order."""

    def cancel(self, order: BrokerOrder) -> tuple[ExecutionReport, ...]:
        """Ask for the rest to be cancelled: a CANCELED or CANCEL_REJECT report, or nothing yet."""
