"""Closes of many instruments in one adjustment, whichever way the desk has them, and where each column came from."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from apps.core.errors import InvalidInput
from apps.marketdata.domain.points import CloseKind
from apps.marketdata.selectors.bars import Moment, bounds
from apps.marketdata.selectors.instruments import instrument_get, instruments_get
from apps.marketdata.selectors.points import CLOSES, points_read


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
    ids = {item.pk: symbol for symbol, item in instruments_get(symbols).items()}
    found = points_read(CLOSES, list(ids), *bounds(start, end), fixed={"adjustment": int(adjustment)}, as_of=as_of)
    ts = np.unique(found["ts"])
    close = np.full((len(ts), len(ids)), np.nan)
    columns = {pk: column for column, pk in enumerate(ids)}
    place = np.array([columns[pk] for pk in np.unique(found["owner"]).tolist()], np.intp)
    if len(found["ts"]):
        close[np.searchsorted(ts, found["ts"]), place[np.searchsorted(np.unique(found["owner"]), found["owner"])]] = found["value"]
    named = close_sources(ids, adjustment)
    return ClosePanel(symbols=tuple(ids.values()), ts=ts, close=close, sources=tuple(named.get(pk, "") for pk in ids))


def closes_series(*, symbol: str, adjustment: CloseKind, start: Moment = None, end: Moment = None, as_of: datetime | None = None) -> CloseSeries:
    """One symbol's closes. Raises NotFound for an unknown symbol."""
    panel = closes_panel(symbols=[instrument_get(symbol).symbol], adjustment=adjustment, start=start, end=end, as_of=as_of)
    return CloseSeries(symbol=symbol, ts=panel.ts, close=panel.close[:, 0], source=panel.sources[0])


def close_sources(instrument_ids: Iterable[int], adjustment: CloseKind) -> dict[int, str]:
    """Names of the sources of each instrument's closes; instruments without closes are left out."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select i.id, (select name from marketdata_barsource s join marketdata_closeprice c on c.source_id = s.id"
            " where c.instrument_id = i.id and c.adjustment = %(adjustment)s order by c.ts desc, c.revision desc limit 1)"
            " from unnest(%(ids)s::bigint[]) as i(id)",
            {"ids": list(instrument_ids), "adjustment": int(adjustment)},
        )
        return {pk: f"closes of {name}" for pk, name in cursor.fetchall() if name is not None}
