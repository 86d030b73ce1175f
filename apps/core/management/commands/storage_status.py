"""`manage.py storage_status`: what is in force for the time series of this database."""

from typing import Any

from apps.core.commands import CommandResult, DeskCommand
from apps.core.documents import plain
from apps.core.selectors.storage import SeriesStorage, StorageStatus, storage_status

MEBIBYTE = 1024 * 1024


class Command(DeskCommand):
    help = """Say how the time series are stored: hypertables or plain tables, chunks, size, and which policies are in force or why not.

Examples:
  manage.py storage_status
  manage.py storage_status --json"""

    def run(self, **options: Any) -> CommandResult:
        status = storage_status()
        return CommandResult(data=plain(status), text=_text(status))


def _text(status: StorageStatus) -> str:
    found = status.timescaledb
    durability = "durable" if status.durable_commits else "NOT durable"
    lines = [
        f"PostgreSQL {status.server_version}, {status.database_bytes / MEBIBYTE:.1f} MiB, commits {durability}",
        f"TimescaleDB {found.version}, licence {found.licence}"
        if found.version
        else f"TimescaleDB: no hypertables, because {status.hypertables_off}",
        f"Compression, retention, continuous aggregates: {f'off, because {status.policies_off}' if status.policies_off else 'on where listed'}",
        "",
        f"{'table':32} {'kind':12} {'time':14} {'chunk':>9} {'chunks':>7} {'MiB':>9}",
    ]
    lines += [_row(series) for series in status.series]
    return "\n".join(lines)


def _row(series: SeriesStorage) -> str:
    kind = "hypertable" if series.hypertable else "plain table"
    chunk = "" if series.chunk_days is None else f"{series.chunk_days:g} days"
    chunks = "" if series.chunks is None else series.chunks
    policies = "; ".join(filter(None, [series.compression and f"compressed {series.compression}", series.retention, *series.aggregates]))
    row = f"{series.table:32} {kind:12} {series.time_column:14} {chunk:>9} {chunks:>7} {series.bytes / MEBIBYTE:>9.1f}"
    return f"{row}  {policies}".rstrip()
