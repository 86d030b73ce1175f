from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from apps.core import clock
from apps.core.commands import CommandResult, DeskCommand, ExitCode
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.domain.validation import Problem
from apps.marketdata.services.bars import ImportReport, bars_import

MOST_SHOWN = 50


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
        self._show(report)
        return CommandResult(data=report.as_dict(), text=_summary(report), exit_code=_exit_code(report))

    def _show(self, report: ImportReport) -> None:
        for item in report.rejected[:MOST_SHOWN]:
            self.stderr.write(f"{item.file}:{item.line}: {item.code} {item.column}: {item.text}")
        if (more := len(report.rejected) - MOST_SHOWN) > 0:
            self.stderr.write(f"... and {more} more; --json lists them all")
        for file in report.files:
            for note in (file.error, *file.notes):
                if note:
                    self.stderr.write(f"{file.file}: {note}" if note != file.error else note)
            if not file.stored and file.rejected:
                self.stderr.write(f"{file.file}: refused as a whole (--strict), nothing of it was stored")


def _summary(report: ImportReport) -> str:
    missing = sum(gap.sessions for gap in report.gaps)
    return (
        f"{report.inserted} inserted, {report.revised} revised, {report.unchanged} unchanged, {len(report.rejected)} rejected, "
        f"{missing} sessions missing"
    )


def _exit_code(report: ImportReport) -> ExitCode:
    stored_any = report.inserted + report.revised + report.unchanged > 0
    if report.errors and not stored_any:
        return ExitCode.USAGE
    if report.rejected and not stored_any and all(item.code == Problem.UNKNOWN_SYMBOL for item in report.rejected):
        return ExitCode.USAGE
    return ExitCode.PARTIAL if report.rejected or report.errors else ExitCode.OK
