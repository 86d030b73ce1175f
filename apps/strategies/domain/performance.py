"""What a run of returns was worth. Returns are simple, decimal (0.01 = 1 %), one per period; NaN rows are dropped first.

Conventions: sample deviation (ddof 1), `periods_per_year` 252 for sessions, drawdowns as fractions <= 0 from a peak that
includes the beginning. Source: Sharpe (1994); Bacon, Practical Portfolio Performance Measurement and Attribution (2008).
"""

from collections.abc import Sequence
from math import inf, nan, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from apps.marketdata.domain.timeframes import Timeframe

Numbers = NDArray[np.float64]
SESSIONS_PER_YEAR = 252.0
DAYS_PER_YEAR = 365.0
MINUTES_PER_SESSION = 390.0
MINUTES_PER_DAY = 1_440.0


def periods_per_year(timeframe: Timeframe, *, every_day: bool = False) -> float:
    """Bars of a year: 252 sessions of 390 minutes, or with `every_day` 365 days of 24 hours; 52 weeks, 12 months."""
    if timeframe is Timeframe.MONTH:
        return 12.0
    if timeframe is Timeframe.WEEK:
        return 52.0
    days, minutes = (DAYS_PER_YEAR, MINUTES_PER_DAY) if every_day else (SESSIONS_PER_YEAR, MINUTES_PER_SESSION)
    return days if timeframe is Timeframe.DAY else days * minutes / int(timeframe)


def clean(returns: ArrayLike) -> Numbers:
    """The returns as float64 without NaN."""
    values = np.asarray(returns, np.float64)
    return values[~np.isnan(values)]


def returns_of(values: ArrayLike) -> Numbers:
    """Simple returns [T-1] of a series of values [T]."""
    series = np.asarray(values, np.float64)
    return series[1:] / series[:-1] - 1.0


def total_return(returns: ArrayLike) -> float:
    """Compounded return of all periods; 0 for none."""
    return float(np.prod(1.0 + clean(returns)) - 1.0)


def cagr(returns: ArrayLike, periods_per_year: float = SESSIONS_PER_YEAR) -> float:
    """Compound annual growth rate; NaN without returns, -1 when everything was lost."""
    values = clean(returns)
    if not len(values):
        return nan
    end = float(np.prod(1.0 + values))
    return end ** (periods_per_year / len(values)) - 1.0 if end > 0 else -1.0


def volatility(returns: ArrayLike, periods_per_year: float = SESSIONS_PER_YEAR) -> float:
    """Annualised sample deviation; NaN for fewer than two returns."""
    values = clean(returns)
    return float(np.std(values, ddof=1)) * sqrt(periods_per_year) if len(values) > 1 else nan


def sharpe(returns: ArrayLike, periods_per_year: float = SESSIONS_PER_YEAR, risk_free: float | Sequence[float] = 0.0) -> float:
    """Annualised mean over sample deviation of the returns above `risk_free` (per period: a number or one for each return).

    NaN for fewer than two returns; without deviation inf for a positive mean, else NaN.
    """
    excess = clean(np.asarray(returns, np.float64) - np.asarray(risk_free, np.float64))
    if len(excess) < 2:
        return nan
    mean, deviation = float(excess.mean()), float(np.std(excess, ddof=1))
    if deviation == 0.0 or np.ptp(excess) == 0.0:
        return inf if mean > 0 else nan
    return mean / deviation * sqrt(periods_per_year)


def drawdowns(returns: ArrayLike) -> Numbers:
    """Fall from the highest value so far [T], <= 0; the value before the first return counts as a peak. NaN counts as no change."""
    wealth = np.cumprod(1.0 + np.nan_to_num(np.asarray(returns, np.float64)))
    peak = np.maximum(np.maximum.accumulate(wealth), 1.0) if len(wealth) else wealth
    return wealth / peak - 1.0


def max_drawdown(returns: ArrayLike) -> float:
    """Deepest drawdown, a fraction <= 0; NaN without returns."""
    values = clean(returns)
    return float(drawdowns(values).min()) if len(values) else nan
