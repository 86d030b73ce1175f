from datetime import date
from typing import Any

from django.core.management.base import CommandParser

from apps.core.commands import CommandResult, DeskCommand
from apps.core.errors import InvalidInput
from apps.marketdata.services.listings import instrument_delist, symbol_change


class Command(DeskCommand):
    help = """Give an instrument another symbol from a day on, or end its trading.

    manage.py symbol_change FB --to META --on 2022-06-09
    manage.py symbol_change LEH --delist --on 2008-09-17
    """
    records_job = True
    offers_dry_run = True

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("symbol", help="as it is called now")
        parser.add_argument("--to", help="the new symbol")
        parser.add_argument("--delist", action="store_true", help="it no longer trades")
        parser.add_argument("--on", required=True, metavar="DATE", help="first day")

    def run(self, **options: Any) -> CommandResult:
        symbol, to = options["symbol"], options["to"]
        if options["delist"] == bool(to):
            raise InvalidInput("either --to or --delist", field="to")
        try:
            on = date.fromisoformat(options["on"])
        except ValueError as error:
            raise InvalidInput(f"{options['on']!r} is no date like 2012-01-03", field="on") from error
        done = instrument_delist(symbol=symbol, on=on) if options["delist"] else symbol_change(symbol=symbol, to=to, on=on)
        what = f"does not trade from {on} on" if options["delist"] else f"is {done.symbol} from {on} on"
        return CommandResult(data={"symbol": done.symbol, "instrument": done.pk, "on": on.isoformat()}, text=f"{symbol} {what}")
