"""All indicators by name, and the one way in which they are computed.

NaN rule: a row in which a needed column is NaN is a bar that does not exist. It is left out, the indicator is computed over the bars
that remain, and its value in such a row is NaN; so leading NaN lengthen the warm-up by their number, and a hole never poisons
what follows. Infinite inputs are refused. A series that is empty or not longer than the warm-up gives NaN everywhere.
"""

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from apps.core.errors import InvalidInput
from apps.marketdata.domain.indicators import momentum, trend, volatility, volume
from apps.marketdata.domain.indicators.kinds import Indicator, Numbers
from apps.marketdata.domain.indicators.patterns import pattern_indicators

#: All columns that an indicator may look at: a bar's five numbers, a benchmark's close, and a number that changes with the session.
COLUMNS = ("open", "high", "low", "close", "volume", "benchmark", "session")


@cache
def indicators() -> Mapping[str, Indicator]:
    """All indicators by name: trend, momentum, volatility, volume, then candlestick patterns."""
    found = (*trend.INDICATORS, *momentum.INDICATORS, *volatility.INDICATORS, *volume.INDICATORS, *pattern_indicators())
    return MappingProxyType({item.name: item for item in found})


def indicator_get(name: str) -> Indicator:
    """One indicator. Raises InvalidInput for a name that is not registered."""
    found = indicators().get(name)
    if found is None:
        raise InvalidInput(f"there is no indicator {name!r}", field="indicator")
    return found


def compute(name: str, columns: Mapping[str, ArrayLike], parameters: Mapping[str, Any] | None = None, *, column: str = "close") -> dict[str, Numbers]:
    """The indicator's lines by name, each float64 [T] as long as the columns, NaN while warming up.

    `column` puts another column in the place of the close for indicators of one series. Raises InvalidInput for an unknown
    indicator, column or parameter, a missing column, lengths that differ and infinite numbers; `field` names the offender.
    """
    indicator = indicator_get(name)
    values = indicator.values(parameters or {})
    given = _columns(indicator, columns, column)
    length = len(next(iter(given.values())))
    numeric = [given[key] for key in given if key != "session"]
    there = ~np.isnan(np.sum(numeric, axis=0)) if length else np.zeros(0, bool)
    lines = {line.name: np.full(length, np.nan) for line in indicator.lines}
    if int(there.sum()) <= indicator.warmup(values):
        return lines
    whole = bool(there.all())
    compact = given if whole else {key: series[there] for key, series in given.items()}
    for key, series in indicator.compute(compact, values).items():
        lines[key][there] = series
        lines[key][np.flatnonzero(there)[: indicator.warmup(values)]] = np.nan
    return lines


def _columns(indicator: Indicator, columns: Mapping[str, ArrayLike], column: str) -> dict[str, Numbers]:
    """The needed columns as float64 arrays of one length."""
    for key in (*columns, column):
        if key not in COLUMNS:
            raise InvalidInput(f"there is no column {key!r}: they are {', '.join(COLUMNS)}", field=key)
    if column != "close" and not indicator.on_any_column:
        raise InvalidInput(f"{indicator.name} looks at {', '.join(indicator.columns)}, not at one column of choice", field="column")
    names = {key: column if indicator.on_any_column else key for key in indicator.columns}
    missing = [source for key, source in names.items() if columns.get(source) is None and key not in indicator.optional]
    if missing:
        raise InvalidInput(f"{indicator.name} needs {', '.join(missing)}", field=missing[0])
    given = {key: _series(source, columns[source]) for key, source in names.items() if columns.get(source) is not None}
    length = len(next(iter(given.values())))
    for key, series in given.items():
        if len(series) != length:
            raise InvalidInput(f"{key} has {len(series)} values, where the other columns have {length}", field=key)
    if "session" in names and "session" not in given:
        given["session"] = np.zeros(length)
    return given


def _series(name: str, values: ArrayLike) -> Numbers:
    if name == "session":
        marks = np.asarray(values)
        if marks.ndim != 1:
            raise InvalidInput("session is a list", field=name)
        return np.unique(marks, return_inverse=True)[1].astype(np.float64)
    try:
        series = np.ascontiguousarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"{name} holds something that is no number", field=name) from error
    if series.ndim != 1:
        raise InvalidInput(f"{name} is a list of numbers", field=name)
    if np.isinf(series).any():
        raise InvalidInput(f"{name} holds an infinite number", field=name)
    return series
