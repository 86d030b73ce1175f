"""How much to buy: each sizer gives whole lots, rounded down, never more than the cash pays for.

Floats, because they sit in the engine's loop beside prices; the live engine turns the result into a Decimal of whole lots.
"""

from collections.abc import Sequence
from math import floor, isfinite


def lots(quantity: float, lot_size: float = 1.0) -> float:
    """Whole lots of the quantity, rounded down; 0 for what is negative or no number."""
    if not isfinite(quantity) or quantity <= 0:
        return 0.0
    return floor(quantity / lot_size + 1e-9) * lot_size


def fixed(quantity: float, lot_size: float = 1.0) -> float:
    """The same quantity each time."""
    return lots(quantity, lot_size)


def percent(equity: float, fraction: float, price: float, lot_size: float = 1.0) -> float:
    """equity x fraction / price (seed: PercentSizer)."""
    return lots(equity * fraction / price, lot_size) if price > 0 else 0.0


def risk_based(equity: float, risk_fraction: float, stop_distance: float, lot_size: float = 1.0) -> float:
    """equity x risk_fraction / stop_distance: what is lost at the stop is the fraction of equity."""
    return lots(equity * risk_fraction / stop_distance, lot_size) if stop_distance > 0 else 0.0


def volatility(equity: float, risk_fraction: float, atr: float, multiple: float, lot_size: float = 1.0) -> float:
    """equity x risk_fraction / (ATR x multiple)."""
    return risk_based(equity, risk_fraction, atr * multiple, lot_size)


def kelly_fraction(win_probability: float, win_loss_ratio: float, *, share: float = 0.5, cap: float = 0.2) -> float:
    """`share` of Kelly's f* = (p b - q) / b, within 0 and `cap`: half Kelly and 20 % unless said otherwise."""
    if win_loss_ratio <= 0:
        return 0.0
    full = (win_probability * win_loss_ratio - (1 - win_probability)) / win_loss_ratio
    return min(max(full * share, 0.0), cap)


def mean_true_range(high: Sequence[float], low: Sequence[float], close: Sequence[float], period: int) -> float:
    """Average true range over the last `period` bars, each bar's span including the gap from the close before; 0 with too few bars.

    A plain mean of the window, so that it does not depend on where the history begins.
    """
    if period < 1 or len(close) <= period:
        return 0.0
    ranges = [max(high[n], close[n - 1]) - min(low[n], close[n - 1]) for n in range(len(close) - period, len(close))]
    return float(sum(ranges) / period)
