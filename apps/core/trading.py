"""The words that every app of the desk shares about an order: value types, frozen, free of Django.

Side, order type and time in force carry FIX names; their values are what REST, the database and the screens show.
Quantities and prices are Decimals with at most six places (see `apps.core.money`).
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID


class Side(StrEnum):
    """FIX 54. A short sale is a sell that leaves a negative position."""

    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        """+1 for a buy, -1 for a sell."""
        return 1 if self is Side.BUY else -1


class OrderType(StrEnum):
    """FIX 40."""

    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"
    STOP_LIMIT = "stop_limit"
    TRAILING_STOP = "trailing_stop"
    MARKET_ON_CLOSE = "market_on_close"

    @property
    def has_limit(self) -> bool:
        return self in (OrderType.LIMIT, OrderType.STOP_LIMIT)

    @property
    def has_stop(self) -> bool:
        return self in (OrderType.STOP, OrderType.STOP_LIMIT)

    @property
    def has_trail(self) -> bool:
        return self is OrderType.TRAILING_STOP


class TimeInForce(StrEnum):
    """FIX 59."""

    DAY = "day"
    GTC = "gtc"
    IOC = "ioc"
    FOK = "fok"
    GTD = "gtd"

    @property
    def is_immediate(self) -> bool:
        """True where what cannot trade at once is cancelled."""
        return self in (TimeInForce.IOC, TimeInForce.FOK)


class TradingMode(StrEnum):
    """Whether orders reach a market. A property of the brokerage account, never of a screen."""

    PAPER = "paper"
    LIVE = "live"


class TradingState(StrEnum):
    """What a portfolio or the desk may do. Cancels always pass, reductions pass in REDUCING."""

    ACTIVE = "active"
    REDUCING = "reducing"
    HALTED = "halted"


class Outcome(StrEnum):
    """What one pre-trade check says."""

    PASS = "pass"  # noqa: S105 (an outcome)
    WARN = "warn"
    BLOCK = "block"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderIntent:
    """What somebody wants to trade, before anybody has agreed to it.

    `trail_offset` (price, > 0) is how far a trailing stop follows the best price; `expire_at` (UTC) is when a GTD order ends.
    Decisions bind to `digest`, so that no field can change between the gate and the broker.
    """

    client_order_id: UUID
    portfolio_id: int
    book_id: int
    instrument_id: int
    symbol: str
    side: Side
    quantity: Decimal
    order_type: OrderType
    time_in_force: TimeInForce
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_offset: Decimal | None = None
    expire_at: datetime | None = None
    strategy: str = ""

    @property
    def signed_quantity(self) -> Decimal:
        """Positive for a buy."""
        return self.quantity * self.side.sign

    @property
    def digest(self) -> str:
        """SHA-256 (64 hexadecimal digits) of every field in canonical JSON."""
        content = {name: _canonical(getattr(self, name)) for name in self.__slots__}
        return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _canonical(value: object) -> str | int | None:
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")  # 100, 100.0 and 1E+2 are the same quantity
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return str(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkingOrder:
    """An order of the same portfolio which may still trade. `leaves` is the quantity that may still fill (> 0)."""

    order_id: int
    client_order_id: UUID
    instrument_id: int
    symbol: str
    side: Side
    leaves: Decimal
    order_type: OrderType
    time_in_force: TimeInForce
    limit_price: Decimal | None
    stop_price: Decimal | None
    created_at: datetime
    book_id: int | None = None  # None: the gate counts it against every book of the portfolio


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferencePrice:
    """The price that an order is judged by. `received_at` is wall time, `market_time` is the time of the market shown."""

    price: Decimal
    market_time: datetime
    received_at: datetime
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PreTradeSnapshot:
    """All that risk and compliance are told of an order; positions and limits they read themselves."""

    intent: OrderIntent
    working_orders: tuple[WorkingOrder, ...]
    reference: ReferencePrice | None
    orders_last_minute: int
    symbol_orders_last_minute: int
    user_id: int | None
    as_of: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One rule applied to one order: what it allows, what it found before and what it would find after the order.

    `limit`, `before` and `after` are in `unit` ("USD", "shares", "orders/min", "fraction" or ""), None where the rule has no number.
    """

    code: str
    outcome: Outcome
    message: str
    unit: str = ""
    limit: Decimal | None = None
    before: Decimal | None = None
    after: Decimal | None = None


#: What callers know as a breach is a check that did not pass.
Breach = Check


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A refusal is a value: every check that was made, in order, by one authority ("risk" or "compliance")."""

    authority: str
    checks: tuple[Check, ...] = field(default=())

    @property
    def allowed(self) -> bool:
        """False when a check blocks, and when nothing was checked: the gate fails closed."""
        return bool(self.checks) and all(check.outcome is not Outcome.BLOCK for check in self.checks)

    @property
    def breaches(self) -> tuple[Breach, ...]:
        return tuple(check for check in self.checks if check.outcome is not Outcome.PASS)

    @property
    def blocking(self) -> tuple[Breach, ...]:
        return tuple(check for check in self.checks if check.outcome is Outcome.BLOCK)


def check_as_dict(check: Check) -> dict[str, str | None]:
    """JSON form of a check, Decimals as strings."""
    numbers = {name: None if (n := getattr(check, name)) is None else format(n, "f") for name in ("limit", "before", "after")}
    return {"code": check.code, "outcome": str(check.outcome), "message": check.message, "unit": check.unit, **numbers}


def blocking_codes(verdicts: Iterable[Verdict]) -> tuple[str, ...]:
    """Codes of all blocking checks, in the order in which they were made."""
    return tuple(check.code for verdict in verdicts for check in verdict.blocking)
