"""Bars in and out: the desk's import and read beside a bare COPY of the same rows in the same table."""

import tempfile
import time
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
from django.db import connection

from apps.marketdata.domain.calendars import sessions
from apps.marketdata.domain.timeframes import Timeframe
from benchmarks.report import Row

ROWS = 1_000_000
SYMBOLS = 200
PER_SYMBOL = ROWS // SYMBOLS
RUNS = 3
RECORDED = datetime(2026, 1, 2, tzinfo=UTC)
COLUMNS = "instrument_id, timeframe, ts, revision, open, high, low, close, volume, source_id, recorded_at"


def _prices() -> tuple[np.ndarray, ...]:
    """Random walks with two places; open, high, low, close of shape [PER_SYMBOL, SYMBOLS]."""
    random = np.random.default_rng(7)
    close = np.round(50 * np.exp(np.cumsum(random.normal(0, 0.01, (PER_SYMBOL, SYMBOLS)), axis=0)), 2).clip(1)
    open_ = np.round(close * (1 + random.normal(0, 0.003, close.shape)), 2).clip(1)
    return open_, np.maximum(open_, close) + 0.5, np.minimum(open_, close) - 0.5, close


def _write_csv(folder: Path) -> Path:
    days = [day.isoformat() for day in sessions("XNYS", date(2003, 1, 2), date(2025, 12, 31))[:PER_SYMBOL]]
    open_, high, low, close = _prices()
    path = folder / "bars.csv"
    with path.open("w") as file:
        file.write("symbol,date,open,high,low,close,volume\n")
        for n in range(SYMBOLS):
            columns = zip(days, open_[:, n], high[:, n], low[:, n], close[:, n], strict=True)
            file.writelines(f"BENCH{n:03d},{day},{o:.2f},{h:.2f},{lo:.2f},{c:.2f},{1000 + n}\n" for day, o, h, lo, c in columns)
    return path


def _instruments() -> list[int]:
    from apps.marketdata.models import Instrument

    made = [Instrument(symbol=f"BENCH{n:03d}", name=f"Bench {n}", asset_class="stock") for n in range(SYMBOLS)]
    return [instrument.pk for instrument in Instrument.objects.bulk_create(made)]


def _empty() -> None:
    with connection.cursor() as cursor:
        cursor.execute("set session_replication_role = replica")
        cursor.execute("truncate marketdata_bar")
        cursor.execute("set session_replication_role = origin")


def _read_raw() -> bytes:
    with connection.cursor() as cursor, cursor.copy(f"copy (select {COLUMNS} from marketdata_bar) to stdout (format binary)") as copy:
        return b"".join(bytes(block) for block in copy)


def _bare_copy(payload: bytes) -> float:
    _empty()
    started = time.perf_counter()
    with connection.cursor() as cursor, cursor.copy(f"copy marketdata_bar ({COLUMNS}) from stdin (format binary)") as copy:
        for offset in range(0, len(payload), 1 << 20):
            copy.write(payload[offset : offset + (1 << 20)])
    return time.perf_counter() - started


def _desk_import(path: Path) -> float:
    from apps.marketdata.services.bars import bars_import

    _empty()
    started = time.perf_counter()
    report = bars_import(files=[path], timeframe=Timeframe.parse("1d"), source="bench", recorded_at=RECORDED)
    seconds = time.perf_counter() - started
    if report.inserted != ROWS:
        raise RuntimeError(f"{report.inserted} of {ROWS} bars were imported")
    return seconds


def _import_row(folder: Path) -> Row:
    path = _write_csv(folder)
    _instruments()
    _desk_import(path)  # warms up imports and gives the payload
    payload = _read_raw()
    ours, bare = (float(np.median(times)) for times in zip(*((_desk_import(path), _bare_copy(payload)) for _ in range(RUNS)), strict=True))
    return Row(
        work="Import 1,000,000 bars from CSV",
        ours=f"{ours:.2f} s",
        peer=f"{bare:.2f} s bare binary COPY",
        ratio=f"{bare / ours:.2f} x its speed",
        required=">= 0.5 x",
        met=bare / ours >= 0.5,
    )


def _desk_read() -> float:
    from apps.marketdata.selectors.bars import bar_panel

    started = time.perf_counter()
    panel = bar_panel(symbols=[f"BENCH{n:03d}" for n in range(SYMBOLS)], timeframe=Timeframe.parse("1d"))
    seconds = time.perf_counter() - started
    if panel.close.size != ROWS:
        raise RuntimeError(f"{panel.close.size} of {ROWS} bars were read")
    return seconds


def _bare_read() -> float:
    started = time.perf_counter()
    _read_raw()
    return time.perf_counter() - started


def _read_row() -> Row:
    _desk_read()
    ours, bare = (float(np.median(times)) for times in zip(*((_desk_read(), _bare_read()) for _ in range(RUNS)), strict=True))
    return Row(
        work="Load 1,000,000 bars into NumPy (aligned panel of 200 symbols)",
        ours=f"{ours:.2f} s",
        peer=f"{bare:.2f} s bare binary COPY read",
        ratio=f"{ours / bare:.2f} x its time",
        required="<= 2 x",
        met=ours / bare <= 2,
    )


def rows() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        return [_import_row(Path(folder)), _read_row()]
