"""Check stored bars: completeness, gaps, old and stale series, outliers, splits, order of prices, volume, vendors that disagree.

manage.py check_data
manage.py check_data --symbols AAPL,MSFT --timeframe 1d --start 2010-01-04 --end 2012-12-31 --json

Ends with 0 when nothing of severity error was found, with 3 when something was.
"""

from datetime import date
from typing import Any

from django.core.management.base import CommandParser

from apps.core import clock
from apps.core.commands import CommandResult, DeskCommand, ExitCode
from apps.core.errors import InvalidInput
from apps.marketdata.domain.quality.findings import Severity
from apps.marketdata.domain.quality.series import SeriesReport
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.services.quality import CheckReport, CheckRequest, data_check

MOST_SHOWN = 50


class Command(DeskCommand):
    records_job = True

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("--symbols", default="", help="comma separated; default: every instrument")
        parser.add_argument("--timeframe", default="", help="comma separated, of 1m 5m 15m 1h 1d 1w 1mo; default: all that are stored")
        parser.add_argument("--start", metavar="DATE", help="first day, default: from the first bar on")
        parser.add_argument("--end", metavar="DATE", help="last day, inclusive; default: the last completed session")
        parser.add_argument("--no-quarantine", action="store_true", help="only report: put nothing into quarantine")

    def run(self, **options: Any) -> CommandResult:
        request = CheckRequest(
            symbols=tuple(_words(options["symbols"])),
            timeframes=tuple(Timeframe.parse(code) for code in _words(options["timeframe"])),
            start=_day(options["start"], "start"),
            end=_day(options["end"], "end"),
        )
        report = data_check(request=request, now=clock.now(), quarantine=not options["no_quarantine"], progress=self.progress)
        bad = report.count(Severity.ERROR) > 0
        return CommandResult(data=report.as_dict(), text=_table(report), exit_code=ExitCode.PARTIAL if bad else ExitCode.OK)


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _day(text: str | None, field: str) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(f"{text!r} is no date like 2012-12-31", field=field) from error


def _table(report: CheckReport) -> str:
    lines = [f"{'symbol':<12}{'bars':<5}{'rows':>9}  {'last bar':<11}{'behind':>6}{'complete':>10}{'gaps':>6}{'errors':>7}{'warnings':>9}"]
    lines += [_row(item) for item in report.series]
    found = [(item, finding) for item in report.series for finding in item.findings if finding.severity is not Severity.INFO]
    found.sort(key=lambda pair: pair[1].severity is not Severity.ERROR)
    for item, finding in found[:MOST_SHOWN]:
        day = "" if finding.first is None else f" {finding.first:%Y-%m-%d}"
        lines.append(f"{finding.severity.upper():<8}{item.symbol} {item.timeframe.code}{day} {finding.check}: {finding.text}")
    if len(found) > MOST_SHOWN:
        lines.append(f"... and {len(found) - MOST_SHOWN} more; --json and the page /data list them all")
    counts = ", ".join(f"{report.count(severity)} {severity.value}s" for severity in reversed(Severity))
    held = f"; quarantined: {', '.join(report.quarantined)}" if report.quarantined else ""
    return "\n".join([*lines, f"{len(report.series)} series checked: {counts}{held}"])


def _row(item: SeriesReport) -> str:
    last = "never" if item.last is None else f"{item.last:%Y-%m-%d}"
    behind = "" if item.behind is None else str(item.behind)
    share = "" if item.completeness is None else f"{item.completeness:.2%}"
    errors, warnings = item.count(Severity.ERROR), item.count(Severity.WARNING)
    return f"{item.symbol:<12}{item.timeframe.code:<5}{item.rows:>9}  {last:<11}{behind:>6}{share:>10}{item.gaps:>6}{errors:>7}{warnings:>9}"
