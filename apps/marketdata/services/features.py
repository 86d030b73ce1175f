"""Features of stored bars: read with enough bars before, computed once per data set and version, never with a look ahead."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

import numpy as np
from numpy.typing import NDArray

from apps.core.errors import InvalidInput
from apps.marketdata.domain import calendars
from apps.marketdata.domain.adjustment import Adjustment
from apps.marketdata.domain.bars import FIELDS, BarPanel, fingerprint
from apps.marketdata.domain.features import FeatureMatrix, FeatureSet, compute_features
from apps.marketdata.domain.indicators import indicator_get
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.selectors.bars import bounds
from apps.marketdata.selectors.features import warm_start
from apps.marketdata.selectors.instruments import instruments_get
from apps.marketdata.selectors.resampled import panel_at
from apps.marketdata.services.feature_cache import cache_read, cache_write

#: Bars times symbols times features of one matrix: 1.6 GB.
MOST_NUMBERS = 200_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureBars:
    """What features are computed from: the symbols' panel, the benchmark's closes [T] and the sessions [T] where they are needed."""

    panel: BarPanel
    benchmark: NDArray[np.float64] | None
    session: NDArray[np.datetime64] | None


def feature_matrix(
    *,
    symbols: Sequence[str],
    timeframe: Timeframe,
    start: date | datetime,
    end: date | datetime,
    feature_set: FeatureSet,
    adjustment: Adjustment = Adjustment.SPLIT,
    as_of: datetime | None = None,
    benchmark: str = "",
) -> FeatureMatrix:
    """Features [T, N, F] from `start` to `end` (as in `selectors.bars`), complete from the first row on where there are bars before it.

    Prices are told in the shares of the last day of the range, so features in units of price change with `end` when a split lies between;
    ratios do not. With `as_of` from the bars and actions that the desk knew then. Raises NotFound for unknown symbols, and InvalidInput for
    a range that is empty, no symbols, an indicator without its benchmark, and more than 200 million numbers.
    """
    if not symbols:
        raise InvalidInput("name at least one symbol", field="symbols")
    lower, upper = bounds(start, end)
    if lower >= upper:
        raise InvalidInput(f"{end} is before {start}", field="end")
    bars = _bars(symbols, timeframe, lower, end, feature_set, adjustment, as_of, benchmark)
    panel = bars.panel
    first = int(np.searchsorted(panel.ts, np.datetime64(lower.astimezone(UTC).replace(tzinfo=None), "us")))
    if panel.close.size * len(feature_set.specs) > MOST_NUMBERS:
        raise InvalidInput(f"{panel.close.size} bars of {len(feature_set.specs)} features are more than {MOST_NUMBERS} numbers", field="symbols")
    dataset = _dataset(bars)
    key = hashlib.sha256(f"{dataset}\x00{feature_set.version}\x00{first}".encode()).hexdigest()
    values = cache_read(key)
    if values is None:
        values = compute_features(panel, feature_set.specs, benchmark=bars.benchmark, session=bars.session)[first:]
        cache_write(key, values)
    return FeatureMatrix(
        ts=panel.ts[first:], symbols=panel.symbols, features=feature_set.names, values=values, dataset=dataset, version=feature_set.version
    )


def _bars(
    symbols: Sequence[str],
    timeframe: Timeframe,
    lower: datetime,
    end: date | datetime,
    feature_set: FeatureSet,
    adjustment: Adjustment,
    as_of: datetime | None,
    benchmark: str,
) -> FeatureBars:
    """The range with as many bars before it as the set remembers."""
    needed = {column for spec in feature_set.specs for column in indicator_get(spec.indicator).columns}
    if "benchmark" in needed and not benchmark:
        raise InvalidInput("a feature of this set needs a benchmark", field="benchmark")
    instruments = instruments_get(symbols)
    extra = [benchmark] if "benchmark" in needed and benchmark not in symbols else []
    ids = [item.pk for item in instruments_get([*symbols, *extra]).values()]
    memory = feature_set.memory
    start = None if memory is None else warm_start(ids, timeframe, lower, memory) if memory else lower
    panel = panel_at(symbols=[*symbols, *extra], timeframe=timeframe, start=start, end=end, adjustment=adjustment, as_of=as_of)
    market = panel.close[:, panel.symbols.index(benchmark)] if "benchmark" in needed else None
    own = BarPanel(symbols=tuple(symbols), ts=panel.ts, **{name: getattr(panel, name)[:, : len(symbols)] for name in FIELDS})
    names = {item.calendar for item in instruments.values()}
    session = _sessions(panel.ts, timeframe, names.pop() if len(names) == 1 else "") if "session" in needed else None
    return FeatureBars(panel=own, benchmark=market, session=session)


def _sessions(ts: NDArray[np.datetime64], timeframe: Timeframe, calendar: str) -> NDArray[np.datetime64]:
    """The date of each bar on its exchange's clock; in UTC where the symbols' calendars differ."""
    if timeframe.is_intraday and calendar:
        return calendars.local_dates(calendar, ts)
    return ts.astype("datetime64[D]")


def _dataset(bars: FeatureBars) -> str:
    """Fingerprint of everything that was read."""
    digest = hashlib.sha256(fingerprint(bars.panel).encode())
    for part in (bars.benchmark, None if bars.session is None else bars.session.astype("datetime64[D]").astype(np.int64)):
        digest.update(b"\x00" if part is None else np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()
