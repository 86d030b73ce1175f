from datetime import datetime
from typing import Any

from django.core.management.base import CommandParser

from apps.core import clock
from apps.core.commands import CommandResult, DeskCommand
from apps.core.errors import InvalidInput
from apps.marketdata.selectors.market import market_clock
from apps.marketdata.services.market_status import market_status_record


class Command(DeskCommand):
    help = """Record what an exchange says of an instrument. The gate denies orders in what is halted or paused, and beyond its band.

    manage.py market_status AAPL halted --reason T1
    manage.py market_status AAPL trading --band 95.00 105.00
    """

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("symbol")
        parser.add_argument("status", choices=("trading", "paused", "halted"))
        parser.add_argument("--reason", default="", help="the exchange's code or words; needed for a halt and a pause")
        parser.add_argument("--band", nargs=2, metavar=("LOW", "HIGH"), help="lowest and highest price at which it may trade")
        parser.add_argument("--source", default="desk", help="who says so")
        parser.add_argument("--at", metavar="TIME", help="market time from which it holds, ISO 8601 with a zone; without it the market's time now")

    def run(self, **options: Any) -> CommandResult:
        now = clock.now()
        row = market_status_record(
            symbol=options["symbol"],
            status=options["status"],
            reason=options["reason"],
            band=tuple(options["band"]) if options["band"] else None,
            source=options["source"],
            effective_at=_time(options["at"]) if options["at"] else market_clock(now).market_time,
            recorded_at=now,
        )
        return CommandResult(data={"id": row.pk, "symbol": options["symbol"], "status": row.status}, text=f"{options['symbol']} is {row.status}")


def _time(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(f"{text!r} is no time like 2026-11-20T15:00:00+00:00", field="at") from error
    if at.tzinfo is None:
        raise InvalidInput(f"{text!r} has no time zone", field="at")
    return at
