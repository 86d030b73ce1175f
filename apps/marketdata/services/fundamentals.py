"""Reported figures into the desk: from vendors' records, and from files of the SEC, of snapshots and of records."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from django.db import connection, transaction

from apps.core.errors import InvalidInput
from apps.core.jobs import NullProgress, Progress
from apps.core.locks import lock_transaction
from apps.marketdata.domain.fundamentals import refuse_record
from apps.marketdata.domain.validation import Problem, Rejection
from apps.marketdata.domain.vendor import FundamentalRecord
from apps.marketdata.providers.fundamental_files import READERS, read_records
from apps.marketdata.selectors.instruments import instruments_get, instruments_known
from apps.marketdata.services.imports import FileReport, ImportReport, SymbolReport
from apps.marketdata.services.storing import LOCK_TIMEOUT_MS, bar_source_id

COLUMNS = ("instrument_id", "metric", "period", "period_end", "published_at", "source_id", "revision", "value", "unit", "recorded_at")
Key = tuple[int, str, str, object, datetime]
STORED = (
    "select distinct on (instrument_id, metric, period, period_end, published_at) instrument_id, metric, period, period_end, published_at,"
    " value, unit, revision from marketdata_fundamental where instrument_id = any(%s) and source_id = %s"
    " order by instrument_id, metric, period, period_end, published_at, revision desc"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FundamentalsResult:
    """Numbers of figures that were new, that became a new revision, and that were known with the same value."""

    inserted: int
    revised: int
    unchanged: int


def fundamentals_store(*, records: Sequence[FundamentalRecord], source: str, recorded_at: datetime) -> FundamentalsResult:
    """Store figures in one transaction, all or nothing. The same word of the same source with another value is a new revision.

    A restatement has a later `published_at` and stands beside what was said before. Of two records for the same key the last counts.
    Raises NotFound for an unknown symbol and InvalidInput which names the first figure that no report can have said.
    """
    if not source.strip() or len(source) > 100:
        raise InvalidInput("a source has a name of 1 to 100 characters", field="source")
    ids = {symbol: item.pk for symbol, item in instruments_get(record.symbol for record in records).items()}
    for record in records:
        refuse_record(record)
    with transaction.atomic():
        lock_transaction(*(f"marketdata.fundamentals:{pk}" for pk in ids.values()), timeout_ms=LOCK_TIMEOUT_MS)
        return _merge(records, ids, bar_source_id(source.strip()), recorded_at)


def _merge(records: Sequence[FundamentalRecord], ids: dict[str, int], source_id: int, recorded_at: datetime) -> FundamentalsResult:
    given = {(ids[one.symbol], one.metric, one.period, one.period_end, one.published_at): one for one in records}
    with connection.cursor() as cursor:
        cursor.execute(STORED, [list(ids.values()), source_id])
        stored: dict[Key, tuple[float, str, int]] = {tuple(row[:5]): tuple(row[5:]) for row in cursor.fetchall()}
        rows, revised = [], 0
        for key, record in given.items():
            known = stored.get(key)
            if known is not None and known[:2] == (record.value, record.unit):
                continue
            revised += known is not None
            rows.append((*key, source_id, 0 if known is None else known[2] + 1, record.value, record.unit, recorded_at))
        with cursor.cursor.copy(f"copy marketdata_fundamental ({', '.join(COLUMNS)}) from stdin") as copy:
            for row in rows:
                copy.write_row(row)
    return FundamentalsResult(inserted=len(rows) - revised, revised=revised, unchanged=len(given) - len(rows))


def fundamentals_import(
    *,
    files: Sequence[Path],
    format: str,
    source: str,
    strict: bool = False,
    dry_run: bool = False,
    recorded_at: datetime,
    progress: Progress | None = None,
) -> ImportReport:
    """Store the good figures of files, each file in a transaction of its own; rows of unknown symbols and bad figures are reported by line.

    Raises InvalidInput before anything is stored for an unknown format and for a file that cannot be read or lacks the format's columns.
    """
    progress = progress or NullProgress()
    if format not in READERS:
        raise InvalidInput(f"{format!r} is none of {', '.join(READERS)}", field="format")
    read = [(path, read_records(path, format)) for path in files]
    progress.start(len(read), "importing fundamentals")
    reports = []
    for path, (lines, rejected, rows) in read:
        if progress.cancelled():
            break
        reports.append(_file(path, lines, rejected, rows, source=source, strict=strict, dry_run=dry_run, recorded_at=recorded_at))
        progress.advance()
        progress.say(f"{path.name}: {rows} rows, {len(reports[-1].rejected)} rejected")
    return ImportReport(files=tuple(reports))


def _file(
    path: Path,
    lines: Sequence[tuple[int, FundamentalRecord]],
    rejected: Sequence[Rejection],
    rows: int,
    *,
    source: str,
    strict: bool,
    dry_run: bool,
    recorded_at: datetime,
) -> FileReport:
    known = instruments_known({record.symbol for _, record in lines})
    found, good = list(rejected), []
    unknown: set[int] = set()
    for line, record in lines:
        if record.symbol not in known:
            if line not in unknown:
                text = f"there is no instrument {record.symbol!r}"
                found.append(Rejection(file=str(path), line=line, column="symbol", code=Problem.UNKNOWN_SYMBOL, text=text))
            unknown.add(line)
            continue
        try:
            refuse_record(record)
        except InvalidInput as error:
            found.append(Rejection(file=str(path), line=line, column=error.field, code="BAD_FIGURE", text=error.detail))
            continue
        good.append(record)
    stored = not (strict and found)
    symbols: list[SymbolReport] = []
    with transaction.atomic():
        by_symbol: dict[str, list[FundamentalRecord]] = {}
        for record in good:
            by_symbol.setdefault(record.symbol, []).append(record)
        for symbol, mine in sorted(by_symbol.items()):
            result = fundamentals_store(records=mine, source=source, recorded_at=recorded_at)
            times = [record.published_at for record in mine]
            counts = {"inserted": result.inserted, "revised": result.revised, "unchanged": result.unchanged}
            symbols.append(SymbolReport(symbol=symbol, first=min(times), last=max(times), gaps=(), **counts))
        if dry_run or not stored:
            transaction.set_rollback(True)
    return FileReport(file=str(path), rows=rows, stored=stored, symbols=tuple(symbols), rejected=tuple(sorted(found, key=lambda item: item.line)))
