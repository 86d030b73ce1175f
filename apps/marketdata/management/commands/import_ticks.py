from datetime import date
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from apps.core import clock
from apps.core.commands import CommandResult, DeskCommand, ExitCode
from apps.core.errors import InvalidInput
from apps.marketdata.domain.validation import Problem
from apps.marketdata.services.tick_imports import KINDS, TickImportReport, ticks_import

MOST_SHOWN = 50


class Command(DeskCommand):
    help = """Store the quotes, trades or depth of files; report every rejected row with file and line.

    manage.py import_ticks quotes.csv.gz --kind quotes --symbol AAPL
    manage.py import_ticks snapshot.csv.gz updates.csv.gz --kind depth --symbol BTC
    manage.py import_ticks S123019.itch.gz --kind depth --date 2019-12-30
    """
    records_job = True

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help=".csv, .csv.gz, .parquet, or ITCH 5.0: .itch, .itch.gz")
        parser.add_argument("--kind", required=True, choices=KINDS, help="depth: level-2 rows or order events, by the file's columns")
        parser.add_argument("--symbol", help="instrument of all rows; default: the file's symbol column, else the file's name")
        parser.add_argument("--source", default="file", help='who made the ticks (default "file")')
        parser.add_argument("--date", default="", help="the venue's day, for ITCH files")

    def run(self, **options: Any) -> CommandResult:
        report = ticks_import(
            files=options["files"],
            kind=options["kind"],
            symbol=options["symbol"],
            source=options["source"],
            day=_day(options["date"]),
            recorded_at=clock.now(),
            progress=self.progress,
        )
        for item in report.rejected[:MOST_SHOWN]:
            self.stderr.write(f"{item.file}:{item.line}: {item.code} {item.column}: {item.text}")
        if (more := len(report.rejected) - MOST_SHOWN) > 0:
            self.stderr.write(f"... and {more} more; --json lists them all")
        for file in report.files:
            for note in filter(None, (file.error, *(f"{file.file}: {note}" for note in file.notes))):
                self.stderr.write(note)
        text = f"{report.inserted} inserted, {report.duplicates} known already, {len(report.rejected)} rejected"
        return CommandResult(data=report.as_dict(), text=text, exit_code=_exit_code(report))


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise InvalidInput(f"{text!r} is no date like 2019-12-30", field="date") from error


def _exit_code(report: TickImportReport) -> ExitCode:
    stored_any = report.inserted + report.duplicates > 0
    if report.errors and not stored_any:
        return ExitCode.USAGE
    if report.rejected and not stored_any and all(item.code == Problem.UNKNOWN_SYMBOL for item in report.rejected):
        return ExitCode.USAGE
    return ExitCode.PARTIAL if report.rejected or report.errors else ExitCode.OK
