"""What the desk asks of a broker, and what a broker answers: frozen types, Decimals, no Django.

An adapter turns its broker's words into these. It never writes to the database: `services.reports` books what it reports.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from apps.core.documents import plain
from apps.core.errors import Unavailable
from apps.core.money import ZERO
from apps.core.trading import OrderType, Side, TimeInForce
from apps.execution.domain.amounts import trimmed
from apps.execution.domain.states import OrderEventKind


class BrokerTimeout(Unavailable):
    """The broker's answer did not come: nobody knows whether it has acted. Never a reason to send again."""

    code = "BROKER_TIMEOUT"


class BrokerUnreachable(Unavailable):
    """The request certainly did not reach the broker: it may be made again."""

    code = "BROKER_UNREACHABLE"


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerOrder:
    """An allowed order as it goes to a broker. `reference` is unique per order for ever; `cumulative` (shares) has traded already.

    `working_stop` is where a trailing stop stands (None before the broker has seen a price), `expire_at` the end of a GTD order, `venue`
    where a smart router sends it ("": wherever the broker likes), `client_order_id` its maker's own name for it, `taken` the shares that it has
    had of the quote which is displayed now.
    """

    reference: str
    symbol: str
    side: Side
    quantity: Decimal
    cumulative: Decimal
    order_type: OrderType
    time_in_force: TimeInForce
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_offset: Decimal | None = None
    working_stop: Decimal | None = None
    expire_at: datetime | None = None
    stop_triggered: bool = False
    currency: str = "USD"
    venue: str = ""
    client_order_id: str = ""
    taken: Decimal = ZERO

    @property
    def leaves(self) -> Decimal:
        return self.quantity - self.cumulative


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketPrice:
    """A last price of one symbol. `volume` (shares) bounds what can fill against it, None where it is not known.

    `bid` and `ask` are the best quotes of `quote_time`, None where they are not known or too old to count. `basis` is which side of the book
    `price` is ("bid", "ask"), and then `last` is the last price beside it; "" for a last price.
    """

    symbol: str
    price: Decimal
    market_time: datetime
    source: str
    volume: Decimal | None = None
    bid: Decimal | None = None
    ask: Decimal | None = None
    bid_size: Decimal | None = None
    ask_size: Decimal | None = None
    quote_time: datetime | None = None
    basis: str = ""
    last: Decimal | None = None

    def against(self, side: Side) -> "MarketPrice":
        """What an order of this side trades against: the other side of the book, or the last price where there is no sound book."""
        price, size, basis = (self.ask, self.ask_size, "ask") if side is Side.BUY else (self.bid, self.bid_size, "bid")
        if not price or self.quote_time is None or (self.bid and self.ask and self.bid >= self.ask):
            return self
        return replace(self, price=price, volume=size, market_time=self.quote_time, basis=basis, last=self.price)

    @property
    def identity(self) -> dict[str, str]:
        """As a fill keeps it: another fill with the same values was against the same quote."""
        said = {"price": str(trimmed(self.price)), "market_time": str(plain(self.market_time)), "source": self.source}
        if self.basis:
            said["basis"] = self.basis
            said |= {} if self.volume is None else {"displayed": str(trimmed(self.volume))}
        return said


@dataclass(frozen=True, slots=True, kw_only=True)
class DisplayedPrice:
    """What one venue displays to an order: `market.volume` is the displayed size; `fee` per share, a rebate is negative."""

    market: MarketPrice
    fee: Decimal


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
    """FIX 35=8: one thing that happened to an order at the broker. `execution` is there exactly when the kind is TRADE.

    `working_stop` comes with RESTATED: where a trailing stop has moved to.
    """

    kind: OrderEventKind
    reason: str = ""
    execution: Execution | None = None
    working_stop: Decimal | None = None

    def __post_init__(self) -> None:
        if (self.kind is OrderEventKind.TRADE) is (self.execution is None):
            raise ValueError("an execution report has an execution exactly when it reports a trade")
        if (self.kind is OrderEventKind.RESTATED) is (self.working_stop is None):
            raise ValueError("an execution report has a working stop exactly when it restates one")


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerOpenOrder:
    """An order that works at the broker. `reference` is the desk's, "" for one that the desk never sent.

    `stop_price` is what was ordered, None for a trailing stop, which has its `trail_offset`.
    """

    reference: str
    broker_order_id: str
    symbol: str
    side: Side
    quantity: Decimal
    cumulative: Decimal
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_offset: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerFill:
    """An execution as the broker's books have it. `reference` is the desk's, "" for an order that the desk never sent."""

    reference: str
    symbol: str
    side: Side
    execution: Execution


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerStatement:
    """What an account's broker says is so, at one moment: working orders, executions since a time, positions, cash.

    `positions` are signed shares by symbol, without zeros; `cash` is by currency at trade date. `settled_cash` is by currency where the
    broker tells it, else empty.
    """

    as_of: datetime
    open_orders: tuple[BrokerOpenOrder, ...]
    fills: tuple[BrokerFill, ...]
    positions: Mapping[str, Decimal]
    cash: Mapping[str, Decimal]
    settled_cash: Mapping[str, Decimal] = field(default_factory=dict)


class KeepsBooks(Protocol):
    """A broker that can be asked for an account's books."""

    def statement(self, since: datetime) -> BrokerStatement:
        """Working orders, positions and cash now, and executions since then. Raises BrokerTimeout and BrokerUnreachable."""


class Broker(Protocol):
    """A place that takes orders. Calls answer what is known at once; what happens later comes through the adapter's own process."""

    @property
    def name(self) -> str:
        """Under which execution ids are unique."""

    def submit(self, order: BrokerOrder) -> tuple[ExecutionReport, ...]:
        """Hand the order over. Submitting the same reference again never makes a second order.

        Raises BrokerTimeout when the answer does not come, BrokerUnreachable when the broker was certainly not reached.
        """

    def cancel(self, order: BrokerOrder) -> tuple[ExecutionReport, ...]:
        """Ask for the rest to be cancelled: a CANCELED or CANCEL_REJECT report after all that happened before it, or nothing yet.

        A broker that has never had the order answers with one REJECTED.
        """

    def replace(self, order: BrokerOrder, changed: BrokerOrder) -> tuple[ExecutionReport, ...]:
        """Ask for the order to work with other values: a REPLACED or REPLACE_REJECT report after all that happened before it, or nothing yet."""

    def lookup(self, order: BrokerOrder) -> tuple[ExecutionReport, ...]:
        """What the broker knows of an order by its reference: everything that happened to it so far, as reports.

        REPLACED is told when the broker's order has other values than `order`. A broker that has never had it answers with one REJECTED.
        Raises BrokerTimeout and BrokerUnreachable.
        """
