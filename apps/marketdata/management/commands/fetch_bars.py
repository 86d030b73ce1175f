from datetime import date, datetime, timedelta
from typing import Any

from django.core.management.base import CommandParser

from apps.core import clock
from apps.core.commands import CommandResult, DeskCommand, ExitCode
from apps.core.documents import plain
from apps.core.errors import InvalidInput
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.providers.protocol import NotOffered, UnknownVendorSymbol
from apps.marketdata.services.fetching import FetchReport, bars_fetch

#: Codes of notes for which the caller must change what was asked; the others are the vendors' business.
OF_CALLER = frozenset({UnknownVendorSymbol.code, NotOffered.code})
BUSY = "CONFLICT"


class Command(DeskCommand):
    help = """Fetch the bars that are missing from a vendor, with splits and dividends where it has them. What was stored before it was stopped stays.

    manage.py fetch_bars yahoo AAPL IBM --start 2015-01-01
    manage.py fetch_bars auto SPY --timeframe 1m --start 2026-11-02T14:30Z --end 2026-11-06 --json

    PROVIDER is a vendor of `manage.py vendors`, or "auto": the enabled ones in their order, the first that delivers. Keys stand in the
    environment. Ends with 0 when everything is there; 3 when some symbols were not delivered; when none was, with 2 (nobody knows the
    symbols or has the time frame), 4 (another process is fetching them; the vendor is not enabled) or 5 (a key is missing, a vendor or
    Redis is away).
    """
    records_job = True

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("provider", metavar="PROVIDER", help='a vendor, or "auto"')
        parser.add_argument("symbols", nargs="+", metavar="SYMBOL", help="instruments of the desk")
        parser.add_argument("--timeframe", default="1d", help="1m 5m 15m 1h 1d 1w 1mo (default 1d)")
        parser.add_argument("--start", default="", metavar="WHEN", help="date, or time with its zone (default: a year before now)")
        parser.add_argument("--end", default="", metavar="WHEN", help="date (inclusive), or time with its zone (exclusive; default: now)")
        parser.add_argument("--refresh", action="store_true", help="ask for what is there already too; different values become revisions")

    def run(self, **options: Any) -> CommandResult:
        report = bars_fetch(
            provider=options["provider"],
            symbols=options["symbols"],
            timeframe=Timeframe.parse(options["timeframe"]),
            start=_moment(options["start"], "start") or clock.now().date() - timedelta(days=365),
            end=_moment(options["end"], "end"),
            refresh=options["refresh"],
            clock=clock.now,
            progress=self.progress,
        )
        for item in report.symbols:
            for note in item.notes:
                self.stderr.write(f"{item.symbol}: {note.vendor or 'the desk'}: {note.code}: {note.detail}")
        return CommandResult(data=_data(report), text=_summary(report), exit_code=_exit_code(report))


def _moment(text: str, field: str) -> date | datetime | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text) if len(text) == len("2012-01-03") else datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(f"{text!r} is no date like 2012-01-03 and no time like 2012-01-03T14:30Z", field=field) from error


def _data(report: FetchReport) -> dict[str, Any]:
    totals = {"inserted": report.inserted, "revised": report.revised, "unchanged": report.unchanged, "failed": len(report.failed)}
    return {**totals, **plain(report)}


def _summary(report: FetchReport) -> str:
    vendors = ", ".join(sorted({item.vendor for item in report.symbols if item.vendor})) or "nobody"
    text = f"{report.inserted} inserted, {report.revised} revised, {report.unchanged} unchanged from {vendors}"
    failed = ", ".join(item.symbol for item in report.failed)
    return f"{text}; not complete: {failed}" if failed else text


def _exit_code(report: FetchReport) -> ExitCode:
    if report.stopped:
        return ExitCode.INTERRUPTED
    if not report.failed:
        return ExitCode.OK
    if len(report.failed) < len(report.symbols):
        return ExitCode.PARTIAL
    codes = {note.code for item in report.failed for note in item.notes}
    if codes <= OF_CALLER:
        return ExitCode.USAGE
    return ExitCode.REFUSED if codes == {BUSY} else ExitCode.DEPENDENCY
