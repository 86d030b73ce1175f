from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from apps.core import clock
from apps.core.commands import CommandResult, DeskCommand, ExitCode
from apps.marketdata.domain.validation import Problem
from apps.marketdata.services.action_imports import ActionImportReport, actions_import

MOST_SHOWN = 50


class Command(DeskCommand):
    help = """Store the splits and dividends of a CSV file; report every rejected line, and every action that the bars do not bear out.

    manage.py import_actions splits.csv --source "Yahoo"
    manage.py import_actions yahoo.csv --split-adjusted --json

    Columns: symbol, date (the ex-date), action (split or dividend), value (new shares per old share, or cash per share) or
    ratio_new_per_old, and currency when it is not USD. An action that the bars contradict, or for which there are no bars yet, is
    kept in quarantine and changes no price (see docs/market-data.md).
    """
    records_job = True
    offers_dry_run = True

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE", help=".csv or .csv.gz")
        parser.add_argument("--source", default="file", help='who says so (default "file")')
        parser.add_argument("--strict", action="store_true", help="refuse the whole file when one of its lines is bad")
        parser.add_argument(
            "--split-adjusted", action="store_true", help="dividends are told in shares of the file's last day: undo the file's later splits"
        )

    def run(self, **options: Any) -> CommandResult:
        report = actions_import(
            file=options["file"],
            source=options["source"],
            recorded_at=clock.now(),
            split_adjusted=options["split_adjusted"],
            strict=options["strict"],
        )
        self._show(report)
        return CommandResult(data=report.as_dict(), text=_summary(report), exit_code=_exit_code(report))

    def _show(self, report: ActionImportReport) -> None:
        for item in report.rejected[:MOST_SHOWN]:
            self.stderr.write(f"{item.file}:{item.line}: {item.code} {item.column}: {item.text}")
        if (more := len(report.rejected) - MOST_SHOWN) > 0:
            self.stderr.write(f"... and {more} more; --json lists them all")
        if not report.stored:
            self.stderr.write(f"{report.file}: refused as a whole (--strict), nothing of it was stored")
        for action in report.actions.quarantined[:MOST_SHOWN]:
            self.stderr.write(f"in quarantine: {action.symbol} {action.kind} {action.ex_date}: {action.doubt}: {action.reason}")


def _summary(report: ActionImportReport) -> str:
    done = report.actions
    return (
        f"{done.inserted} inserted, {done.revised} revised, {done.unchanged} unchanged, {len(report.rejected)} rejected, "
        f"{len(done.quarantined)} in quarantine"
    )


def _exit_code(report: ActionImportReport) -> ExitCode:
    done = report.actions
    nothing = done.inserted + done.revised + done.unchanged == 0
    if report.stored and report.rejected and nothing and all(item.code == Problem.UNKNOWN_SYMBOL for item in report.rejected):
        return ExitCode.USAGE
    return ExitCode.PARTIAL if report.rejected or done.quarantined else ExitCode.OK
