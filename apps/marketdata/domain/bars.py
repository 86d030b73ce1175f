"""Bars as arrays: one symbol's series, many symbols' aligned panel, and the fingerprint of what a run saw."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.datetime64]
Numbers = NDArray[np.float64]

#: The five numbers of a bar, in the order in which they are stored.
FIELDS = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BarSeries:
    """Bars of one symbol in time order: `ts` datetime64[us] UTC, start of the bar, [T]; the others float64 [T], raw prices.

    A daily bar starts at midnight UTC of its session date.
    """

    symbol: str
    ts: Times
    open: Numbers
    high: Numbers
    low: Numbers
    close: Numbers
    volume: Numbers

    def __len__(self) -> int:
        return len(self.ts)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BarPanel:
    """Bars of N symbols on the union of their times [T]; float64 [T, N], NaN in all five fields where a symbol has no bar."""

    symbols: tuple[str, ...]
    ts: Times
    open: Numbers
    high: Numbers
    low: Numbers
    close: Numbers
    volume: Numbers

    def __len__(self) -> int:
        return len(self.ts)

    def series(self, symbol: str) -> BarSeries:
        """The bars that one symbol really has. Raises KeyError for a symbol that is not in the panel."""
        if symbol not in self.symbols:
            raise KeyError(symbol)
        column = self.symbols.index(symbol)
        has = ~np.isnan(self.close[:, column])
        return BarSeries(symbol=symbol, ts=self.ts[has], **{name: getattr(self, name)[has, column] for name in FIELDS})


def panel_of(series: Sequence[BarSeries]) -> BarPanel:
    """Align several series on the union of their times. The order of the symbols is the order given."""
    count = len(series)
    times = [item.ts for item in series]
    ts = np.unique(np.concatenate(times)) if times else np.empty(0, "datetime64[us]")
    columns = {name: np.full((len(ts), count), np.nan) for name in FIELDS}
    for column, item in enumerate(series):
        rows = np.searchsorted(ts, item.ts)
        for name in FIELDS:
            columns[name][rows, column] = getattr(item, name)
    return BarPanel(symbols=tuple(item.symbol for item in series), ts=ts, **columns)


def fingerprint(bars: BarSeries | BarPanel) -> str:
    """SHA-256 in hex of symbols, times and values: equal for equal data on every machine, different after any revision."""
    symbols = (bars.symbol,) if isinstance(bars, BarSeries) else bars.symbols
    digest = hashlib.sha256("\x00".join(("bars/1", *symbols)).encode())
    digest.update(np.int64(len(bars)).astype("<i8").tobytes())
    digest.update(bars.ts.astype("datetime64[us]").astype("<i8").tobytes())
    for name in FIELDS:
        values = getattr(bars, name)
        canonical = np.where(np.isnan(values), np.nan, values + 0.0)  # one NaN, no minus zero
        digest.update(np.ascontiguousarray(canonical, "<f8").tobytes())
    return digest.hexdigest()
