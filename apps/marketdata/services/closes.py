"""Files of closes into the desk: series that have closes and nothing else. They never become bars."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from django.db import transaction
from numpy.typing import NDArray

from apps.core.errors import InvalidInput
from apps.core.jobs import NullProgress, Progress
from apps.core.locks import lock_transaction
from apps.marketdata.domain.points import CloseKind, PointRows
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.domain.validation import Findings, Problem, Rejection, check_duplicates, check_times, gaps
from apps.marketdata.domain.value_columns import CloseColumns, map_close_columns
from apps.marketdata.models import Instrument
from apps.marketdata.providers import cells
from apps.marketdata.providers.files import FileTable, file_stem, read_file, read_titles
from apps.marketdata.selectors.instruments import instrument_get, instruments_known
from apps.marketdata.selectors.points import CLOSES
from apps.marketdata.services.imports import UNKNOWN, FileReport, ImportReport, SymbolReport
from apps.marketdata.services.points import points_merge
from apps.marketdata.services.storing import LOCK_TIMEOUT_MS, bar_source_id, changes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Order:
    """What the caller of an import asked for."""

    instrument: Instrument | None
    adjustment: CloseKind
    source: str
    strict: bool
    dry_run: bool
    recorded_at: datetime


def closes_import(
    *,
    files: Sequence[Path],
    adjustment: CloseKind,
    symbol: str | None = None,
    source: str,
    strict: bool = False,
    dry_run: bool = False,
    recorded_at: datetime,
    progress: Progress | None = None,
) -> ImportReport:
    """Store the good rows of files with a date, a symbol and a close, each file in a transaction of its own.

    The same rules as for bars: unknown symbols reject their rows, a different value is a new revision, `strict` refuses a file with a
    bad row. Raises InvalidInput before anything is stored for a file that is missing or has not these columns, and NotFound for `symbol`.
    """
    progress = progress or NullProgress()
    instrument = None if symbol is None else instrument_get(symbol)
    if not source.strip() or len(source) > 100:
        raise InvalidInput("a source has a name of 1 to 100 characters", field="source")
    maps = [map_close_columns(read_titles(path), adjustment=adjustment, file=str(path)) for path in files]
    order = _Order(instrument=instrument, adjustment=adjustment, source=source.strip(), strict=strict, dry_run=dry_run, recorded_at=recorded_at)
    progress.start(len(files), "importing closes")
    reports = []
    for path, columns in zip(files, maps, strict=True):
        if progress.cancelled():
            break
        reports.append(_file(path, columns, order))
        progress.advance()
        progress.say(f"{path.name}: {reports[-1].rows} rows, {len(reports[-1].rejected)} rejected")
    return ImportReport(files=tuple(reports))


def _file(path: Path, columns: CloseColumns, order: _Order) -> FileReport:
    try:
        table = read_file(path)
    except InvalidInput as error:  # its header was good: it broke off later
        return FileReport(file=str(path), rows=0, stored=False, error=error.detail)
    findings = Findings(len(table))
    absent = cells.absent(table.columns[columns.close])
    findings.bad |= absent
    names, codes = _symbols(path, table, columns, order, findings)
    instruments = instruments_known(names)
    ids = np.array([instruments[name].pk if name in instruments else UNKNOWN for name in names], np.int64)[codes]
    findings.reject(ids == UNKNOWN, "symbol", Problem.UNKNOWN_SYMBOL, lambda row: f"there is no instrument {names[codes[row]]!r}")
    rows = PointRows(
        owner=ids,
        ts=cells.times(table.columns[columns.date], Timeframe.DAY, utc=False, findings=findings),
        value=cells.numbers(table.columns[columns.close], "close", findings),
    )
    _check(rows, instruments, findings)
    rejected = _rejected(table, findings)
    stored = not (order.strict and rejected)
    good = rows.take(~findings.bad)
    change = _store(good, order, dry_run=order.dry_run or not stored)
    notes = (f"{absent.sum()} rows have no close and were left out",) if absent.any() else ()
    symbols = _by_symbol(good, change, instruments)
    rows_read = len(table) + len(table.malformed)
    return FileReport(file=str(path), rows=rows_read, stored=stored, symbols=symbols, rejected=rejected, notes=notes)


def _symbols(path: Path, table: FileTable, columns: CloseColumns, order: _Order, findings: Findings) -> tuple[list[str], NDArray[np.int64]]:
    """Different symbols, and the position of each row's symbol among them."""
    if columns.symbol is None:
        return [order.instrument.symbol if order.instrument else file_stem(path)], np.zeros(len(table), np.int64)
    names, codes = cells.symbols(table.columns[columns.symbol])
    if order.instrument:
        other = np.array([name != order.instrument.symbol for name in names], bool)
        findings.reject(other[codes], "symbol", Problem.OTHER_SYMBOL, lambda row: f"{names[codes[row]]!r} is not the symbol asked for")
    return names, codes


def _check(rows: PointRows, instruments: dict[str, Instrument], findings: Findings) -> None:
    bad = ~(np.isfinite(rows.value) & (rows.value > 0))
    findings.reject(bad, "close", Problem.PRICE_NOT_POSITIVE, lambda row: f"close is {rows.value[row]:g}, a price must be above zero")
    check_times(rows, Timeframe.DAY, {item.pk: item.calendar for item in instruments.values()}, findings)
    check_duplicates(rows, findings)


def _store(rows: PointRows, order: _Order, *, dry_run: bool) -> NDArray[np.int8]:
    with transaction.atomic():
        names = [f"marketdata.closes:{pk}:{order.adjustment.code}" for pk in np.unique(rows.owner).tolist()]
        lock_transaction(*names, timeout_ms=LOCK_TIMEOUT_MS)
        beside = {"source_id": 0 if dry_run else bar_source_id(order.source)}
        fixed = {"adjustment": int(order.adjustment)}
        return points_merge(CLOSES, rows.columns(), fixed=fixed, beside=beside, recorded_at=order.recorded_at, dry_run=dry_run)


def _rejected(table: FileTable, findings: Findings) -> tuple[Rejection, ...]:
    found = findings.rejections(file=table.name, lines=table.lines)
    found += [Rejection(file=table.name, line=line, column="", code=Problem.MALFORMED_LINE, text=text) for line, text in table.malformed]
    return tuple(sorted(found, key=lambda item: item.line))


def _by_symbol(rows: PointRows, change: NDArray[np.int8], instruments: dict[str, Instrument]) -> tuple[SymbolReport, ...]:
    reports = []
    for symbol, item in sorted(instruments.items()):
        mine = np.flatnonzero(rows.owner == item.pk)
        if len(mine):
            ts = rows.ts[mine]
            first, last = (moment.item().replace(tzinfo=UTC) for moment in (ts.min(), ts.max()))
            missing = gaps(symbol, ts, Timeframe.DAY, item.calendar)
            reports.append(SymbolReport(symbol=symbol, first=first, last=last, gaps=missing, **changes(change[mine])))
    return tuple(reports)
