"""Files of bars into the desk: good rows are stored, every other row is reported with file and line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from django.db import transaction
from numpy.typing import NDArray

from apps.core.documents import plain
from apps.core.errors import InvalidInput
from apps.core.jobs import NullProgress, Progress
from apps.marketdata.domain.bars import FIELDS
from apps.marketdata.domain.merging import BarRows
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.domain.validation import (
    Findings,
    Gap,
    Problem,
    Rejection,
    check_duplicates,
    check_times,
    check_values,
    gaps,
)
from apps.marketdata.domain.vendor_columns import ColumnMap, map_columns
from apps.marketdata.models import Instrument
from apps.marketdata.providers import cells
from apps.marketdata.providers.files import FileTable, file_stem, read_file, read_titles
from apps.marketdata.selectors.instruments import index_ids, instrument_get, instruments_known
from apps.marketdata.services.corporate_actions import actions_recheck
from apps.marketdata.services.storing import bar_source_id, bars_lock, bars_merge, changes

#: Stands for a symbol that no instrument has.
UNKNOWN = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolReport:
    """What one file did to one symbol's bars; `first` and `last` are the range of its good rows."""

    symbol: str
    inserted: int
    revised: int
    unchanged: int
    first: datetime
    last: datetime
    gaps: tuple[Gap, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileReport:
    """What one file did. `stored` is false for a file that --strict refused as a whole and for one that broke off (`error`).

    `rows` counts the rows of the file, malformed lines included. `warnings` are rows that are stored and that somebody should look at.
    `notes` say what was ignored or filled in.
    """

    file: str
    rows: int
    stored: bool
    symbols: tuple[SymbolReport, ...] = ()
    rejected: tuple[Rejection, ...] = ()
    warnings: tuple[Rejection, ...] = ()
    notes: tuple[str, ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """What an import did, by file and symbol."""

    files: tuple[FileReport, ...]

    @property
    def inserted(self) -> int:
        return self._sum("inserted")

    @property
    def revised(self) -> int:
        return self._sum("revised")

    @property
    def unchanged(self) -> int:
        return self._sum("unchanged")

    @property
    def rejected(self) -> tuple[Rejection, ...]:
        return tuple(item for file in self.files for item in file.rejected)

    @property
    def warnings(self) -> tuple[Rejection, ...]:
        return tuple(item for file in self.files for item in file.warnings)

    @property
    def gaps(self) -> tuple[Gap, ...]:
        return tuple(gap for file in self.files for symbol in file.symbols for gap in symbol.gaps)

    @property
    def errors(self) -> tuple[str, ...]:
        return tuple(file.error for file in self.files if file.error)

    def as_dict(self) -> dict[str, Any]:
        """JSON form, with every rejected row."""
        totals = {"inserted": self.inserted, "revised": self.revised, "unchanged": self.unchanged, "rejected": len(self.rejected)}
        return {**totals, "warnings": len(self.warnings), "gaps": sum(gap.sessions for gap in self.gaps), "files": plain(self.files)}

    def _sum(self, name: str) -> int:
        return sum(getattr(symbol, name) for file in self.files if file.stored for symbol in file.symbols)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Order:
    """What the caller of an import asked for."""

    instrument: Instrument | None
    timeframe: Timeframe
    source: str
    strict: bool
    dry_run: bool
    recorded_at: datetime


def bars_import(
    *,
    files: Sequence[Path],
    symbol: str | None = None,
    timeframe: Timeframe = Timeframe.DAY,
    source: str,
    strict: bool = False,
    dry_run: bool = False,
    recorded_at: datetime,
    progress: Progress | None = None,
) -> ImportReport:
    """Store the good rows of CSV, CSV.gz and Parquet files, each file in a transaction of its own.

    The symbol is `symbol`, else the file's column, else the file's name without suffix. An unknown one rejects its rows; no
    instrument is made. Bars that the desk has with other values become a new revision. With `strict` one bad row refuses its
    whole file. A file that breaks off while it is read is reported, the others are stored.

    Raises, before anything is stored, InvalidInput for a file that is missing, no file of bars or without the columns of a bar,
    and NotFound when `symbol` is unknown.
    """
    progress = progress or NullProgress()
    instrument = None if symbol is None else instrument_get(symbol)
    if not source.strip() or len(source) > 100:
        raise InvalidInput("a source has a name of 1 to 100 characters", field="source")
    maps = [map_columns(read_titles(path), file=str(path)) for path in files]
    order = _Order(instrument=instrument, timeframe=timeframe, source=source.strip(), strict=strict, dry_run=dry_run, recorded_at=recorded_at)
    progress.start(len(files), "importing bars")
    reports = []
    for path, columns in zip(files, maps, strict=True):
        if progress.cancelled():
            break
        reports.append(_file(path, columns, order))
        progress.advance()
        progress.say(f"{path.name}: {reports[-1].rows} rows, {len(reports[-1].rejected)} rejected")
    return ImportReport(files=tuple(reports))


def _file(path: Path, columns: ColumnMap, order: _Order) -> FileReport:
    try:
        table = read_file(path)
    except InvalidInput as error:  # its header was good: it broke off later
        return FileReport(file=str(path), rows=0, stored=False, error=error.detail)
    findings = Findings(len(table))
    names, codes = _symbols(path, table, columns, order, findings)
    instruments = instruments_known(names)
    rows = _rows(table, columns, _ids(names, codes, instruments, findings), order.timeframe, findings)
    _check(rows, instruments, order.timeframe, findings)
    rejected = _rejected(table, findings)
    stored = not (order.strict and rejected)
    good = rows.take(~findings.bad)
    change = _store(good, list(instruments.values()), order, dry_run=order.dry_run or not stored)
    return FileReport(
        file=str(path),
        rows=len(table) + len(table.malformed),
        stored=stored,
        symbols=_by_symbol(good, change, instruments, order.timeframe),
        rejected=rejected,
        warnings=tuple(findings.warnings(file=table.name, lines=table.lines)),
        notes=_notes(columns),
    )


def _symbols(path: Path, table: FileTable, columns: ColumnMap, order: _Order, findings: Findings) -> tuple[list[str], NDArray[np.int64]]:
    """Different symbols, and the position of each row's symbol among them."""
    if "symbol" not in columns.position:
        return [order.instrument.symbol if order.instrument else file_stem(path)], np.zeros(len(table), np.int64)
    names, codes = cells.symbols(table.columns[columns.position["symbol"]])
    if order.instrument:
        other = np.array([name != order.instrument.symbol for name in names], bool)
        findings.reject(other[codes], "symbol", Problem.OTHER_SYMBOL, lambda row: f"{names[codes[row]]!r} is not the symbol asked for")
    return names, codes


def _ids(names: list[str], codes: NDArray[np.int64], instruments: Mapping[str, Instrument], findings: Findings) -> NDArray[np.int64]:
    ids = np.array([instruments[name].pk if name in instruments else UNKNOWN for name in names], np.int64)[codes]
    findings.reject(ids == UNKNOWN, "symbol", Problem.UNKNOWN_SYMBOL, lambda row: f"there is no instrument {names[codes[row]]!r}")
    return ids


def _rows(table: FileTable, columns: ColumnMap, ids: NDArray[np.int64], timeframe: Timeframe, findings: Findings) -> BarRows:
    position = columns.position
    written = table.columns[position["date"]]
    if "time" in position:
        written = _joined(written, table.columns[position["time"]])
    ts = cells.times(written, timeframe, utc=columns.utc, findings=findings)
    values = {name: cells.numbers(table.columns[position[name]], name, findings) if name in position else np.zeros(len(table)) for name in FIELDS}
    return BarRows(instrument_id=ids, ts=ts, **values)


def _joined(dates: Any, hours: Any) -> Any:
    """Dates and times of day from two columns of text as one."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.binary_join_element_wise(dates.cast(pa.string()), hours.cast(pa.string()), "T")


def _check(rows: BarRows, instruments: Mapping[str, Instrument], timeframe: Timeframe, findings: Findings) -> None:
    check_values(rows, findings, indices=index_ids(instruments.values()))
    check_times(rows, timeframe, {item.pk: item.calendar for item in instruments.values()}, findings)
    check_duplicates(rows, findings)


def _store(rows: BarRows, instruments: Sequence[Instrument], order: _Order, *, dry_run: bool) -> NDArray[np.int8]:
    instrument_ids, indices = [item.pk for item in instruments], index_ids(instruments)
    with transaction.atomic():
        bars_lock(instrument_ids, order.timeframe)
        source_id = 0 if dry_run else bar_source_id(order.source)
        change = bars_merge(rows, timeframe=order.timeframe, source_id=source_id, recorded_at=order.recorded_at, dry_run=dry_run, indices=indices)
        if order.timeframe is Timeframe.DAY and not dry_run:
            actions_recheck(instrument_ids=instrument_ids, recorded_at=order.recorded_at)
        return change


def _rejected(table: FileTable, findings: Findings) -> tuple[Rejection, ...]:
    found = findings.rejections(file=table.name, lines=table.lines)
    found += [Rejection(file=table.name, line=line, column="", code=Problem.MALFORMED_LINE, text=text) for line, text in table.malformed]
    return tuple(sorted(found, key=lambda item: item.line))


def _by_symbol(rows: BarRows, change: NDArray[np.int8], instruments: Mapping[str, Instrument], timeframe: Timeframe) -> tuple[SymbolReport, ...]:
    order = np.argsort(rows.instrument_id, kind="stable")
    sorted_ids = rows.instrument_id[order]
    reports = []
    for symbol, item in sorted(instruments.items()):
        first, last = np.searchsorted(sorted_ids, item.pk, side="left"), np.searchsorted(sorted_ids, item.pk, side="right")
        mine = order[first:last]
        if not len(mine):
            continue
        ts = rows.ts[mine]
        reports.append(
            SymbolReport(
                symbol=symbol,
                first=ts.min().item().replace(tzinfo=UTC),
                last=ts.max().item().replace(tzinfo=UTC),
                gaps=gaps(symbol, ts, timeframe, item.calendar),
                **changes(change[mine]),
            )
        )
    return tuple(reports)


def _notes(columns: ColumnMap) -> tuple[str, ...]:
    ignored = [f"column {title!r} is not known and was ignored" for title in columns.unknown]
    return (*ignored, *(() if "volume" in columns.position else ("there is no column volume: it was stored as 0",)))
