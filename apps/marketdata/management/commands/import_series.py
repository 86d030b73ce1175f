from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from apps.core import clock
from apps.core.commands import CommandResult, DeskCommand
from apps.core.errors import InvalidInput
from apps.marketdata.management.import_report import import_result
from apps.marketdata.services.reference import FREQUENCIES, SeriesPlan, columns_plan, fama_french_plan, series_import


class Command(DeskCommand):
    help = """Store reference series: factor returns, interest rates, figures of the economy.

    manage.py import_series F-F_Research_Data_Factors.csv --format fama-french
    manage.py import_series treasury.csv --prefix ust. --unit "fraction per year" --frequency D --source "US Treasury" --licence "public domain"
    manage.py import_series tbill.csv --name rate.tbill --column tbilrate --scale 0.01 --unit "fraction per year" --frequency Q --source FRED \\
        --licence "public domain"
    """
    records_job = True
    offers_dry_run = True

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE", help=".csv, .csv.gz or .parquet; its first column is the date, month or quarter")
        parser.add_argument("--format", default="columns", choices=["columns", "fama-french"], help="columns (default): one series a column")
        parser.add_argument("--name", default="", help="name of the one series (with --column)")
        parser.add_argument("--column", action="append", default=[], help="a column to take; default: all")
        parser.add_argument("--prefix", default="", help="what names of series begin with")
        parser.add_argument("--unit", default="", help='unit of the stored values: "fraction per year"')
        parser.add_argument("--scale", type=float, default=1.0, help="by which the file's values are multiplied: 0.01 for percent")
        parser.add_argument("--frequency", default="", choices=["", *FREQUENCIES], help="D, W, M, Q or A")
        parser.add_argument("--source", default="", help="who made the series")
        parser.add_argument("--licence", default="", help="under what terms it may be used")
        parser.add_argument("--strict", action="store_true", help="refuse the whole file when one of its values is bad")

    def run(self, **options: Any) -> CommandResult:
        report = series_import(
            file=options["file"],
            plan=_plan(options),
            strict=options["strict"],
            dry_run=options["dry_run"],
            recorded_at=clock.now(),
            progress=self.progress,
        )
        return import_result(report, self.stderr, gaps=False)


def _plan(options: dict[str, Any]) -> SeriesPlan:
    if options["format"] == "fama-french":
        return fama_french_plan(options["file"], frequency=options["frequency"] or "M")
    said = {name: options[name] for name in ("unit", "frequency", "source", "licence", "scale")}
    plan = columns_plan(options["file"], prefix=options["prefix"], columns=options["column"], **said)
    if not options["name"]:
        return plan
    if len(options["column"]) != 1:
        raise InvalidInput("a name is for one series: say which column with --column", field="name")
    return SeriesPlan(names={options["column"][0]: options["name"]}, **said)
