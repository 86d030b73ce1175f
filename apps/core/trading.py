"""The words that every app of the desk shares about an order: value types, frozen, free of Django.

Side, order type and time in force carry FIX names; their values are what REST, the database and the screens show.
Quantities and prices are Decimals with at most six places (see `apps.core.money`).
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
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
    book_id: int | None = None  # None: the gate counts it against every book of the portfolio
    currency: str = ""  # of the instrument; "" is that of the portfolio


def closable_quantity(intent: OrderIntent, *, held: Decimal, book_held: Decimal, working_orders: Iterable[WorkingOrder]) -> Decimal:
    """Shares (>= 0) that an order of this side may still close without opening the other way; what a sale has beyond them is sold short.

    `held` is the signed quantity of the whole portfolio, `book_held` that of the order's own book. Each counts by itself, working
    orders of the same side taken off: neither may be turned around.
    """
    sign = -intent.side.sign
    same_side = [w for w in working_orders if w.instrument_id == intent.instrument_id and w.side is intent.side]
    in_portfolio = held * sign - sum((w.leaves for w in same_side), Decimal(0))
    in_book = book_held * sign - sum((w.leaves for w in same_side if w.book_id in (None, intent.book_id)), Decimal(0))
    return max(Decimal(0), min(in_portfolio, in_book))


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferencePrice:
    """The price that an order is judged by. `received_at` is wall time, `market_time` is the time of the market shown.

    `bid` and `ask` are the best quotes where a feed says them, None where it does not.
    """

    price: Decimal
    market_time: datetime
    received_at: datetime
    source: str
    bid: Decimal | None = None
    ask: Decimal | None = None

    @property
    def mid(self) -> Decimal:
        """Middle of bid and ask; the price itself where one side is missing or the quotes are crossed."""
        if self.bid is None or self.ask is None or not 0 < self.bid <= self.ask:
            return self.price
        return (self.bid + self.ask) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketFacts:
    """What the market says of one instrument when an order in it is judged.

    `halted` is why it does not trade ("" while it does), `band` the lowest and highest price at which it may trade as the exchange has
    published them (None: it has not), `recent_mean` the mean price of the last five minutes (None: no minute of them is stored), `wide`
    whether bands are doubled now (near open and close). `tier` is that of the bands (1: members of the large indices, 2: all others).
    `average_volume` is that of the `volume_days` sessions before the current one (None: not one is stored). `delisted_on` only
    when that day has come. `previous_close` is that of the last session before this one (None: not stored). `quarantines` says for each
    open quarantine of the instrument's data whose days include the market's which data it is and why.
    """

    instrument_id: int
    symbol: str
    tradable: bool
    currency: str
    market_time: datetime
    session: date
    tier: int = 2
    delisted_on: date | None = None
    halted: str = ""
    band: tuple[Decimal, Decimal] | None = None
    recent_mean: Decimal | None = None
    wide: bool = False
    average_volume: Decimal | None = None
    volume_days: int = 0
    previous_close: Decimal | None = None
    quarantines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PreTradeSnapshot:
    """All that risk and compliance are told of an order; positions and limits they read themselves.

    `market` is None for a symbol that the desk does not know. `identical_age` says how many seconds ago the portfolio sent an order with
    the same terms under another id (None: not in the last minute). `located` is what may still be sold short today.
    `account_hold` says why nothing new may be opened in the account, "" where nothing speaks against it. Counts of the last minute are of orders and
    changes of orders; that of the desk's messages has its cancels too, and is 0 where the desk does not limit them.
    """

    intent: OrderIntent
    working_orders: tuple[WorkingOrder, ...]
    reference: ReferencePrice | None
    orders_last_minute: int
    symbol_orders_last_minute: int
    user_id: int | None
    as_of: datetime
    market: MarketFacts | None = None
    strategy_orders_last_minute: int = 0
    desk_messages_last_minute: int = 0
    identical_age: Decimal | None = None
    located: Decimal = Decimal(0)
    account_hold: str = ""


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
