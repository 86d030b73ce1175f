"""Longer bars out of shorter ones, on the boundaries of sessions.

Buckets of minutes and hours begin where a part of the day begins: those of the regular session at the open (hourly 09:30, 10:30, ...,
the last one shorter), those of extended hours at 04:00 and at the close. A day is its regular session alone, its bar starts at
midnight UTC of the session date. Weeks begin on Monday and months on the first, both in sessions.
"""

import numpy as np
from numpy.typing import NDArray

from apps.core.errors import InvalidInput
from apps.marketdata.domain.bars import BarSeries
from apps.marketdata.domain.sessions import SessionPart, part_begins, session_of, session_parts
from apps.marketdata.domain.timeframes import Timeframe


def resample(series: BarSeries, source: Timeframe, to: Timeframe, calendar: str) -> BarSeries:
    """Bars of `to` from bars of `source` in time order: first open, highest high, lowest low, last close, sum of volumes.

    A bucket without a bar has no bar; bars outside every part of a trading day are left out. The last bucket holds what there is.
    Raises InvalidInput when `source` is not the shorter, or when its bars would have to be cut (weeks into months).
    """
    if source is to:
        return series
    if source > to or source is Timeframe.WEEK or (to.is_intraday and int(to) % int(source)):
        raise InvalidInput(f"bars of {to.code} cannot be made of bars of {source.code}", field="timeframe")
    start = buckets(series.ts, source, to, calendar)
    rows = np.flatnonzero(~np.isnat(start))
    if not len(rows):
        return _take(series, rows)
    kept, start = _take(series, rows), start[rows]
    first = np.flatnonzero(np.append(True, start[1:] != start[:-1]))
    last = np.append(first[1:], len(start)) - 1
    return BarSeries(
        symbol=series.symbol,
        ts=start[first],
        open=kept.open[first],
        high=np.maximum.reduceat(kept.high, first),
        low=np.minimum.reduceat(kept.low, first),
        close=kept.close[last],
        volume=np.add.reduceat(kept.volume, first),
    )


def buckets(ts: NDArray[np.datetime64], source: Timeframe, to: Timeframe, calendar: str) -> NDArray[np.datetime64]:
    """Start of the bucket of each bar, datetime64[us] [T]; not-a-time for a bar that belongs to none."""
    if to.is_intraday:
        begins = part_begins(calendar, ts)
        width = np.timedelta64(int(to), "m")
        with np.errstate(invalid="ignore"):  # not-a-time stays so
            return begins + (ts - begins) // width * width
    if source.is_intraday:
        days = session_of(calendar, ts)
        days[session_parts(calendar, ts) != SessionPart.REGULAR] = np.datetime64("NaT")
    else:
        days = ts.astype("datetime64[D]")
    return period_starts(days, to).astype("datetime64[us]")


def period_starts(days: NDArray[np.datetime64], to: Timeframe) -> NDArray[np.datetime64]:
    """First day of the day, the week (a Monday) or the month in which each day lies, datetime64[D] [T]."""
    if to is Timeframe.WEEK:
        return days - (days.astype(np.int64) + 3) % 7 * np.timedelta64(1, "D")  # 1970-01-01 was a Thursday
    return days.astype("datetime64[M]").astype("datetime64[D]") if to is Timeframe.MONTH else days


def _take(series: BarSeries, rows: NDArray[np.intp]) -> BarSeries:
    return BarSeries(
        symbol=series.symbol,
        ts=series.ts[rows],
        open=series.open[rows],
        high=series.high[rows],
        low=series.low[rows],
        close=series.close[rows],
        volume=series.volume[rows],
    )
