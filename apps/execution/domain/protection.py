"""What protects a live engine's money: stop-loss, trailing stop, portfolio stop, maximum drawdown, and the circuit breaker.

Pure: what was remembered, what is seen now and the configuration in; what to close, and what to remember, out. Looking twice at the same thing
changes nothing. A stop only ever closes what is held, so it is a reduction. What is unknown triggers no stop, but lets nothing new be opened.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType

ONE = Decimal(1)
ZERO = Decimal(0)
#: How finely a position's highest price is kept, as a multiple of its cost.
MARK_PLACES = Decimal("1e-10")


class StopKind(StrEnum):
    """Why a position is closed, the cause that is nearest to the position first."""

    STOP_LOSS = "stop_loss"
    TRAILING_STOP = "trailing_stop"
    PORTFOLIO_STOP = "portfolio_stop"
    MAX_DRAWDOWN = "max_drawdown"


@dataclass(frozen=True, slots=True, kw_only=True)
class StopLossConfig:
    """Fractions (0.05 is 5 %), None where a stop is off. Named as in seed 003.

    `position_stop_pct` from the average cost, `trailing_stop_pct` from the highest price since the position was opened,
    `portfolio_stop_pct` the day's loss of the portfolio, `max_drawdown_pct` its fall from its highest value.
    """

    position_stop_pct: Decimal | None = None
    trailing_stop_pct: Decimal | None = None
    portfolio_stop_pct: Decimal | None = None
    max_drawdown_pct: Decimal | None = None
    enable_circuit_breaker: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class LivePosition:
    """A long position of the engine's book (seed 003). Money in the portfolio's currency; `current_price` None is unknown."""

    symbol: str
    quantity: Decimal
    average_cost: Decimal
    current_price: Decimal | None
    realized_pnl: Decimal = ZERO

    @property
    def unrealized_pnl(self) -> Decimal | None:
        """Paper gain or loss."""
        return None if self.current_price is None else (self.current_price - self.average_cost) * self.quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """What is remembered from look to look, and across restarts.

    `marks` is the highest price of each position as a multiple of its average cost (>= 1), which a split does not change. `peak` is the
    portfolio's highest value, moved by `flows`, the net deposits so far: money that is paid in or out is no gain and no loss.
    """

    marks: Mapping[str, Decimal] = field(default_factory=lambda: MappingProxyType({}))
    peak: Decimal | None = None
    flows: Decimal = ZERO
    tripped: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What is seen now. `equity` and `day_return` (a fraction) are the whole portfolio's, None when a price is missing."""

    positions: tuple[LivePosition, ...]
    equity: Decimal | None
    day_return: Decimal | None
    flows: Decimal = ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitSignal:
    """A position to close whole: `level` is where the stop stands, `seen` what reached it (a price, or a fraction of the portfolio)."""

    symbol: str
    kind: StopKind
    quantity: Decimal
    level: Decimal
    seen: Decimal
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded:
    """What follows from a look: `exits` by symbol, what to remember, and why nothing new may be opened ("" when it may).

    `trips` is true when this look has tripped the breaker.
    """

    state: Protection
    exits: tuple[ExitSignal, ...]
    blocked: str
    trips: bool


def check_stops(config: StopLossConfig, before: Protection, look: Look) -> Guarded:
    """Hold what is seen to every stop (seed 003: `RiskManager.check_stops`)."""
    marks = {position.symbol: _mark(position, before.marks.get(position.symbol, ONE)) for position in look.positions}
    peak = _peak(before, look)
    state = replace(before, marks=marks, peak=peak, flows=look.flows)
    breach = _portfolio_breach(config, look, peak)
    trips = breach is not None and config.enable_circuit_breaker and not before.tripped
    if trips and breach is not None:
        state = replace(state, tripped=True, reason=breach[3])
    exits = []
    for position in look.positions:
        found = _position_exit(config, position, marks[position.symbol])
        if found is None and breach is not None:
            kind, level, seen, reason = breach
            found = ExitSignal(symbol=position.symbol, kind=kind, quantity=position.quantity, level=level, seen=seen, reason=reason)
        if found is not None:
            exits.append(found)
    return Guarded(state=state, exits=tuple(exits), blocked=_blocked(config, state, look, breach), trips=trips)


def breaker_reset(before: Protection, *, equity: Decimal | None, flows: Decimal = ZERO) -> Protection:
    """A person lets the engine go on: falls are measured from the value now, else the breaker would trip again at once."""
    return replace(before, tripped=False, reason="", peak=equity, flows=flows)


def stop_levels(config: StopLossConfig, position: LivePosition, mark: Decimal) -> dict[StopKind, Decimal]:
    """At which prices the position's own stops stand."""
    levels = {}
    if config.position_stop_pct is not None:
        levels[StopKind.STOP_LOSS] = position.average_cost * (ONE - config.position_stop_pct)
    if config.trailing_stop_pct is not None:
        levels[StopKind.TRAILING_STOP] = position.average_cost * mark * (ONE - config.trailing_stop_pct)
    return levels


def drawdown(peak: Decimal | None, equity: Decimal | None) -> Decimal | None:
    """Fall from the peak, a fraction <= 0; None when one of them is unknown."""
    return None if peak is None or equity is None or peak <= ZERO else min(ZERO, equity / peak - ONE)


def _mark(position: LivePosition, before: Decimal) -> Decimal:
    if position.current_price is None or position.average_cost <= ZERO:
        return before
    return max(before, (position.current_price / position.average_cost).quantize(MARK_PLACES))


def _peak(before: Protection, look: Look) -> Decimal | None:
    if look.equity is None:
        return None if before.peak is None else before.peak + look.flows - before.flows
    return look.equity if before.peak is None else max(before.peak + look.flows - before.flows, look.equity)


def _position_exit(config: StopLossConfig, position: LivePosition, mark: Decimal) -> ExitSignal | None:
    price = position.current_price
    if price is None:
        return None
    for kind, level in stop_levels(config, position, mark).items():
        if price <= level:
            share = config.position_stop_pct if kind is StopKind.STOP_LOSS else config.trailing_stop_pct
            anchor = "the average cost" if kind is StopKind.STOP_LOSS else "the highest price since it was opened"
            reason = f"{position.symbol} at {_n(price)} is at or below {_n(level)}, which is {share:.2%} below {anchor}"
            return ExitSignal(symbol=position.symbol, kind=kind, quantity=position.quantity, level=level, seen=price, reason=reason)
    return None


def _portfolio_breach(config: StopLossConfig, look: Look, peak: Decimal | None) -> tuple[StopKind, Decimal, Decimal, str] | None:
    limit, seen = config.portfolio_stop_pct, look.day_return
    if limit is not None and seen is not None and seen <= -limit:
        return StopKind.PORTFOLIO_STOP, -limit, seen, f"the portfolio's day stands at {seen:.2%}, the portfolio stop at {-limit:.2%}"
    limit, fall = config.max_drawdown_pct, drawdown(peak, look.equity)
    if limit is not None and fall is not None and fall <= -limit:
        return StopKind.MAX_DRAWDOWN, -limit, fall, f"the portfolio is {fall:.2%} from its peak, the maximum drawdown is {-limit:.2%}"
    return None


def _blocked(config: StopLossConfig, state: Protection, look: Look, breach: tuple[StopKind, Decimal, Decimal, str] | None) -> str:
    if state.tripped:
        return f"the circuit breaker is open: {state.reason}"
    if breach is not None:
        return breach[3]
    if config.portfolio_stop_pct is not None and look.day_return is None:
        return "the day's result is unknown, so the portfolio stop cannot be held"
    if config.max_drawdown_pct is not None and look.equity is None:
        return "the portfolio's value is unknown, so the maximum drawdown cannot be held"
    return ""


def _n(value: Decimal) -> str:
    return f"{value:.4f}".rstrip("0").rstrip(".")
