from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from apps.core.commands import CommandResult, DeskCommand, ExitCode
from apps.core.documents import plain
from apps.marketdata.services.universes import universe_import


class Command(DeskCommand):
    help = """Store who belongs to a universe from when to when: symbol, date_added and date_removed of a CSV file.

    manage.py import_universe sp500 constituents.csv --price-tier 1
    """
    records_job = True
    offers_dry_run = True

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="of the universe, made when it is new")
        parser.add_argument("file", type=Path, metavar="FILE", help=".csv")
        parser.add_argument("--price-tier", type=int, choices=(1, 2), help="of the price bands that members belong to; the gate's collar follows it")

    def run(self, **options: Any) -> CommandResult:
        report = universe_import(name=options["name"], file=options["file"], price_tier=options["price_tier"])
        text = f"{report.name}: {report.added} added, {report.changed} changed, {report.unchanged} unchanged, {len(report.unknown)} unknown symbols"
        return CommandResult(data=plain(report), text=text, exit_code=ExitCode.PARTIAL if report.unknown else ExitCode.OK)
