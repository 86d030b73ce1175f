"""Old rows of time series out of the database: into Parquet files that are read back and compared, and only then dropped.

Nothing here can lose a row. The file is compared with the table before it counts as an archive, and again before anything is dropped;
the drop itself is the database's work (see the migration of `ArchiveDrop`), which compares the table with what was archived and refuses
when a row has come since. Whatever is not the same ends with an error, and the rows stay.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from django.db import connection, transaction
from django.db.utils import IntegrityError

from apps.core.documents import document, plain
from apps.core.errors import Conflict, IntegrityBroken, InvalidInput, NotFound
from apps.core.jobs import NullProgress, Progress
from apps.core.locks import lock_transaction
from apps.marketdata.domain.archives import SeriesTable, content_hash, months
from apps.marketdata.models import Archive, ArchiveDrop, RetentionPolicy
from apps.marketdata.selectors.archives import first_time, rows_between, series_table, series_tables

if TYPE_CHECKING:
    import pyarrow as pa

LOCK_MS = 60_000
#: So many rows make one file at most: about 500 MB of memory.
MOST_ROWS = 5_000_000
SHORTEST = timedelta(minutes=1)
COPY_TYPES = {"int": "int64", "float": "float64", "time": "int64", "bool": "bool", "text": "string"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedStretch:
    """What happened to the rows of one table in [lower, upper). `file` is empty and `dropped` false in a dry run."""

    table: str
    lower: datetime
    upper: datetime
    rows: int
    file: str
    dropped: bool


def archive_run(
    *, table: str, before: datetime, folder: Path, at: datetime, dry_run: bool = False, progress: Progress | None = None
) -> tuple[ArchivedStretch, ...]:
    """Archive and drop all rows of a table before a moment, month by month; after each one it may be stopped and run again.

    Raises InvalidInput (unknown table, a moment in the future or without zone), IntegrityBroken when a file does not say what the table
    says, and Conflict when rows came while they were archived. Then nothing of that month is dropped; months before it are done.
    """
    progress = progress or NullProgress()
    series = series_table(table)
    if before.tzinfo is None or before > at:
        raise InvalidInput("rows are archived up to a moment in the past, with its time zone", field="before")
    first = first_time(series, before)
    stretches = [] if first is None else months(first.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0), before)
    progress.start(len(stretches), f"archiving {table}")
    done: list[ArchivedStretch] = []
    for lower, upper in stretches:
        if progress.cancelled():
            break
        for stretch in _stretches(series, lower, upper, folder, at, dry_run=dry_run):
            done.append(stretch)
            progress.say(f"{table} {stretch.lower:%Y-%m-%d} to {stretch.upper:%Y-%m-%d}: {stretch.rows} rows{'' if dry_run else ' archived'}")
        progress.advance()
    return tuple(done)


def _stretches(series: SeriesTable, lower: datetime, upper: datetime, folder: Path, at: datetime, *, dry_run: bool) -> Iterator[ArchivedStretch]:
    """One file for the rows of [lower, upper), several where they are too many for the memory; none where there are none."""
    count, digest, _, _ = rows_between(series, lower, upper)
    if count > MOST_ROWS and upper - lower > SHORTEST:
        middle = lower + (upper - lower) / 2
        yield from _stretches(series, lower, middle, folder, at, dry_run=dry_run)
        yield from _stretches(series, middle, upper, folder, at, dry_run=dry_run)
    elif count and dry_run:
        yield ArchivedStretch(table=series.name, lower=lower, upper=upper, rows=count, file="", dropped=False)
    elif count:
        yield _stretch(series, lower, upper, folder, at, count=count, digest=digest)


def _stretch(series: SeriesTable, lower: datetime, upper: datetime, folder: Path, at: datetime, *, count: int, digest: str) -> ArchivedStretch:
    """Archive and drop; an archive of exactly these rows that an interrupted run has left is used."""
    there = Archive.objects.filter(table_name=series.table, lower=lower, upper=upper, digest=digest, rows=count, dropped__isnull=True).last()
    archive = there or archive_write(series=series, lower=lower, upper=upper, folder=folder, at=at)
    archive_drop(archive_id=archive.pk, folder=folder, at=at)
    return ArchivedStretch(table=series.name, lower=lower, upper=upper, rows=archive.rows, file=archive.file, dropped=True)


def archive_write(*, series: SeriesTable, lower: datetime, upper: datetime, folder: Path, at: datetime) -> Archive:
    """Write the rows of [lower, upper) to a Parquet file with a manifest beside it, read it back, and record it when both are the same.

    The digest that the database computes before and after the reading must be the same, so the file holds one state of the table.
    Raises Conflict when rows came meanwhile, IntegrityBroken when the file read back says something else.
    """
    before = rows_between(series, lower, upper)
    rows = _read_rows(series, lower, upper)
    if rows_between(series, lower, upper) != before or rows.num_rows != before[0]:
        raise Conflict(f"rows of {series.name} came while they were archived; try again", field="table")
    count, digest, first, last = before
    if not count or first is None or last is None:
        raise NotFound(f"{series.name} has no rows from {lower} to {upper}", field="table")
    content = content_hash(series, rows)
    path = _new_path(series, lower, upper, digest)
    _write_file(folder / path, rows, metadata={"content_sha256": content})
    archive = Archive(
        table_name=series.table,
        lower=lower,
        upper=upper,
        rows=count,
        min_time=first,
        max_time=last,
        digest=digest,
        content_sha256=content,
        file_sha256=_file_hash(folder / path),
        file=str(path),
        verified_at=at,
    )
    _verify(series, archive, folder)
    _write_manifest(folder / path, series, archive)
    archive.save(force_insert=True)
    return archive


def archive_drop(*, archive_id: int, folder: Path, at: datetime) -> ArchiveDrop:
    """Drop the rows that an archive holds, after its file was read and compared once more.

    Raises NotFound, Conflict (dropped already, or the table has other rows in this range than were archived) and IntegrityBroken (the
    file is missing or changed): then nothing is dropped.
    """
    archive = Archive.objects.filter(pk=archive_id).first()
    if archive is None:
        raise NotFound(f"there is no archive {archive_id}", field="archive")
    if ArchiveDrop.objects.filter(archive=archive).exists():
        raise Conflict(f"archive {archive_id} is dropped already", field="archive")
    _verify(_series_of(archive), archive, folder)
    try:
        with transaction.atomic():
            lock_transaction(f"marketdata.archive:{archive.table_name}", timeout_ms=LOCK_MS)
            return ArchiveDrop.objects.create(archive=archive, rows=archive.rows, dropped_at=at)
    except IntegrityError as error:
        raise Conflict(str(error).split("\n", 1)[0], field="archive") from error


def archive_restore(*, manifest: Path) -> int:
    """Put the rows of an archive file back, exactly as they were, and return their number.

    Raises InvalidInput (no manifest), IntegrityBroken (the file is not the one of the manifest) and Conflict when one of the rows is
    there; then nothing is restored.
    """
    try:
        about = json.loads(manifest.read_text())
        series = series_table(about["table"])
        archive = Archive(content_sha256=about["content_sha256"], file_sha256=about["file_sha256"], rows=about["rows"], file=about["file"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidInput(f"{manifest} is no manifest of an archive: {error}", field="manifest") from error
    rows = _verify(series, archive, manifest.parent, path=manifest.with_suffix(".parquet"))
    try:
        with transaction.atomic():
            _write_rows(series, rows)
    except psycopg.IntegrityError as error:  # from COPY itself, which Django does not translate
        raise Conflict(f"rows of {series.name} are there already: nothing was restored", field="manifest") from error
    return rows.num_rows


def _series_of(archive: Archive) -> SeriesTable:
    return next(series for series in series_tables().values() if series.table == archive.table_name)


def _read_rows(series: SeriesTable, lower: datetime, upper: datetime) -> "pa.Table":
    """The rows in the order of the key. Times travel as whole microseconds, floats in their shortest exact form."""
    import pyarrow as pa
    from pyarrow import csv

    chosen = ", ".join(
        f'(extract(epoch from "{name}") * 1000000)::bigint as "{name}"' if kind == "time" else f'"{name}"' for name, kind in series.columns
    )
    order = ", ".join(f'"{name}"' for name in series.key)
    query = f'select {chosen} from "{series.table}" where "{series.time_column}" >= %s and "{series.time_column}" < %s order by {order}'  # noqa: S608
    received = BytesIO()
    with connection.cursor() as cursor, cursor.cursor.copy(f"copy ({query}) to stdout (format csv, force_quote *)", [lower, upper]) as copy:
        for block in copy:
            received.write(block)
    received.seek(0)
    types = {name: pa.type_for_alias(COPY_TYPES[kind]) for name, kind in series.columns}
    if not received.getbuffer().nbytes:
        table = pa.table({name: pa.array([], kind) for name, kind in types.items()})
    else:
        convert = csv.ConvertOptions(column_types=types, true_values=["t"], false_values=["f"], null_values=[], strings_can_be_null=False)
        table = csv.read_csv(
            received,
            read_options=csv.ReadOptions(column_names=[name for name, _ in series.columns]),
            parse_options=csv.ParseOptions(newlines_in_values=True),
            convert_options=convert,
        )
    return _with_times(series, table)


def _with_times(series: SeriesTable, table: "pa.Table") -> "pa.Table":
    import pyarrow as pa

    for position, (name, kind) in enumerate(series.columns):
        if kind == "time":
            table = table.set_column(position, name, table.column(name).cast(pa.timestamp("us", "UTC")))
    return table


def _write_rows(series: SeriesTable, table: "pa.Table") -> None:
    """Rows back by COPY, on one connection inside the caller's transaction."""
    names = ", ".join(f'"{name}"' for name, _ in series.columns)
    columns = [table.column(name).to_pylist() for name, _ in series.columns]
    with connection.cursor() as cursor, cursor.cursor.copy(f'copy "{series.table}" ({names}) from stdin') as copy:
        for row in zip(*columns, strict=True):
            copy.write_row(row)


def _new_path(series: SeriesTable, lower: datetime, upper: datetime, digest: str) -> Path:
    """A name of its own for each state of the rows, so that no file is ever written over another."""
    mark = hashlib.sha256(digest.encode()).hexdigest()[:8]
    return Path(series.name) / f"{series.name}_{lower:%Y%m%dT%H%M}_{upper:%Y%m%dT%H%M}_{mark}.parquet"


def _write_file(path: Path, rows: "pa.Table", metadata: dict[str, str]) -> None:
    """Written beside, flushed to the disk, then named: a file with its name is whole."""
    from pyarrow import parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    parquet.write_table(rows.replace_schema_metadata(metadata), partial, compression="zstd")
    with partial.open("rb+") as file:
        os.fsync(file.fileno())
    partial.replace(path)


def _write_manifest(path: Path, series: SeriesTable, archive: Archive) -> None:
    names = ("lower", "upper", "rows", "min_time", "max_time", "digest", "content_sha256", "file_sha256", "verified_at")
    about = {"table": series.name, "file": path.name, "columns": dict(series.columns), **{name: plain(getattr(archive, name)) for name in names}}
    path.with_suffix(".json").write_text(document(about, indent=2) + "\n")


def _verify(series: SeriesTable, archive: Archive, folder: Path, *, path: Path | None = None) -> "pa.Table":
    """The rows of an archive's file, read back. Raises IntegrityBroken unless file and values are those that were archived."""
    from pyarrow import ArrowException, parquet

    place = path or folder / archive.file
    try:
        if _file_hash(place) != archive.file_sha256:
            raise IntegrityBroken(f"{place.name} is not the file that was archived", field="file")
        rows = parquet.read_table(place)
        if rows.num_rows != archive.rows or content_hash(series, rows) != archive.content_sha256:
            raise IntegrityBroken(f"{place.name} does not hold the rows that were archived", field="file")
    except (OSError, ArrowException, KeyError, ValueError) as error:
        raise IntegrityBroken(f"{place.name} cannot be read: {error}", field="file") from error
    return rows


def _file_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def retention_run(*, folder: Path, at: datetime, progress: Progress | None = None) -> dict[str, Any]:
    """Archive what is older than the retention policies allow. Returns rows by table."""
    result: dict[str, Any] = {}
    for policy in RetentionPolicy.objects.filter(keep_days__isnull=False).order_by("table"):
        before = (at - timedelta(days=policy.keep_days or 0)).astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        done = archive_run(table=policy.table, before=before, folder=folder, at=at, progress=progress)
        result[policy.table] = sum(stretch.rows for stretch in done)
    return result
