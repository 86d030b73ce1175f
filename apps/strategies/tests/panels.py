"""Panels of bars for tests of strategies and engines, without a database."""

from collections.abc import Sequence

import numpy as np

from apps.marketdata.domain.bars import BarPanel


def panel_of_closes(closes: Sequence[Sequence[float]] | np.ndarray, *, symbols: Sequence[str] = (), volume: float = 1e9) -> BarPanel:
    """Daily bars with these closes [T, N]; each opens at the close before and reaches one percent beyond both."""
    close = np.atleast_2d(np.asarray(closes, float))
    open_ = np.vstack([close[:1], close[:-1]])
    return panel_of_bars(
        open_, np.fmax(open_, close) * 1.01, np.fmin(open_, close) * 0.99, close, np.where(np.isnan(close), np.nan, volume), symbols=symbols
    )


def panel_of_bars(open_, high, low, close, volume, *, symbols: Sequence[str] = ()) -> BarPanel:
    """Daily bars from arrays [T, N], from 2010-01-01 on, every day."""
    periods, count = np.shape(close)
    gone = np.isnan(close)
    fields = {
        name: np.where(gone, np.nan, np.asarray(values, float))
        for name, values in (("open", open_), ("high", high), ("low", low), ("close", close), ("volume", volume))
    }
    ts = (np.datetime64("2010-01-01", "D") + np.arange(periods)).astype("datetime64[us]")
    return BarPanel(symbols=tuple(symbols) or tuple(f"S{n}" for n in range(count)), ts=ts, **fields)


def random_panel(periods: int, count: int, *, seed: int = 1, missing: float = 0.0, volume: float = 1e7) -> BarPanel:
    """Random walks from 50 with gaps between close and open; a share `missing` of the bars is not there."""
    rng = np.random.default_rng(seed)
    close = 50 * np.exp(np.cumsum(rng.normal(0, 0.015, (periods, count)), axis=0))
    open_ = np.vstack([close[:1], close[:-1]]) * (1 + rng.normal(0, 0.003, (periods, count)))
    close = np.where(rng.random((periods, count)) < missing, np.nan, close)
    high, low = np.fmax(open_, close) * 1.004, np.fmin(open_, close) * 0.996
    return panel_of_bars(open_, high, low, close, np.full((periods, count), volume))


def cut(panel: BarPanel, end: int) -> BarPanel:
    """The first `end` bars, as copies."""
    fields = {name: getattr(panel, name)[:end].copy() for name in ("open", "high", "low", "close", "volume")}
    return BarPanel(symbols=panel.symbols, ts=panel.ts[:end].copy(), **fields)
