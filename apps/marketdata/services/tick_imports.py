"""Files of quotes, trades and depth into the desk: good rows are stored, every other row is reported with file and line."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from django.db import transaction

from apps.core.documents import plain
from apps.core.errors import InvalidInput
from apps.core.jobs import NullProgress, Progress
from apps.marketdata.domain.tick_checks import checks
from apps.marketdata.domain.ticks import DepthSeries, OrderEventSeries, QuoteSeries, TradeSeries
from apps.marketdata.domain.validation import Findings, Problem, Rejection
from apps.marketdata.providers import cells
from apps.marketdata.providers.files import FileTable, file_stem, read_file, read_titles
from apps.marketdata.providers.itch import ItchFile, is_itch
from apps.marketdata.providers.tick_files import TickColumns, map_tick_columns, tick_series
from apps.marketdata.selectors.instruments import instrument_get, instruments_known
from apps.marketdata.services.ticks import TickResult, depth_store, quotes_store, trades_store

KINDS: Final = ("quotes", "trades", "depth")


@dataclass(frozen=True, slots=True, kw_only=True)
class TickFileReport:
    """What one file did. `error` says why it broke off, and then nothing of it was stored. `notes` say what was left aside."""

    file: str
    rows: int
    inserted: int = 0
    duplicates: int = 0
    symbols: tuple[str, ...] = ()
    rejected: tuple[Rejection, ...] = ()
    notes: tuple[str, ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TickImportReport:
    """What an import did, by file."""

    files: tuple[TickFileReport, ...]

    @property
    def inserted(self) -> int:
        return sum(file.inserted for file in self.files)

    @property
    def duplicates(self) -> int:
        return sum(file.duplicates for file in self.files)

    @property
    def rejected(self) -> tuple[Rejection, ...]:
        return tuple(item for file in self.files for item in file.rejected)

    @property
    def errors(self) -> tuple[str, ...]:
        return tuple(file.error for file in self.files if file.error)

    def as_dict(self) -> dict[str, Any]:
        """JSON form, with every rejected row."""
        return {"inserted": self.inserted, "duplicates": self.duplicates, "rejected": len(self.rejected), "files": plain(self.files)}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Order:
    """What the caller of an import asked for."""

    kind: str
    symbol: str | None
    source: str
    day: date | None
    recorded_at: datetime


def ticks_import(
    *,
    files: Sequence[Path],
    kind: str,
    symbol: str | None = None,
    source: str = "file",
    day: date | None = None,
    recorded_at: datetime,
    progress: Progress | None = None,
) -> TickImportReport:
    """Store the good rows of files of `kind` (quotes, trades, depth), each file in a transaction of its own.

    CSV and Parquet: the symbol is `symbol`, else the file's column, else the file's name without suffix; an unknown one rejects its rows. ITCH 5.0
    (.itch, .itch.gz; kind depth) needs the venue's `day`, because messages carry the time of day only; of its stocks those are stored that are
    instruments of the desk (or `symbol` alone). A file that breaks off stores nothing, the others are stored.

    Raises, before anything is stored, InvalidInput for a file that is missing or without the columns that it needs, and NotFound for `symbol`.
    """
    progress = progress or NullProgress()
    if kind not in KINDS:
        raise InvalidInput(f"{kind!r} is none of {', '.join(KINDS)}", field="kind")
    if symbol is not None:
        instrument_get(symbol)
    if not source.strip() or len(source) > 100:
        raise InvalidInput("a source has a name of 1 to 100 characters", field="source")
    headers = [_header(path, kind, day) for path in files]
    order = _Order(kind=kind, symbol=symbol, source=source.strip(), day=day, recorded_at=recorded_at)
    progress.start(len(files), "importing ticks")
    reports = []
    for path, header in zip(files, headers, strict=True):
        if progress.cancelled():
            break
        reports.append(_itch(path, order) if header is None else _table(path, header, order))
        progress.advance()
        progress.say(f"{path.name}: {reports[-1].rows} rows, {len(reports[-1].rejected)} rejected")
    return TickImportReport(files=tuple(reports))


def _header(path: Path, kind: str, day: date | None) -> TickColumns | None:
    """A table's columns; None for an ITCH file, which has none."""
    if not is_itch(path):
        return map_tick_columns(read_titles(path), kind=kind, file=str(path))
    if kind != "depth":
        raise InvalidInput(f"{path}: ITCH files hold depth, not {kind}", field="kind")
    if day is None:
        raise InvalidInput(f"{path}: ITCH messages carry the time of day only; give the day", field="date")
    if not path.is_file():
        raise InvalidInput(f"{path}: cannot be read: there is no such file", field="file")
    return None


def _table(path: Path, header: TickColumns, order: _Order) -> TickFileReport:
    try:
        table = read_file(path)
    except InvalidInput as error:  # its header was good: it broke off later
        return TickFileReport(file=str(path), rows=0, error=error.detail)
    findings = Findings(len(table))
    names, codes = _symbols(path, table, header, order, findings)
    series = tick_series(table.columns, header, table.lines, findings)
    for bad, column, text in checks(series):
        findings.reject(bad, column, Problem.IMPOSSIBLE_TICK, lambda _row, text=text: text)  # type: ignore[misc]
    good = ~findings.bad
    with transaction.atomic():
        results = {
            name: _store(replace(series.take(good & (codes == code)), symbol=name), order)
            for code, name in enumerate(names)
            if (good & (codes == code)).any()
        }
    malformed = [Rejection(file=table.name, line=line, column="", code=Problem.MALFORMED_LINE, text=text) for line, text in table.malformed]
    rejected = sorted([*findings.rejections(file=table.name, lines=table.lines), *malformed], key=lambda item: item.line)
    return _report(path, len(table) + len(malformed), results, rejected=tuple(rejected))


def _symbols(path: Path, table: FileTable, header: TickColumns, order: _Order, findings: Findings) -> tuple[list[str], np.ndarray]:
    """Different symbols, and the position of each row's symbol among them."""
    if "symbol" in header.position:
        names, codes = cells.symbols(table.columns[header.position["symbol"]])
    else:
        names, codes = [order.symbol or file_stem(path)], np.zeros(len(table), np.int64)
    known = instruments_known(names)
    unknown = np.array([name not in known for name in names], bool)
    findings.reject(unknown[codes], "symbol", Problem.UNKNOWN_SYMBOL, lambda row: f"there is no instrument {names[codes[row]]!r}")
    other = np.array([order.symbol not in (None, name) for name in names], bool)
    findings.reject(other[codes], "symbol", Problem.OTHER_SYMBOL, lambda row: f"{names[codes[row]]!r} is not the symbol asked for")
    return names, codes


def _itch(path: Path, order: _Order) -> TickFileReport:
    if order.day is None:
        raise InvalidInput("ITCH needs the venue's day", field="date")
    file = ItchFile(path, order.day)
    results: dict[str, TickResult] = {}
    wanted: set[str] = set()
    asked: set[str] = set()
    try:
        with transaction.atomic():
            for piece in file.pieces():
                fresh = {series.symbol for series in piece} - asked
                wanted |= set(instruments_known(fresh)) if order.symbol is None else {order.symbol} & fresh
                asked |= fresh
                for series in piece:
                    if series.symbol in wanted:
                        results[series.symbol] = _sum(results.get(series.symbol), _store(series, order))
    except InvalidInput as error:
        return TickFileReport(file=str(path), rows=file.messages, error=error.detail)
    notes = [f"{file.skipped} messages of other types were skipped"] if file.skipped else []
    if others := asked - wanted:
        notes.append(f"{len(others)} stocks that are not asked for, or no instruments of the desk, were skipped")
    return _report(path, file.messages, results, notes=tuple(notes))


def _store(series: QuoteSeries | TradeSeries | DepthSeries | OrderEventSeries, order: _Order) -> TickResult:
    facts: dict[str, Any] = {"source": order.source, "recorded_at": order.recorded_at}
    if isinstance(series, QuoteSeries):
        return quotes_store(quotes=series, **facts)
    if isinstance(series, TradeSeries):
        return trades_store(trades=series, **facts)
    return depth_store(depth=series, **facts)


def _sum(one: TickResult | None, other: TickResult) -> TickResult:
    if one is None:
        return other
    return TickResult(inserted=one.inserted + other.inserted, duplicates=one.duplicates + other.duplicates)


def _report(path: Path, rows: int, results: dict[str, TickResult], **rest: Any) -> TickFileReport:
    return TickFileReport(
        file=str(path),
        rows=rows,
        inserted=sum(result.inserted for result in results.values()),
        duplicates=sum(result.duplicates for result in results.values()),
        symbols=tuple(sorted(results)),
        **rest,
    )
