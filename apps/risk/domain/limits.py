"""Limits as values: what they limit, in which unit, and how far a number has used one up."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum

#: Without a soft level of its own, a limit warns from this share of the hard one.
WARN_SHARE = Decimal("0.9")


class LimitKind(StrEnum):
    """What a limit limits; the label ends with the unit in brackets."""

    POSITION_SIZE = "position_size"
    POSITION_VALUE = "position_value"
    TOTAL_EXPOSURE = "total_exposure"
    ORDER_RATE = "order_rate"
    SYMBOL_ORDER_RATE = "symbol_order_rate"
    PRICE_COLLAR = "price_collar"
    DAILY_LOSS = "daily_loss"
    DRAWDOWN = "drawdown"
    NET_EXPOSURE = "net_exposure"
    DUPLICATE_WINDOW = "duplicate_window"
    STRATEGY_ORDER_RATE = "strategy_order_rate"
    ORDER_SIZE = "order_size"
    ORDER_VALUE = "order_value"
    ADV_SHARE = "adv_share"
    UNKNOWN_ADV_VALUE = "unknown_adv_value"
    COLLAR_TIER_1 = "collar_tier_1"
    COLLAR_TIER_2 = "collar_tier_2"
    COLLAR_LOW_PRICE = "collar_low_price"
    APPROVAL_VALUE = "approval_value"
    POSITION_SHARE = "position_share"
    CONCENTRATION = "concentration"
    SECTOR_SHARE = "sector_share"
    LEVERAGE = "leverage"
    LIQUIDITY = "liquidity"
    VAR = "var"
    EXPECTED_SHORTFALL = "expected_shortfall"
    STRESS_LOSS = "stress_loss"

    @property
    def label(self) -> str:
        return _LABELS[self][0]

    @property
    def word(self) -> str:
        """For titles: "Daily loss"."""
        return self.value.replace("_", " ").capitalize()

    @property
    def unit(self) -> str:
        """ "shares", "USD" (the portfolio's currency), "orders/min", "seconds", "days", "times" or "fraction"."""
        return _LABELS[self][1]

    @property
    def is_loss(self) -> bool:
        """Reaching a loss limit breaches it; the others are breached only above."""
        return self in (LimitKind.DAILY_LOSS, LimitKind.DRAWDOWN)


_LABELS = {
    LimitKind.POSITION_SIZE: ("Position size [shares]", "shares"),
    LimitKind.POSITION_VALUE: ("Position value [money]", "USD"),
    LimitKind.TOTAL_EXPOSURE: ("Gross exposure [money]", "USD"),
    LimitKind.ORDER_RATE: ("Orders of the portfolio [per minute]", "orders/min"),
    LimitKind.SYMBOL_ORDER_RATE: ("Orders of one symbol [per minute]", "orders/min"),
    LimitKind.PRICE_COLLAR: ("Distance of the limit price from the reference price [fraction]", "fraction"),
    LimitKind.DAILY_LOSS: ("Loss since the last session's close [fraction]", "fraction"),
    LimitKind.DRAWDOWN: ("Fall from the highest value [fraction]", "fraction"),
    LimitKind.NET_EXPOSURE: ("Net exposure, long or short [money]", "USD"),
    LimitKind.DUPLICATE_WINDOW: ("The same order again is a duplicate within [seconds, at most 60]", "seconds"),
    LimitKind.STRATEGY_ORDER_RATE: ("Orders of one strategy [per minute]", "orders/min"),
    LimitKind.ORDER_SIZE: ("Size of one order [shares]", "shares"),
    LimitKind.ORDER_VALUE: ("Value of one order [money]", "USD"),
    LimitKind.ADV_SHARE: ("One order's share of the average daily volume [fraction]", "fraction"),
    LimitKind.UNKNOWN_ADV_VALUE: ("Value of one order while no daily volume is known [money]", "USD"),
    LimitKind.COLLAR_TIER_1: ("Price collar of tier 1, above 3 [fraction]", "fraction"),
    LimitKind.COLLAR_TIER_2: ("Price collar of tier 2, above 3 [fraction]", "fraction"),
    LimitKind.COLLAR_LOW_PRICE: ("Price collar of prices up to 3 [fraction]", "fraction"),
    LimitKind.APPROVAL_VALUE: ("Value of one order above which a second person approves [money]", "USD"),
    LimitKind.POSITION_SHARE: ("Position value [fraction of the portfolio's value]", "fraction"),
    LimitKind.CONCENTRATION: ("Five largest positions together [fraction of the portfolio's value]", "fraction"),
    LimitKind.SECTOR_SHARE: ("Gross exposure of one sector [fraction of the portfolio's value]", "fraction"),
    LimitKind.LEVERAGE: ("Gross exposure [times the portfolio's value]", "times"),
    LimitKind.LIQUIDITY: ("Days to leave a position at a fifth of the daily volume [days]", "days"),
    LimitKind.VAR: ("Value at risk of a day at 95 % [fraction of the portfolio's value]", "fraction"),
    LimitKind.EXPECTED_SHORTFALL: ("Expected shortfall of a day at 95 % [fraction of the portfolio's value]", "fraction"),
    LimitKind.STRESS_LOSS: ("Loss in the worst stress scenario [fraction of the portfolio's value]", "fraction"),
}


class LimitScope(StrEnum):
    """What a limit holds for. The whole of a portfolio (its own, or that of the desk for each portfolio), or a part of one."""

    DESK = "desk"
    PORTFOLIO = "portfolio"
    BOOK = "book"
    INSTRUMENT = "instrument"
    SECTOR = "sector"


#: What a book may be limited in: amounts of its own, which bind beside the portfolio's.
BOOK_KINDS = (LimitKind.POSITION_SIZE, LimitKind.POSITION_VALUE, LimitKind.TOTAL_EXPOSURE, LimitKind.NET_EXPOSURE)
#: What one instrument may be limited in: the same number as the general limit's, so this one stands in its place.
INSTRUMENT_KINDS = (
    LimitKind.POSITION_SIZE,
    LimitKind.POSITION_VALUE,
    LimitKind.POSITION_SHARE,
    LimitKind.LIQUIDITY,
    LimitKind.ORDER_SIZE,
    LimitKind.ORDER_VALUE,
    LimitKind.ADV_SHARE,
    LimitKind.SYMBOL_ORDER_RATE,
)
SECTOR_KINDS = (LimitKind.SECTOR_SHARE,)
#: The five largest positions are the measure of concentration.
LARGEST_COUNTED = 5
#: Share of the average daily volume that the desk can trade without being the market.
PARTICIPATION = Decimal("0.2")

#: Every order needs these; a reduction does without the size and exposure limits.
RATE_AND_PRICE_KINDS = (LimitKind.ORDER_RATE, LimitKind.SYMBOL_ORDER_RATE, LimitKind.PRICE_COLLAR, LimitKind.DUPLICATE_WINDOW)
COLLAR_KINDS = (LimitKind.COLLAR_TIER_1, LimitKind.COLLAR_TIER_2, LimitKind.COLLAR_LOW_PRICE)
SIZE_KINDS = (LimitKind.ORDER_SIZE, LimitKind.ORDER_VALUE, LimitKind.ADV_SHARE, LimitKind.UNKNOWN_ADV_VALUE)
EXPOSURE_KINDS = (LimitKind.POSITION_SIZE, LimitKind.POSITION_VALUE, LimitKind.TOTAL_EXPOSURE)
#: These count only where somebody has set them: they are set for a portfolio that needs them.
OPTIONAL_KINDS = (
    LimitKind.NET_EXPOSURE,
    LimitKind.APPROVAL_VALUE,
    LimitKind.POSITION_SHARE,
    LimitKind.CONCENTRATION,
    LimitKind.SECTOR_SHARE,
    LimitKind.LEVERAGE,
    LimitKind.LIQUIDITY,
    LimitKind.VAR,
    LimitKind.EXPECTED_SHORTFALL,
    LimitKind.STRESS_LOSS,
)
#: Single orders are held to these, so nothing of them is used up between two orders.
PER_ORDER_KINDS = (*RATE_AND_PRICE_KINDS, LimitKind.STRATEGY_ORDER_RATE, *COLLAR_KINDS, *SIZE_KINDS, LimitKind.APPROVAL_VALUE)
#: Longest window [seconds] in which the gate looks for the same order.
LONGEST_WINDOW = 60


class LimitAction(StrEnum):
    """What the live monitor does when a number breaks the hard level by itself: it always tells people. From the mildest to the strictest."""

    WARN = "warn"
    REDUCE = "reduce"
    FLATTEN = "flatten"
    HALT = "halt"

    @property
    def label(self) -> str:
        return _ACTIONS[self]


_ACTIONS = {
    LimitAction.WARN: "Tell people",
    LimitAction.REDUCE: "Block new risk: only reductions trade",
    LimitAction.FLATTEN: "Cancel orders and close every position (paper accounts only; elsewhere block new risk)",
    LimitAction.HALT: "Halt: nothing trades, working orders are cancelled",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A limit in force: `hard` blocks, `soft` (<= hard, None for none) warns. Both positive, in the kind's unit.

    `action` is what the live monitor does once the number breaks `hard`.
    `scope` says what it holds for; `subject` names the book, the symbol or the sector, "" for a whole portfolio.
    """

    kind: LimitKind
    hard: Decimal
    soft: Decimal | None = None
    action: LimitAction = LimitAction.WARN
    scope: LimitScope = LimitScope.PORTFOLIO
    subject: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopedLimit:
    """A stored limit that an order may meet. `own` is False for one of the desk; of `book_id`, `instrument_id` and `sector` one at most is set."""

    limit: Limit
    own: bool
    book_id: int | None = None
    instrument_id: int | None = None
    sector: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsMet:
    """What one order is held to: `limits` that measure the portfolio, `book` those that measure the order's book beside them.

    `broken` holds, for losses, what the monitor measured when the hard level was broken and has not been left since. `desk_rate` is the order rate
    of the desk where one is set: it binds all portfolios together, beside what each has of its own.
    """

    limits: Mapping[LimitKind, Limit]
    book: Mapping[LimitKind, Limit] = field(default_factory=dict)
    broken: Mapping[LimitKind, Decimal] = field(default_factory=dict)
    desk_rate: Limit | None = None


def tightest(limits: Iterable[Limit]) -> dict[LimitKind, Limit]:
    """By kind, level by level the lower one, and the stricter action: neither of two overlapping limits can be passed."""
    found: dict[LimitKind, Limit] = {}
    for limit in limits:
        other = found.get(limit.kind)
        if other is None:
            found[limit.kind] = limit
            continue
        hard = min(other.hard, limit.hard)
        softs = [level.soft for level in (other, limit) if level.soft is not None]
        action = max(other.action, limit.action, key=list(LimitAction).index)
        found[limit.kind] = replace(limit, hard=hard, soft=min([*softs, hard]) if softs else None, action=action)
    return found


def limits_met(found: Iterable[ScopedLimit], broken: Mapping[LimitKind, Decimal] | None = None) -> LimitsMet:
    """How the scopes combine, for the limits of one order's portfolio, book, instrument and sector.

    Limits that measure the same number stand in each other's place: that of an instrument or a sector in place of the general one, and the
    portfolio's own in place of the desk's. Limits that measure different numbers all bind: a book's amounts are its own.
    """
    layers: tuple[list[Limit], ...] = ([], [], [], [])
    book: list[Limit] = []
    for one in found:
        if one.book_id is not None:
            book.append(one.limit)
        else:
            layers[2 * (one.instrument_id is not None or one.sector != "") + one.own].append(one.limit)
    merged: dict[LimitKind, Limit] = {}
    for layer in layers:
        merged |= tightest(layer)
    return LimitsMet(limits=merged, book=tightest(book), broken=broken or {}, desk_rate=tightest(layers[0]).get(LimitKind.ORDER_RATE))


class UseState(StrEnum):
    """How a number stands to its limit. Unknown is never OK."""

    OK = "ok"
    WARN = "warn"
    BREACH = "breach"
    NO_DATA = "no_data"
    PER_ORDER = "per_order"


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitUse:
    """A limit and how much of it is used: `used`, `soft`, `hard` in `unit`, `utilisation` = used / hard (1 is 100 %).

    `used` is None when it cannot be known now (NO_DATA) and for limits that only single orders are held to (PER_ORDER). `not_known` says what
    is not in it ("" for nothing): it may be larger, so unless it is a breach already the state is NO_DATA, and the gate opens nothing new.
    """

    kind: LimitKind
    unit: str
    soft: Decimal | None
    hard: Decimal
    used: Decimal | None
    utilisation: Decimal | None
    state: UseState
    text: str
    subject: str = ""
    scope: LimitScope = LimitScope.PORTFOLIO
    not_known: str = ""


def exceeds(kind: LimitKind, used: Decimal, level: Decimal) -> bool:
    """True when `used` breaks `level`: losses when they reach it, everything else when it is above."""
    return used >= level if kind.is_loss else used > level


def limit_use(limit: Limit, used: Decimal | None, *, subject: str = "", not_known: str = "") -> LimitUse:
    """How far `used` has eaten up the limit; `subject` names what is biggest, e.g. a symbol, `not_known` what is missing in it."""
    kind, share = limit.kind, None
    if used is None:
        state = UseState.PER_ORDER if kind in PER_ORDER_KINDS else UseState.NO_DATA
        text = "Checked on each order" if state is UseState.PER_ORDER else "Not computed: a price or a history is missing"
    else:
        state, share = _state(limit, used), used / limit.hard
        least = "at least " if not_known else ""
        state = state if state is UseState.BREACH or not not_known else UseState.NO_DATA
        text = f"{state.name}: {least}{share:.0%} of the limit used" + (f" by {subject}" if subject else "")
        text += f". Nothing new is opened: {not_known}" if not_known else ""
    return LimitUse(
        kind=kind,
        unit=kind.unit,
        soft=limit.soft,
        hard=limit.hard,
        used=used,
        utilisation=share,
        state=state,
        text=text,
        subject=subject,
        scope=limit.scope,
        not_known="" if used is None else not_known,
    )


def _state(limit: Limit, used: Decimal) -> UseState:
    warn_from = limit.soft if limit.soft is not None else limit.hard * WARN_SHARE
    if exceeds(limit.kind, used, limit.hard):
        return UseState.BREACH
    return UseState.WARN if exceeds(limit.kind, used, warn_from) else UseState.OK
