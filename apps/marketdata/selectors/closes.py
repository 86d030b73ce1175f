"""Closes of many instruments in one adjustment, whichever way the desk has them, and where each column came from.

A column comes from one place as a whole, since two places' levels do not fit together: from daily bars where they are known with dividends
(for closes as traded: where there are any), else from a series of closes, else from bars as they are. Where an instrument has no daily
bars they are made of shorter ones, which count after a series of closes: a few days of minutes do not take the place of years.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from apps.core.errors import InvalidInput
from apps.marketdata.domain.adjustment import Adjustment
from apps.marketdata.domain.points import CloseKind
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.selectors.bars import Moment, bounds
from apps.marketdata.selectors.instruments import instrument_get, instruments_get
from apps.marketdata.selectors.points import CLOSES, points_read
from apps.marketdata.selectors.resampled import panel_at

BARS_WITH_DIVIDENDS = "bars, splits and dividends"
BARS = "bars"
BARS_AND_SPLITS = "bars and splits; no dividends are known"

Column = tuple[NDArray[np.datetime64], NDArray[np.float64]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClosePanel:
    """Closes of N symbols on the union of their days: `ts` datetime64[us] [T], `close` float64 [T, N], NaN where there is none.

    `sources` says in words where each column came from, "" for a symbol without any close.
    """

    symbols: tuple[str, ...]
    ts: NDArray[np.datetime64]
    close: NDArray[np.float64]
    sources: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ts)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CloseSeries:
    """Closes of one symbol in time order [T], and where they came from."""

    symbol: str
    ts: NDArray[np.datetime64]
    close: NDArray[np.float64]
    source: str

    def __len__(self) -> int:
        return len(self.ts)


def closes_panel(
    *, symbols: Sequence[str], adjustment: CloseKind, start: Moment = None, end: Moment = None, as_of: datetime | None = None
) -> ClosePanel:
    """Daily closes of several symbols, columns in the order given, as the desk knew them at `as_of` (None: now).

    Raises NotFound which names unknown symbols, and InvalidInput when a symbol is given twice.
    """
    if len(set(symbols)) != len(symbols):
        raise InvalidInput("a symbol is given twice", field="symbols")
    ids = {symbol: item.pk for symbol, item in instruments_get(symbols).items()}
    sources = _sources(list(ids.values()), adjustment)
    from_bars = [symbol for symbol, pk in ids.items() if sources[pk].startswith(BARS)]
    columns = _from_closes([pk for symbol, pk in ids.items() if symbol not in from_bars], adjustment, start, end, as_of)
    columns |= {ids[symbol]: column for symbol, column in _from_bars(from_bars, adjustment, start, end, as_of).items()}
    ts = np.unique(np.concatenate([days for days, _ in columns.values()])) if columns else np.empty(0, "datetime64[us]")
    close = np.full((len(ts), len(ids)), np.nan)
    for column, pk in enumerate(ids.values()):
        if pk in columns:
            days, values = columns[pk]
            close[np.searchsorted(ts, days), column] = values
    return ClosePanel(symbols=tuple(ids), ts=ts, close=close, sources=tuple(sources[pk] for pk in ids.values()))


def _from_closes(ids: list[int], adjustment: CloseKind, start: Moment, end: Moment, as_of: datetime | None) -> dict[int, Column]:
    if not ids:
        return {}
    found = points_read(CLOSES, ids, *bounds(start, end), fixed={"adjustment": int(adjustment)}, as_of=as_of)
    owners, first = np.unique(found["owner"], return_index=True)
    last = np.searchsorted(found["owner"], owners, side="right")
    return {pk: (found["ts"][a:b], found["value"][a:b]) for pk, a, b in zip(owners.tolist(), first.tolist(), last.tolist(), strict=True)}


def _from_bars(symbols: list[str], adjustment: CloseKind, start: Moment, end: Moment, as_of: datetime | None) -> dict[str, Column]:
    if not symbols:
        return {}
    panel = panel_at(symbols=symbols, timeframe=Timeframe.DAY, start=start, end=end, adjustment=Adjustment(adjustment.code), as_of=as_of)
    there = ~np.isnan(panel.close)
    return {symbol: (panel.ts[there[:, n]], panel.close[there[:, n], n]) for n, symbol in enumerate(panel.symbols)}


def closes_series(*, symbol: str, adjustment: CloseKind, start: Moment = None, end: Moment = None, as_of: datetime | None = None) -> CloseSeries:
    """One symbol's closes. Raises NotFound for an unknown symbol."""
    panel = closes_panel(symbols=[instrument_get(symbol).symbol], adjustment=adjustment, start=start, end=end, as_of=as_of)
    return CloseSeries(symbol=symbol, ts=panel.ts, close=panel.close[:, 0], source=panel.sources[0])


#: Of each instrument the source of its closes, whether it has daily bars, whether shorter ones, and whether dividends of it are known.
HAVE = """
select i.id,
    (select name from marketdata_barsource s join marketdata_closeprice c on c.source_id = s.id
        where c.instrument_id = i.id and c.adjustment = %(adjustment)s order by c.ts desc, c.revision desc limit 1),
    exists (select 1 from marketdata_bar b where b.instrument_id = i.id and b.timeframe = %(timeframe)s),
    exists (select 1 from marketdata_bar b where b.instrument_id = i.id and b.timeframe < %(timeframe)s),
    exists (select 1 from marketdata_corporateaction a where a.instrument_id = i.id and a.kind = 'dividend' and a.status = 'applied')
from unnest(%(ids)s::bigint[]) as i(id)
"""


def _sources(ids: list[int], adjustment: CloseKind) -> dict[int, str]:
    """Where each instrument's closes come from, whatever the range that is asked for; "" where there are none."""
    with connection.cursor() as cursor:
        cursor.execute(HAVE, {"ids": ids, "adjustment": int(adjustment), "timeframe": int(Timeframe.DAY)})
        return {pk: _source(adjustment, *found) for pk, *found in cursor.fetchall()}


def _source(adjustment: CloseKind, closes: str | None, days: bool, shorter: bool, dividends: bool) -> str:
    best = BARS if adjustment is CloseKind.NONE else BARS_WITH_DIVIDENDS if dividends else ""
    if days and best:
        return best
    if closes:
        return f"closes of {closes}"
    return (best or BARS_AND_SPLITS) if days or shorter else ""
