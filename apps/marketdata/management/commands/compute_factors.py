from datetime import date
from typing import Any

from django.core.management.base import CommandParser

from apps.core import clock
from apps.core.commands import CommandResult, DeskCommand
from apps.core.errors import InvalidInput
from apps.marketdata.models import Universe
from apps.marketdata.selectors.factors import universe_members, universe_parse
from apps.marketdata.services.factors import FactorReport, factors_compute


class Command(DeskCommand):
    help = """Compute factor scores and store them: momentum, quality, value, volatility, composite and rank.

    manage.py compute_factors                                     what is new, of all universes
    manage.py compute_factors --universe etf --start 2014-01-02   again from a date on
    """
    records_job = True
    offers_dry_run = True

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--universe", default="", help=f"{' or '.join(item.name.lower() for item in Universe)} (default: all that have instruments)"
        )
        parser.add_argument("--start", default="", help="first date to score (default: go on from the last one)")
        parser.add_argument("--end", default="", help="last date to score (default: the last close)")

    def run(self, **options: Any) -> CommandResult:
        start, end = _day(options["start"], "start"), _day(options["end"], "end")
        universes = [universe_parse(options["universe"])] if options["universe"] else [item for item in Universe if universe_members(item)]
        reports = [
            factors_compute(universe=universe, start=start, end=end, recorded_at=clock.now(), progress=self.progress) for universe in universes
        ]
        return CommandResult(
            data={"universes": [report.as_dict() for report in reports]},
            text="\n".join(map(_line, reports)) or "There are no instruments of any universe.",
        )


def _line(report: FactorReport) -> str:
    if report.first is None:
        return f"{report.universe}: no date to score"
    counts = f"{report.inserted} inserted, {report.revised} revised, {report.unchanged} unchanged"
    return f"{report.universe}: {report.first} to {report.last}, {report.scored} of {report.members} scored on the last date; {counts}"


def _day(text: str, field: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise InvalidInput(f"{text!r} is no date like 2012-01-03", field=field) from error
