"""What a portfolio achieved over a period, from its daily values."""

from dataclasses import dataclass
from enum import StrEnum
from math import isfinite, nan

import numpy as np
from numpy.typing import NDArray

from apps.analytics.domain import ratios
from apps.strategies.domain.performance import max_drawdown, total_return

Numbers = NDArray[np.float64]
Times = NDArray[np.datetime64]


class Period(StrEnum):
    """How far back, from the last value."""

    WEEK = "5D"
    MONTH = "1M"
    QUARTER = "3M"
    HALF_YEAR = "6M"
    YEAR = "1Y"
    YEAR_TO_DATE = "YTD"
    ALL = "ALL"


_MONTHS = {Period.MONTH: 1, Period.QUARTER: 3, Period.HALF_YEAR: 6, Period.YEAR: 12}


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """Measures of a period, time-weighted and net of fees. None is unknown: too few values.

    `win_rate` is the share of sessions with a positive return. `ts` [T], `value` [T] and `cumulative` [T] (return since the period's
    beginning, 0 at first) are for the chart; `observations` is the number of returns, T - 1 unless one is unknown.
    """

    period: Period
    observations: int
    total_return: float | None
    annualized_return: float | None
    volatility: float | None
    sharpe_ratio: float | None
    sortino_ratio: float | None
    calmar_ratio: float | None
    max_drawdown: float | None
    win_rate: float | None
    ts: Times
    value: Numbers
    cumulative: Numbers


def performance(*, period: Period, ts: Times, total: Numbers, daily_return: Numbers) -> Performance:
    """Measures of the values (oldest first) in the period; its first row is the base, its return belongs to the time before."""
    first = period_start(period, ts)
    ts, total = ts[first:], total[first:]
    returns = np.concatenate([[0.0], daily_return[first + 1 :]]) if len(ts) else daily_return
    known = returns[1:][~np.isnan(returns[1:])]
    return Performance(
        period=period,
        observations=len(known),
        total_return=total_return(known) if len(known) else None,
        annualized_return=_known(ratios.cagr(known)) if len(known) > 1 else None,
        volatility=_known(ratios.volatility(known)),
        sharpe_ratio=_known(ratios.sharpe(known)),
        sortino_ratio=_known(ratios.sortino(known)),
        calmar_ratio=_known(ratios.calmar(known)) if len(known) > 1 else None,
        max_drawdown=_known(max_drawdown(known) if len(known) else nan),
        win_rate=float(np.mean(known > 0)) if len(known) else None,
        ts=ts,
        value=total,
        cumulative=np.cumprod(1.0 + np.nan_to_num(returns)) - 1.0,
    )


def period_start(period: Period, ts: Times) -> int:
    """Index of the row that the period starts from: the last one at or before its beginning, else the first of all."""
    if period is Period.ALL or not len(ts):
        return 0
    last = ts[-1]
    if period is Period.WEEK:
        return max(0, len(ts) - 6)
    year = last.astype("datetime64[Y]").astype("datetime64[us]")
    beginning = year if period is Period.YEAR_TO_DATE else _months_before(last, _MONTHS[period])
    return max(0, int(np.searchsorted(ts, beginning, side="right")) - 1)


def _months_before(moment: np.datetime64, months: int) -> np.datetime64:
    """The same day and time some months earlier, or the last day of a shorter month."""
    month = moment.astype("datetime64[M]")
    into = moment - month.astype("datetime64[us]")
    earlier = month - months
    longest = (earlier + 1).astype("datetime64[us]") - np.timedelta64(1, "D") - earlier.astype("datetime64[us]")
    day = np.timedelta64(1, "D").astype("timedelta64[us]")
    return np.datetime64(earlier.astype("datetime64[us]") + min(into // day * day, longest) + into % day)


def _known(number: float) -> float | None:
    return number if isfinite(number) else None
