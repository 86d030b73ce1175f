from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from apps.core import clock
from apps.core.commands import CommandResult, DeskCommand
from apps.marketdata.management.import_report import import_result
from apps.marketdata.providers.fundamental_files import READERS
from apps.marketdata.services.fundamentals import fundamentals_import


class Command(DeskCommand):
    help = """Store reported figures with the time from which they were known.

    manage.py import_fundamentals statements.csv.gz --format sec --source SEC
    manage.py import_fundamentals snapshots.csv --format snapshot --source "S&P 500 key statistics"
    manage.py import_fundamentals mine.csv --format records     symbol,metric,period,period_end,value,published_at[,unit]
    """
    records_job = True
    offers_dry_run = True

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help=".csv, .csv.gz or .parquet")
        parser.add_argument("--format", default="records", choices=list(READERS), help="default: records")
        parser.add_argument("--source", default="file", help='who made the figures (default "file")')
        parser.add_argument("--strict", action="store_true", help="refuse a whole file when one of its rows is bad")

    def run(self, **options: Any) -> CommandResult:
        said = {name: options[name] for name in ("files", "format", "source", "strict", "dry_run")}
        report = fundamentals_import(**said, recorded_at=clock.now(), progress=self.progress)
        return import_result(report, self.stderr, gaps=False)
