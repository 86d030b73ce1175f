"""Cells of a file into numbers, times and symbols. Whole columns at once; cell by cell only where a column has bad ones."""

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.domain.validation import Findings, Problem

if TYPE_CHECKING:
    import pyarrow as pa

NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
COMPACT_DATE = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})")
#: Seconds or milliseconds since 1970, as charting programs export them: UTC by definition.
EPOCH_SECONDS = re.compile(r"[0-9]{9,10}|[0-9]{12,13}")
NO_TIME = np.datetime64("NaT", "us")


def numbers(column: "pa.Array", name: str, findings: Findings) -> NDArray[np.float64]:
    """A column as float64 [T]; NaN, and a finding, where a cell is no number. Thousands separators are refused, not guessed."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_string(column.type) and not pa.types.is_large_string(column.type):
        return np.asarray(pc.cast(column, pa.float64(), safe=False).to_numpy(zero_copy_only=False), float)
    good = pc.match_substring_regex(column, NUMBER).fill_null(False).to_numpy(zero_copy_only=False)
    findings.reject(~good, name, Problem.NOT_A_NUMBER, lambda row: f"{name} is {column[row].as_py()!r}, not a number")
    readable = column if good.all() else pc.if_else(pa.array(good), column, pa.scalar(None, column.type))
    return np.asarray(pc.cast(readable, pa.float64()).to_numpy(zero_copy_only=False), float)


def absent(column: "pa.Array") -> NDArray[np.bool_]:
    """Cells that say that there is no value [T]: empty ones, and the full stop by which FRED marks a holiday."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_string(column.type) and not pa.types.is_large_string(column.type):
        return np.asarray(column.is_null().to_numpy(zero_copy_only=False), bool)
    found = pc.is_in(column, value_set=pa.array(["", "."], column.type))
    return np.asarray(found.to_numpy(zero_copy_only=False), bool) | np.asarray(column.is_null().to_numpy(zero_copy_only=False), bool)


def symbols(column: "pa.Array") -> tuple[list[str], NDArray[np.int64]]:
    """The different symbols of a column, and for each row the position of its symbol [T]."""
    import pyarrow as pa
    import pyarrow.compute as pc

    encoded = pc.dictionary_encode(pc.cast(column, pa.string()).fill_null(""))
    return encoded.dictionary.to_pylist(), encoded.indices.to_numpy().astype(np.int64)


def times(column: "pa.Array", timeframe: Timeframe, *, utc: bool, findings: Findings) -> NDArray[np.datetime64]:
    """Starts of bars, datetime64[us] in UTC [T]; NaT, and a finding, where a cell is no time.

    Daily bars and longer take the date as it is written and drop the time of day. Shorter bars need a time with its zone
    ("Z", an offset, seconds since 1970), or a column whose name ends in UTC (`utc`): a zone is never guessed.
    """
    import pyarrow as pa

    if pa.types.is_integer(column.type):
        column = column.cast(pa.string())
    if not pa.types.is_string(column.type) and not pa.types.is_large_string(column.type):
        return _typed_times(column, timeframe, utc, findings)
    fast = _all_at_once(column, timeframe, utc)
    return _one_by_one(column, timeframe, utc, findings) if fast is None else fast


def _all_at_once(column: "pa.Array", timeframe: Timeframe, utc: bool) -> NDArray[np.datetime64] | None:
    """The usual case, a column of one well-formed kind; None for anything else."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        if timeframe.is_intraday:
            zoned = not utc or bool(pc.any(pc.match_substring_regex(column, r"Z|[+-][0-9:]{2,5}$")).as_py())
            found = column.cast(pa.timestamp("us", "UTC") if zoned else pa.timestamp("us"))
        else:
            if pc.max(pc.utf8_length(column)).as_py() != 10 or pc.min(pc.utf8_length(column)).as_py() != 10:
                return None
            found = column.cast(pa.date32()).cast(pa.timestamp("us"))
    except pa.ArrowInvalid:
        return None
    return np.asarray(found.cast(pa.int64()).to_numpy(zero_copy_only=False)).view("datetime64[us]")


def _one_by_one(column: "pa.Array", timeframe: Timeframe, utc: bool, findings: Findings) -> NDArray[np.datetime64]:
    cells = [cell or "" for cell in column.to_pylist()]
    result = np.full(len(cells), NO_TIME)
    no_zone = np.zeros(len(cells), bool)
    for row, cell in enumerate(cells):
        moment = _moment(cell)
        if moment is None:
            continue
        if not timeframe.is_intraday:
            result[row] = np.datetime64(moment.date(), "us")
        elif moment.tzinfo is None and not utc:
            no_zone[row] = True
        else:
            zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            result[row] = np.datetime64(zoned.astimezone(UTC).replace(tzinfo=None), "us")
    findings.reject(no_zone, "date", Problem.NO_TIME_ZONE, lambda row: f"{cells[row]!r} has no time zone, which bars of {timeframe.code} need")
    findings.reject(np.isnat(result), "date", Problem.NOT_A_TIME, lambda row: f"{cells[row]!r} is not a time like 2012-01-03 or 2012-01-03T14:30:00Z")
    return result


def _moment(cell: str) -> datetime | None:
    if compact := COMPACT_DATE.fullmatch(cell):
        cell = "-".join(compact.groups())
    elif EPOCH_SECONDS.fullmatch(cell):
        return datetime.fromtimestamp(int(cell) / (1000 if len(cell) > 10 else 1), UTC)
    elif not cell[:5].endswith("-"):  # Python also reads week dates, which no vendor means
        return None
    try:
        return datetime.fromisoformat(cell)
    except ValueError:
        return None


def _typed_times(column: "pa.Array", timeframe: Timeframe, utc: bool, findings: Findings) -> NDArray[np.datetime64]:
    """Dates and timestamps of a Parquet file."""
    import pyarrow as pa
    import pyarrow.compute as pc

    count = len(column)
    if not (pa.types.is_date(column.type) or pa.types.is_timestamp(column.type)):
        findings.reject(np.ones(count, bool), "date", Problem.NOT_A_TIME, lambda _row: f"a column of type {column.type} holds no times")
        return np.full(count, NO_TIME)
    zoned = pa.types.is_timestamp(column.type) and column.type.tz is not None
    if timeframe.is_intraday and not zoned and not utc:
        findings.reject(np.ones(count, bool), "date", Problem.NO_TIME_ZONE, lambda _row: f"times have no zone, which bars of {timeframe.code} need")
    if zoned and not timeframe.is_intraday:
        column = pc.local_timestamp(column)  # the date as it was written
    found = column.cast(pa.timestamp("us", "UTC") if zoned and timeframe.is_intraday else pa.timestamp("us"), safe=False)
    result = np.asarray(found.to_numpy(zero_copy_only=False)).astype("datetime64[us]")
    findings.reject(np.isnat(result), "date", Problem.NOT_A_TIME, lambda _row: "the time is empty")
    return result if timeframe.is_intraday else result.astype("datetime64[D]").astype("datetime64[us]")
