"""How much to trade: Kelly fractions and quantities from the risk that a trade may cost (domain.md B7). Every sizer is made of these.

The measures are exact (Decimal) and raw. What the sizers of `apps.strategies` ask while bars go by is in floats and rounds to whole lots
of any size in one place, `lots`; the tests hold both to each other.
"""

from collections.abc import Sequence
from decimal import ROUND_FLOOR, Decimal
from math import floor, isfinite, sqrt
from statistics import stdev

from apps.core.errors import InvalidInput
from apps.core.measures import measure
from apps.core.money import finite

Number = float | Decimal | str


@measure(
    "risk.sizing.kelly",
    units="fraction of equity",
    convention="(p b - (1 - p)) / b, raw: negative means no bet; caps and halving are the caller's",
    source="Kelly (1956), A new interpretation of information rate",
)
def kelly(win_probability: float, win_loss_ratio: float) -> float:
    """Kelly's fraction of a bet that wins `win_loss_ratio` times the stake with `win_probability`, else loses the stake."""
    if not 0 <= win_probability <= 1:
        raise InvalidInput(f"{win_probability} is not a probability", field="win_probability")
    if not win_loss_ratio > 0:
        raise InvalidInput(f"{win_loss_ratio} is not positive", field="win_loss_ratio")
    return (win_probability * win_loss_ratio - (1 - win_probability)) / win_loss_ratio


@measure(
    "risk.sizing.kelly_continuous",
    units="fraction of equity",
    convention="(mean - risk_free) / volatility^2, all of the same period, raw before caps",
    source="Thorp (2006), The Kelly criterion in blackjack, sports betting and the stock market",
)
def kelly_continuous(mean: float, risk_free: float, volatility: float) -> float:
    """Kelly's fraction of an asset with normal returns."""
    if not volatility > 0:
        raise InvalidInput(f"{volatility} is not positive", field="volatility")
    return (mean - risk_free) / volatility**2


@measure(
    "risk.sizing.risk_based",
    units="shares",
    convention="floor(equity x risk_fraction / stop_distance) to whole lots",
    source="domain.md B7",
)
def risk_based(equity: Number, risk_fraction: Number, stop_distance: Number, lot_size: int = 1) -> int:
    """Shares whose loss at a stop `stop_distance` [price] away is `risk_fraction` of equity, rounded down to whole lots."""
    return _lots(equity, risk_fraction, _positive(stop_distance, "stop_distance"), lot_size)


@measure(
    "risk.sizing.atr",
    units="shares",
    convention="floor(equity x risk_fraction / (atr x multiple)) to whole lots",
    source="domain.md B7",
)
def atr_based(equity: Number, risk_fraction: Number, atr: Number, multiple: Number, lot_size: int = 1) -> int:
    """Shares whose loss over `multiple` average true ranges is `risk_fraction` of equity, rounded down to whole lots."""
    return _lots(equity, risk_fraction, _positive(atr, "atr") * _positive(multiple, "multiple"), lot_size)


def lots(quantity: float, lot_size: float = 1.0) -> float:
    """Whole lots of the quantity, rounded down; 0 for what is negative or no number. What floats lose below a whole lot is given back."""
    if not isfinite(quantity) or quantity <= 0:
        return 0.0
    return floor(quantity / lot_size * (1 + 1e-14) + 1e-9) * lot_size


def shares_worth(equity: float, fraction: float, price: float) -> float:
    """equity x fraction / price, not rounded; 0 without a price."""
    return equity * fraction / price if price > 0 else 0.0


def shares_at_risk(equity: float, risk_fraction: float, distance: float) -> float:
    """equity x risk_fraction / distance [price], not rounded: what is lost over the distance is the fraction of equity. 0 without a distance."""
    return equity * risk_fraction / distance if distance > 0 else 0.0


def kelly_bet(win_probability: float, win_loss_ratio: float, *, share: float = 0.5, cap: float = 0.2) -> float:
    """`share` of Kelly's fraction, within 0 and `cap`: half Kelly and 20 % unless said otherwise. 0 where nothing can be won."""
    if win_loss_ratio <= 0:
        return 0.0
    return min(max(kelly(win_probability, win_loss_ratio) * share, 0.0), cap)


def target_volatility_weight(target: float, volatility: float, *, cap: float = 1.0) -> float:
    """target / volatility, both annual fractions, never above `cap`; 0 while the volatility is not known."""
    return min(target / volatility, cap) if volatility > 0 else 0.0


def mean_true_range(high: Sequence[float], low: Sequence[float], close: Sequence[float], period: int) -> float:
    """Average true range over the last `period` bars, each bar's span including the gap from the close before; 0 with too few bars.

    A plain mean of the window, so that it does not depend on where the history begins.
    """
    if period < 1 or len(close) <= period:
        return 0.0
    ranges = [max(high[n], close[n - 1]) - min(low[n], close[n - 1]) for n in range(len(close) - period, len(close))]
    return float(sum(ranges) / period)


def annual_volatility(close: Sequence[float], window: int, *, periods_per_year: float = 252.0) -> float:
    """Standard deviation (ddof 1) of the last `window` simple returns, per year; 0 with too few bars or a price that is none."""
    if window < 2 or len(close) <= window or not min(close[-window - 1 :]) > 0:
        return 0.0
    returns = [float(close[n] / close[n - 1] - 1) for n in range(len(close) - window, len(close))]
    return stdev(returns) * sqrt(periods_per_year)


def _lots(equity: Number, risk_fraction: Number, distance: Decimal, lot_size: int) -> int:
    if lot_size < 1:
        raise InvalidInput(f"{lot_size} is no lot size", field="lot_size")
    fraction = finite(risk_fraction, field="risk_fraction")
    if not 0 <= fraction <= 1:
        raise InvalidInput(f"{risk_fraction} is not a fraction", field="risk_fraction")
    budget = max(Decimal(0), finite(equity, field="equity")) * fraction
    return int((budget / distance / lot_size).to_integral_value(ROUND_FLOOR)) * lot_size


def _positive(value: Number, field: str) -> Decimal:
    number = finite(value, field=field)
    if number <= 0:
        raise InvalidInput(f"{value} is not positive", field=field)
    return number
