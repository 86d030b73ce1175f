"""From a vendor's rows to the desk's bars: windows of time to ask for, and one judge of what may be used."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from apps.core.errors import InvalidInput
from apps.marketdata.domain.bars import FIELDS, BarSeries
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.domain.vendor import BarsPage, Offer
from apps.marketdata.providers.failures import reading
from apps.marketdata.providers.protocol import NotOffered, VendorNonsense

#: The time frames that vendors are asked for: longer ones the desk makes itself, on its own sessions.
FETCHED = frozenset((Timeframe.MINUTE, Timeframe.MINUTES_5, Timeframe.MINUTES_15, Timeframe.HOUR, Timeframe.DAY))


class Row(NamedTuple):
    """One bar of an answer: `ts` is its start in UTC, the numbers as the vendor gave them."""

    ts: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float


class Window(NamedTuple):
    """Starts of bars to ask for: from `first` to before `end`, in UTC."""

    first: datetime
    end: datetime


def refuse_unless(offered: bool, vendor: str, what: str) -> None:
    """Raises NotOffered."""
    if not offered:
        raise NotOffered(f"{vendor} offers no {what}", field="provider")


def windows(
    vendor: str, offer: Offer, timeframe: Timeframe, start: datetime, end: datetime, longest: timedelta, *, grid_minutes: int = 0
) -> list[Window]:
    """The starts of bars in [start, end), in pieces of at most `longest`: on the grid of the time frame (or of `grid_minutes`) both ends.

    None when no bar can start in the range. Raises NotOffered for a time frame that the vendor has not, InvalidInput for a time
    without zone or an empty range.
    """
    if timeframe not in offer.timeframes:
        known = ", ".join(item.code for item in sorted(offer.timeframes))
        raise NotOffered(f"{vendor} has no bars of {timeframe.code}, only of {known}", field="timeframe")
    for name, moment in (("start", start), ("end", end)):
        if moment.tzinfo is None:
            raise InvalidInput("a time needs a zone", field=name)
    if start >= end:
        raise InvalidInput("the range must end after its start", field="end")
    step = timedelta(minutes=grid_minutes or int(timeframe))
    first, last = _ceil(start.astimezone(UTC), step), _ceil(end.astimezone(UTC), step)
    longest -= longest % step
    found = []
    while first < last:
        found.append(Window(first, min(first + longest, last)))
        first = found[-1].end
    return found


def _ceil(moment: datetime, step: timedelta) -> datetime:
    over = (moment - datetime(1970, 1, 1, tzinfo=UTC)) % step
    return moment + (step - over if over else timedelta(0))


def page_of(vendor: str, symbol: str, timeframe: Timeframe, window: Window, rows: Sequence[Row], complete_to: datetime) -> BarsPage:
    """The rows of one window as a page, put in order. Raises VendorNonsense unless every one of them may be used.

    Rows out of order are sorted, repeated rows that are equal count once. Repeated rows that differ, a start outside of the window
    or off the grid of whole minutes, a price that is not above zero, a negative volume, or a high below its low make the whole
    answer unusable: what else in it is wrong nobody can tell.
    """
    with reading(vendor, f"bars of {symbol}"):
        ts = np.array([row.ts.astimezone(UTC).replace(tzinfo=None) for row in rows], "datetime64[us]")
        numbers = np.array([[_number(value) for value in row[1:]] for row in rows], float).reshape(len(rows), len(FIELDS))
    order = np.lexsort((*numbers.T, ts))
    ts, numbers = ts[order], numbers[order]
    again = np.zeros(len(ts), bool)
    again[1:] = ts[1:] == ts[:-1]
    differs = np.zeros(len(ts), bool)
    differs[1:] = again[1:] & (numbers[1:] != numbers[:-1]).any(axis=1)
    _refuse(vendor, symbol, ts, differs, "two different bars for")
    ts, numbers = ts[~again], numbers[~again]
    _check(vendor, symbol, timeframe, window, ts, numbers)
    series = BarSeries(symbol=symbol, ts=ts, **{name: np.ascontiguousarray(numbers[:, column]) for column, name in enumerate(FIELDS)})
    return BarsPage(series=series, timeframe=timeframe, complete_to=complete_to)


def _number(value: object) -> float:
    """Numbers only: a vendor that sends text where it sent numbers has changed its format."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise TypeError(f"{value!r} is not a number")
    return float(value)


def _check(vendor: str, symbol: str, timeframe: Timeframe, window: Window, ts: NDArray[np.datetime64], numbers: NDArray[np.float64]) -> None:
    first, end = (np.datetime64(moment.replace(tzinfo=None), "us") for moment in window)
    opened, high, low, close, volume = numbers.T
    prices = numbers[:, :4]
    grid = "datetime64[D]" if timeframe >= Timeframe.DAY else "datetime64[m]"
    _refuse(vendor, symbol, ts, (ts < first) | (ts >= end), "a bar that was not asked for:")
    _refuse(vendor, symbol, ts, ts != ts.astype(grid), "a bar that starts off the grid:")
    _refuse(vendor, symbol, ts, np.any(~(np.isfinite(prices) & (prices > 0)), axis=1), "a price that is not above zero for")
    _refuse(vendor, symbol, ts, ~(np.isfinite(volume) & (volume >= 0)), "a volume below zero for")
    outside = (high < low) | (np.minimum(opened, close) < low) | (np.maximum(opened, close) > high)
    _refuse(vendor, symbol, ts, outside, "prices outside of low and high for")


def _refuse(vendor: str, symbol: str, ts: NDArray[np.datetime64], bad: NDArray, what: str) -> None:
    if bad.any():
        raise VendorNonsense(f"{vendor} sent {what} {ts[bad][0]} of {symbol}; nothing of the answer is used")
