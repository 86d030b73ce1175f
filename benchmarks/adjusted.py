"""Bars that are known in part, and bars adjusted when they are read, beside a bare COPY of the same rows."""

import time
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

from apps.marketdata.domain.adjustment import Adjustment
from apps.marketdata.domain.bars import FIELDS, BarSeries
from apps.marketdata.domain.calendars import sessions
from apps.marketdata.domain.timeframes import Timeframe
from benchmarks.bars import RECORDED, _bare_copy, _empty, _read_raw
from benchmarks.report import Row

if TYPE_CHECKING:
    import pandas as pd

SYMBOLS = tuple(f"ADJ{n:03d}" for n in range(500))
UPSERTED = 1_000_000
SESSIONS = 2_520
RUNS = 3
LATER = RECORDED + timedelta(days=1)


def _instruments() -> list[int]:
    from apps.marketdata.models import Instrument

    made = Instrument.objects.bulk_create(Instrument(symbol=symbol, name=symbol, asset_class="stock") for symbol in SYMBOLS)
    return [instrument.pk for instrument in made]


def _series(count: int) -> list[BarSeries]:
    """Random walks of two places on consecutive sessions, `count` bars for each symbol."""
    ts = np.array(sessions("XNYS", date(2003, 1, 2), date(2025, 12, 31))[:count], "datetime64[us]")
    random = np.random.default_rng(11)
    close = np.round(50 * np.exp(np.cumsum(random.normal(0, 0.01, (count, len(SYMBOLS))), axis=0)), 2).clip(1)
    rows = []
    for n, symbol in enumerate(SYMBOLS):
        price = np.ascontiguousarray(close[:, n])
        rows.append(BarSeries(symbol=symbol, ts=ts, open=price, high=price + 0.5, low=price - 0.5, close=price, volume=np.full(count, 1000.0)))
    return rows


def _part(series: BarSeries, rows: slice, *, moved: bool = False) -> BarSeries:
    columns = {name: getattr(series, name)[rows] for name in ("ts", *FIELDS)}
    if moved:  # every tenth bar of those that are known comes with another volume
        columns["volume"] = columns["volume"] + (np.arange(len(columns["ts"])) % 10 == 0)
    return BarSeries(symbol=series.symbol, **columns)


def _store(series: list[BarSeries], recorded_at: datetime) -> tuple[float, int]:
    from apps.marketdata.services.bars import bars_store

    started = time.perf_counter()
    done = bars_store(series=series, timeframe=Timeframe.DAY, source="bench", recorded_at=recorded_at)
    return time.perf_counter() - started, done.inserted + done.revised + done.unchanged


def _upsert_row() -> Row:
    """Half a million bars are stored, a tenth of them comes with other values; half a million are new."""
    each = UPSERTED // len(SYMBOLS)
    whole = _series(each)
    known = [_part(item, slice(0, each // 2)) for item in whole]
    given = [_part(item, slice(None), moved=True) for item in whole]
    times = []
    _empty()
    _store(whole, RECORDED)
    payload = _read_raw()
    for _ in range(RUNS):
        bare = _bare_copy(payload)
        _empty()
        _store(known, RECORDED)
        seconds, rows = _store(given, LATER)
        if rows != UPSERTED:
            raise RuntimeError(f"{rows} of {UPSERTED} bars were stored")
        times.append((seconds, bare))
    ours, bare = (float(np.median(column)) for column in zip(*times, strict=True))
    return Row(
        work="Upsert 1,000,000 bars of which half exist (a tenth of those revised)",
        ours=f"{ours:.2f} s",
        peer=f"{bare:.2f} s bare binary COPY",
        ratio=f"{bare / ours:.2f} x its speed",
        required=">= 0.25 x",
        met=bare / ours >= 0.25,
    )


def _actions(ids: list[int], days: list[date]) -> None:
    """A dividend each quarter and one split in ten years for each symbol."""
    from apps.marketdata.models import BarSource, CorporateAction

    source, _ = BarSource.objects.get_or_create(name="bench")
    common = {"currency": "USD", "source": source, "status": "applied", "recorded_at": RECORDED}
    rows = [CorporateAction(instrument_id=pk, kind="dividend", ex_date=day, value=Decimal("0.10"), **common) for pk in ids for day in days[63::63]]
    rows += [CorporateAction(instrument_id=pk, kind="split", ex_date=days[1000 + n], value=Decimal(2), **common) for n, pk in enumerate(ids)]
    CorporateAction.objects.bulk_create(rows, batch_size=5_000)


def _panel() -> "pd.DataFrame":
    """Adjusted prices and volumes in one table: a row for each session, columns by field and symbol."""
    import pandas as pd

    from apps.marketdata.selectors.bars import bar_panel

    panel = bar_panel(symbols=SYMBOLS, timeframe=Timeframe.DAY, adjustment=Adjustment.TOTAL_RETURN)
    columns = pd.MultiIndex.from_product([FIELDS, panel.symbols])
    return pd.DataFrame(np.concatenate([getattr(panel, name) for name in FIELDS], axis=1), index=panel.ts, columns=columns)


def _panel_row(ids: list[int]) -> Row:
    _empty()
    whole = _series(SESSIONS)
    _store(whole, RECORDED)
    _actions(ids, [day.item().date() for day in whole[0].ts])
    frame = _panel()
    if frame.shape != (SESSIONS, 5 * len(SYMBOLS)) or frame.isna().to_numpy().any():
        raise RuntimeError(f"the panel has the shape {frame.shape}")
    times = []
    for _ in range(RUNS):
        started = time.perf_counter()
        _panel()
        between = time.perf_counter()
        _read_raw()
        times.append((between - started, time.perf_counter() - between))
    ours, bare = (float(np.median(column)) for column in zip(*times, strict=True))
    return Row(
        work="Adjusted daily panel of 500 symbols x 10 years into a DataFrame (20,000 dividends, 500 splits)",
        ours=f"{ours:.2f} s",
        peer=f"{bare:.2f} s bare binary COPY read of the raw rows",
        ratio=f"{ours / bare:.2f} x its time",
        required="< 1.5 x",
        met=ours / bare < 1.5,
    )


def rows() -> list[Row]:
    ids = _instruments()
    return [_upsert_row(), _panel_row(ids)]
