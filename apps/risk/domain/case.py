"""What is known of one order when risk judges it, and the comparison of a number with its limit that all checks share."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Final

from apps.core.kept import Remembered
from apps.core.trading import Check, OrderIntent, Outcome, ReferencePrice, TradingState, WorkingOrder, closable_quantity
from apps.risk.domain.exposure import Exposure, HeldValue, WorkingQuantities, WorkingValue, exposure, largest_size, working_quantities
from apps.risk.domain.limits import Limit, LimitKind
from apps.risk.domain.pretrade_risk import RiskImpact

ZERO: Final = Decimal(0)
ONE: Final = Decimal(1)
#: How the message of a check begins that a reduction passes whatever its numbers are. Stored messages are read again: it never changes.
WAIVED: Final = "Reduces the position: "


#: `working_quantities` of a tuple of orders, which the next order finds unchanged where nothing has happened to any of them.
quantities_working: Final = Remembered(working_quantities)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the checks assume. The cost margins are twice what the paper broker charges by default (5 bps, 1 per order).

    `risk_block_after` is how old the live monitor's last computation may be, `monitor_required` whether a desk on which none has ever
    run opens nothing.
    """

    price_warn_after: timedelta = timedelta(seconds=10)
    price_block_after: timedelta = timedelta(seconds=30)
    risk_block_after: timedelta = timedelta(seconds=15)
    monitor_required: bool = False
    slippage_bps: Decimal = Decimal(10)
    commission: Decimal = Decimal(2)


@dataclass(frozen=True, kw_only=True)
class Case:
    """All that is known of one order when it is judged. (No slots: what several checks ask for is computed once and kept.)

    `held` is the signed quantity by instrument id over all books of the portfolio, `book_held` that of the order's own book
    and instrument. `prices` values every instrument held or working; those without a price stand in `unpriced`. `quarantines` says
    for each open quarantine of the instrument's data whose days include the market's which data it is and why.
    `account_hold`, `tier`, `average_volume`, `identical_age` [seconds] and `located` [shares] are those of the snapshot.
    `cash` and `prices` are in the portfolio's currency; what orders say is in the instrument's, and `rates` turns it (by instrument id, 1 where
    there is none). `pair` is the currency pair of the order's own instrument, "" when it trades in the portfolio's, `fx` the price of it.
    `monitored` says whether a live monitor has ever run, `risk_computed_at` when it had computed all portfolios last.
    `limits`, `book_limits`, `broken` and `desk_rate` are those of `LimitsMet`; `book_quantities` (what the order's book holds) and `sectors`, by
    instrument id, and `impact`, what the order does to value at risk, shortfall and stress, are known where a limit needs them.
    """

    intent: OrderIntent
    working_orders: tuple[WorkingOrder, ...]
    reference: ReferencePrice | None
    orders_last_minute: int
    symbol_orders_last_minute: int
    as_of: datetime
    state: TradingState
    state_reason: str
    limits: Mapping[LimitKind, Limit]
    cash: Decimal
    held: Mapping[int, Decimal]
    book_held: Decimal
    prices: Mapping[int, Decimal]
    unpriced: tuple[str, ...]
    quarantines: tuple[str, ...] = ()
    account_hold: str = ""
    tier: int = 2
    average_volume: Decimal | None = None
    strategy_orders_last_minute: int = 0
    desk_messages_last_minute: int = 0
    desk_rate: Limit | None = None
    identical_age: Decimal | None = None
    located: Decimal = ZERO
    pair: str = ""
    fx: ReferencePrice | None = None
    rates: Mapping[int, Decimal] = field(default_factory=dict)
    monitored: bool = False
    risk_computed_at: datetime | None = None
    book_limits: Mapping[LimitKind, Limit] = field(default_factory=dict)
    book_quantities: Mapping[int, Decimal] = field(default_factory=dict)
    broken: Mapping[LimitKind, Decimal] = field(default_factory=dict)
    sectors: Mapping[int, str] = field(default_factory=dict)
    impact: RiskImpact | None = None
    value: HeldValue | None = None
    beside: WorkingValue | None = None
    settings: Settings = Settings()

    def rate(self, instrument_id: int) -> Decimal:
        """The portfolio's currency for one of the instrument's."""
        return self.rates.get(instrument_id, ONE)

    @cached_property
    def working(self) -> WorkingQuantities:
        return quantities_working(self.working_orders)

    @cached_property
    def exposure(self) -> Exposure:
        """Of the whole portfolio, without this order. Raises KeyError when something held or ordered has no price."""
        return exposure(self.held, self.working, self.prices, self.value, self.beside)

    @property
    def equity(self) -> Decimal:
        """What the portfolio is worth: cash and all that is held. Raises KeyError when something held or ordered has no price."""
        return self.cash + self.exposure.net

    @cached_property
    def quantity_held(self) -> Decimal:
        return self.held.get(self.intent.instrument_id, ZERO)

    @cached_property
    def closable(self) -> Decimal:
        """Shares that the order may still close without opening the other way (>= 0)."""
        return closable_quantity(self.intent, held=self.quantity_held, book_held=self.book_held, working_orders=self.working_orders)

    @cached_property
    def size_before(self) -> Decimal:
        """Largest size [shares] that the instrument can reach without this order."""
        return largest_size(self.quantity_held, self.intent.instrument_id, self.working)

    @cached_property
    def size_after(self) -> Decimal:
        """Largest size [shares] that the instrument can reach with this order."""
        intent = self.intent
        return largest_size(self.quantity_held, intent.instrument_id, self.working.with_order(intent.instrument_id, intent.side, intent.quantity))

    @cached_property
    def reduces(self) -> bool:
        """True when the order can only bring the position nearer to zero, working orders counted."""
        return self.intent.quantity <= self.closable


def against(limit: Limit, *, code: str, before: Decimal, after: Decimal, what: str, waived: bool = False) -> Check:
    """Compares `after` with the limit: above hard blocks, above soft warns, a reduction is waived through."""
    if waived:
        outcome, message = Outcome.PASS, f"{WAIVED}{what} is not limited"
    elif after > limit.hard:
        outcome, message = Outcome.BLOCK, f"{what[0].upper()}{what[1:]}: {number(after)} is above the limit {number(limit.hard)}"
    elif limit.soft is not None and after > limit.soft:
        outcome, message = Outcome.WARN, f"{what[0].upper()}{what[1:]}: {number(after)} is above the soft limit {number(limit.soft)}"
    else:
        outcome, message = Outcome.PASS, f"{what[0].upper()}{what[1:]}: {number(after)} of {number(limit.hard)}"
    return Check(code=code, outcome=outcome, message=message, unit=limit.kind.unit, limit=limit.hard, before=before, after=after)


def number(value: Decimal) -> str:
    """For messages: six places at most, no trailing zeros."""
    text = f"{value:,.6f}".rstrip("0")
    return text.rstrip(".")


def amount(value: Decimal) -> str:
    """For messages: money with two places."""
    return f"{value:,.2f}"
