from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from apps.core import clock
from apps.core.commands import CommandResult, DeskCommand
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.management.import_report import import_result
from apps.marketdata.services.bars import bars_import


class Command(DeskCommand):
    help = """Store the bars of files; report every rejected row with file and line.

    manage.py import_bars AAPL.csv IBM.csv.gz --source "Yahoo"
    manage.py import_bars minutes.parquet --timeframe 1m --strict --json
    """
    records_job = True
    offers_dry_run = True

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help=".csv, .csv.gz or .parquet")
        parser.add_argument("--symbol", help="instrument of all rows; default: the file's symbol column, else the file's name")
        parser.add_argument("--timeframe", default="1d", help="1m 5m 15m 1h 1d 1w 1mo (default 1d)")
        parser.add_argument("--source", default="file", help='who made the bars (default "file")')
        parser.add_argument("--strict", action="store_true", help="refuse a whole file when one of its rows is bad")

    def run(self, **options: Any) -> CommandResult:
        report = bars_import(
            files=options["files"],
            symbol=options["symbol"],
            timeframe=Timeframe.parse(options["timeframe"]),
            source=options["source"],
            strict=options["strict"],
            dry_run=options["dry_run"],
            recorded_at=clock.now(),
            progress=self.progress,
        )
        return import_result(report, self.stderr)
