"""Move old rows of time series into Parquet files; each file is read back and compared before the database drops its rows.

manage.py archive_data --before 2024-01-01 --table ticks
manage.py archive_data --before 2024-01-01 --table bars --dry-run --json

Without --table: every table whose retention policy does not say "for ever". `manage.py archive_restore` puts a file back.
"""

from datetime import UTC, date, datetime, time
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from apps.core import clock
from apps.core.commands import CommandResult, DeskCommand
from apps.core.documents import plain
from apps.core.errors import InvalidInput
from apps.marketdata.models import RetentionPolicy
from apps.marketdata.selectors.archives import series_tables
from apps.marketdata.services.archives import archive_run


class Command(DeskCommand):
    records_job = True
    offers_dry_run = True

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("--before", required=True, metavar="DATE", help="rows before this day (UTC) go")
        parser.add_argument("--table", help=", ".join(series_tables()))

    def run(self, **options: Any) -> CommandResult:
        before = _day(options["before"])
        tables = [options["table"]] if options["table"] else _tables()
        done = [
            stretch
            for table in tables
            for stretch in archive_run(
                table=table, before=before, folder=settings.ARCHIVE, at=clock.now(), dry_run=options["dry_run"], progress=self.progress
            )
        ]
        lines = [f"{item.table:<14}{item.lower:%Y-%m-%d} to {item.upper:%Y-%m-%d}{item.rows:>12} rows  {item.file}" for item in done]
        rows = sum(item.rows for item in done)
        total = f"{rows} rows {'would go' if options['dry_run'] else 'archived and dropped'}, {len(done)} files"
        return CommandResult(data={"rows": rows, "files": plain(done)}, text="\n".join([*lines, total]))


def _tables() -> list[str]:
    return list(RetentionPolicy.objects.filter(keep_days__isnull=False).order_by("table").values_list("table", flat=True))


def _day(text: str) -> datetime:
    try:
        return datetime.combine(date.fromisoformat(text), time(), UTC)
    except ValueError as error:
        raise InvalidInput(f"{text!r} is no date like 2024-01-01", field="before") from error
