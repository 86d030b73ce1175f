from typing import Any

from django.core.management.base import CommandParser

from apps.core import clock
from apps.core.commands import CommandResult, DeskCommand, ExitCode
from apps.core.documents import plain
from apps.marketdata.providers.protocol import NotOffered, UnknownVendorSymbol
from apps.marketdata.services.fetching_fundamentals import FiguresFetch, fundamentals_fetch


class Command(DeskCommand):
    help = """Fetch reported figures, each with the time at which it became public. Equal figures change nothing.

    manage.py fetch_fundamentals finnhub AAPL IBM
    manage.py fetch_fundamentals auto AAPL --json

    Ends like fetch_bars: 0 when every symbol was delivered, 3 when some were not, 2 or 5 when none was.
    """
    records_job = True

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("provider", metavar="PROVIDER", help='a vendor, or "auto"')
        parser.add_argument("symbols", nargs="+", metavar="SYMBOL", help="instruments of the desk")

    def run(self, **options: Any) -> CommandResult:
        found = fundamentals_fetch(provider=options["provider"], symbols=options["symbols"], clock=clock.now, progress=self.progress)
        missing = [item for item in found if not item.vendor]
        for item in missing:
            for note in item.notes:
                self.stderr.write(f"{item.symbol}: {note.vendor}: {note.code}: {note.detail}")
        counts = {name: sum(getattr(item, name) for item in found) for name in ("inserted", "revised", "unchanged")}
        text = ", ".join(f"{count} {name}" for name, count in counts.items())
        return CommandResult(data={**counts, "symbols": plain(found)}, text=text, exit_code=_exit_code(found, missing))


def _exit_code(found: tuple[FiguresFetch, ...], missing: list[FiguresFetch]) -> ExitCode:
    if not missing:
        return ExitCode.OK
    if len(missing) < len(found):
        return ExitCode.PARTIAL
    codes = {note.code for item in missing for note in item.notes}
    return ExitCode.USAGE if codes <= {UnknownVendorSymbol.code, NotOffered.code} else ExitCode.DEPENDENCY
