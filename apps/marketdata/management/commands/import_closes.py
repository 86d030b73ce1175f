from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from apps.core import clock
from apps.core.commands import CommandResult, DeskCommand
from apps.marketdata.domain.points import CloseKind
from apps.marketdata.management.import_report import import_result
from apps.marketdata.services.closes import closes_import


class Command(DeskCommand):
    help = """Store series that have closes and nothing else: index levels, adjusted closes. They never become bars.

    manage.py import_closes vix.csv --adjustment none --source "Cboe"
    manage.py import_closes etfs.csv.gz --adjustment total_return --source "Yahoo"
    """
    records_job = True
    offers_dry_run = True

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help=".csv, .csv.gz or .parquet with a date and a close")
        parser.add_argument(
            "--adjustment", required=True, choices=[kind.code for kind in CloseKind], help="none: as traded; total_return: the adjusted close"
        )
        parser.add_argument("--symbol", help="instrument of all rows; default: the file's symbol column, else the file's name")
        parser.add_argument("--source", default="file", help='who made the series (default "file")')
        parser.add_argument("--strict", action="store_true", help="refuse a whole file when one of its rows is bad")

    def run(self, **options: Any) -> CommandResult:
        report = closes_import(
            files=options["files"],
            adjustment=CloseKind.parse(options["adjustment"]),
            symbol=options["symbol"],
            source=options["source"],
            strict=options["strict"],
            dry_run=options["dry_run"],
            recorded_at=clock.now(),
            progress=self.progress,
        )
        return import_result(report, self.stderr)
