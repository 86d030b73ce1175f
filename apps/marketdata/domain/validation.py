"""What is wrong with rows of bars, found for all rows at once. One reason per row: the first in the order of the checks."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from apps.marketdata.domain import calendars
from apps.marketdata.domain.bars import FIELDS
from apps.marketdata.domain.merging import BarRows
from apps.marketdata.domain.timeframes import Timeframe

PRICES = FIELDS[:4]


class Problem(StrEnum):
    """Why a row was rejected."""

    MALFORMED_LINE = "MALFORMED_LINE"
    NOT_A_NUMBER = "NOT_A_NUMBER"
    NOT_A_TIME = "NOT_A_TIME"
    NO_TIME_ZONE = "NO_TIME_ZONE"
    UNKNOWN_SYMBOL = "UNKNOWN_SYMBOL"
    OTHER_SYMBOL = "OTHER_SYMBOL"
    PRICE_NOT_POSITIVE = "PRICE_NOT_POSITIVE"
    VOLUME_NEGATIVE = "VOLUME_NEGATIVE"
    OHLC_ORDER = "OHLC_ORDER"
    NOT_A_SESSION = "NOT_A_SESSION"
    NOT_ON_GRID = "NOT_ON_GRID"
    DUPLICATE = "DUPLICATE"
    NOT_AN_ACTION = "NOT_AN_ACTION"
    NOT_A_CURRENCY = "NOT_A_CURRENCY"
    NOT_A_CODE = "NOT_A_CODE"
    IMPOSSIBLE_TICK = "IMPOSSIBLE_TICK"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """A row that was not stored. `line` counts from 1 and includes the header; in a file without lines it is the row's number."""

    file: str
    line: int
    column: str
    code: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Sessions of the calendar, between a symbol's first and last bar, which have no bar: from `first` to `last`, `sessions` in all."""

    symbol: str
    first: date
    last: date
    sessions: int


class Rows(Protocol):
    """Rows of any kind that belong to an instrument and a time."""

    @property
    def instrument_id(self) -> NDArray[np.int64]:
        """Whose row it is [T]."""

    @property
    def ts(self) -> NDArray[np.datetime64]:
        """Of when it is [T]."""

    def __len__(self) -> int: ...


class Findings:
    """Collects rejections by row: `bad` bool [T] says which rows have one."""

    def __init__(self, count: int) -> None:
        self.bad = np.zeros(count, bool)
        self._found: list[tuple[NDArray[np.intp], str, str, Callable[[int], str]]] = []
        self._doubted: list[tuple[NDArray[np.intp], str, str, Callable[[int], str]]] = []

    def reject(self, rows: NDArray[np.bool_], column: str, code: Problem, text: Callable[[int], str]) -> None:
        """Reject the rows of a mask which are still good. `text(row)` is asked only for rows that are reported."""
        fresh = np.flatnonzero(rows & ~self.bad)
        if len(fresh):
            self.bad[fresh] = True
            self._found.append((fresh, column, code, text))

    def warn(self, rows: NDArray[np.bool_], column: str, code: Problem, text: Callable[[int], str]) -> None:
        """Report rows of a mask which are still good, and leave them good."""
        doubted = np.flatnonzero(rows & ~self.bad)
        if len(doubted):
            self._doubted.append((doubted, column, code, text))

    def rejections(self, *, file: str, lines: NDArray[np.int64]) -> list[Rejection]:
        """All rejections in the order of their lines."""
        return self._reported(self._found, file, lines)

    def warnings(self, *, file: str, lines: NDArray[np.int64]) -> list[Rejection]:
        """Good rows with something to say about them, in the order of their lines; one that became bad later is left out."""
        return self._reported([(rows[~self.bad[rows]], *rest) for rows, *rest in self._doubted], file, lines)

    @staticmethod
    def _reported(found: Iterable[tuple[Any, ...]], file: str, lines: NDArray[np.int64]) -> list[Rejection]:
        result = [
            Rejection(file=file, line=int(lines[row]), column=column, code=str(code), text=text(int(row)))
            for rows, column, code, text in found
            for row in rows
        ]
        return sorted(result, key=lambda item: item.line)


def off_range(rows: BarRows, indices: Collection[int]) -> NDArray[np.bool_]:
    """Rows [T] of index instruments whose open or close lies outside low to high."""
    outside = (np.maximum(rows.open, rows.close) > rows.high) | (np.minimum(rows.open, rows.close) < rows.low)
    return outside & np.isin(rows.instrument_id, list(indices))


def check_values(rows: BarRows, findings: Findings, *, indices: Collection[int] = ()) -> None:
    """Prices must be finite and above zero, low and high must enclose open and close, volume must be finite and not negative.

    Of index instruments (`indices`: their ids) an open or close outside low to high is reported and kept: Cboe publishes the VIX so, and
    nobody can trade it. A high below its low is nonsense of anything.
    """
    of_index = np.isin(rows.instrument_id, list(indices)) if indices else np.zeros(len(rows), bool)
    for name in PRICES:
        values = getattr(rows, name)
        findings.reject(
            ~(np.isfinite(values) & (values > 0)),
            name,
            Problem.PRICE_NOT_POSITIVE,
            lambda row, name=name, values=values: f"{name} is {values[row]:g}, a price must be above zero",  # type: ignore[misc]
        )
    volume = rows.volume
    findings.reject(
        ~(np.isfinite(volume) & (volume >= 0)), "volume", Problem.VOLUME_NEGATIVE, lambda row: f"volume is {volume[row]:g}, it must not be negative"
    )
    findings.reject(rows.high < rows.low, "high", Problem.OHLC_ORDER, lambda row: f"high {rows.high[row]:g} is below low {rows.low[row]:g}")
    for name in ("open", "close"):
        values = getattr(rows, name)
        outside = (values > rows.high) | (values < rows.low)
        for report, mask in ((findings.reject, outside & ~of_index), (findings.warn, outside & of_index)):
            report(
                mask,
                name,
                Problem.OHLC_ORDER,
                lambda row, name=name, values=values: (  # type: ignore[misc]
                    f"{name} {values[row]:g} is outside low {rows.low[row]:g} to high {rows.high[row]:g}"
                ),
            )


def check_times(rows: Rows, timeframe: Timeframe, calendar_by_id: Mapping[int, str], findings: Findings) -> None:
    """Bars must start on the time frame's grid, and (up to the day) in a session of the instrument's calendar.

    Intraday bars before the open and after the close are accepted on days with a session.
    """
    minutes = rows.ts.astype("datetime64[m]")
    grid = min(int(timeframe), 30) if timeframe.is_intraday else Timeframe.DAY  # hourly bars may start at half past, like New York
    off = (rows.ts != minutes) | (minutes.astype(np.int64) % int(grid) != 0)
    findings.reject(off, "time", Problem.NOT_ON_GRID, lambda row: f"{rows.ts[row]} is no start of a {timeframe.code} bar")
    if timeframe > Timeframe.DAY:
        return
    for calendar in sorted(set(calendar_by_id.values())):
        ids = [pk for pk, name in calendar_by_id.items() if name == calendar]
        mine = np.flatnonzero(np.isin(rows.instrument_id, ids) & ~findings.bad)
        closed = np.zeros(len(rows), bool)
        closed[mine] = ~calendars.is_session(calendar, _dates(rows.ts[mine], timeframe, calendar))
        findings.reject(
            closed,
            "date",
            Problem.NOT_A_SESSION,
            lambda row, calendar=calendar: f"{rows.ts[row]} is no session of {calendar}",  # type: ignore[misc]
        )


def check_duplicates(rows: Rows, findings: Findings) -> None:
    """Of several good rows for the same bar the first counts, the others are rejected."""
    good = np.flatnonzero(~findings.bad)
    order = good[np.lexsort((good, rows.ts[good], rows.instrument_id[good]))]
    repeats = (rows.instrument_id[order][1:] == rows.instrument_id[order][:-1]) & (rows.ts[order][1:] == rows.ts[order][:-1])
    mask = np.zeros(len(rows), bool)
    mask[order[1:][repeats]] = True
    findings.reject(mask, "date", Problem.DUPLICATE, lambda row: f"{rows.ts[row]} stands in the same file before")


def gaps(symbol: str, ts: NDArray[np.datetime64], timeframe: Timeframe, calendar: str) -> tuple[Gap, ...]:
    """Runs of sessions without a bar between the first and the last of one symbol's bars, all of which stand on sessions.

    None for bars longer than a day.
    """
    if timeframe > Timeframe.DAY or not len(ts):
        return ()
    days = calendars.calendar_of(calendar).days
    at = np.searchsorted(days, _dates(ts, timeframe, calendar))
    seen = np.zeros(len(days), bool)
    seen[at] = True
    missing = np.flatnonzero(~seen[at.min() : at.max()]) + at.min()
    if not len(missing):
        return ()
    runs = np.split(missing, np.flatnonzero(np.diff(missing) > 1) + 1)
    return tuple(Gap(symbol=symbol, first=days[run[0]].item(), last=days[run[-1]].item(), sessions=len(run)) for run in runs)


def _dates(ts: NDArray[np.datetime64], timeframe: Timeframe, calendar: str) -> NDArray[np.datetime64]:
    return calendars.local_dates(calendar, ts) if timeframe.is_intraday else ts.astype("datetime64[D]")
