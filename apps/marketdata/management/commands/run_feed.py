from datetime import date
from typing import Any

from django.core.management.base import CommandParser

from apps.core import clock
from apps.core.commands import CommandResult, DeskCommand
from apps.core.documents import plain
from apps.core.errors import InvalidInput
from apps.marketdata.services.feed import ReplayPlan, replay_run


class Command(DeskCommand):
    help = """Show stored daily bars as a live market: latest prices in Redis, ticks in the database, until stopped.

    manage.py run_feed --session-seconds 6
    manage.py run_feed --symbols AAPL,IBM --start 2012-01-03 --restart
    """
    service = True

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("--replay", action="store_true", help="replay stored bars (the only kind of feed so far, and the default)")
        parser.add_argument("--name", default="replay", help="name of the feed; one of a name runs at a time")
        parser.add_argument("--symbols", default="", help="comma-separated; default: all with daily bars")
        parser.add_argument("--start", default="", metavar="DATE", help="first session of a first run or of a --restart")
        parser.add_argument("--session-seconds", type=float, default=6.0, help="how long a session takes (default 6)")
        parser.add_argument("--restart", action="store_true", help="begin again instead of going on where the feed stopped")
        parser.add_argument("--sessions", type=int, default=None, metavar="N", help="stop after N sessions")
        parser.add_argument("--once", action="store_true", help="stop at the last bar instead of waiting for more")

    def run(self, **options: Any) -> CommandResult:
        plan = ReplayPlan(
            name=_name(options["name"]),
            symbols=tuple(filter(None, (symbol.strip() for symbol in options["symbols"].split(",")))),
            start=_date(options["start"]),
            session_seconds=options["session_seconds"],
            restart=options["restart"],
            sessions=options["sessions"],
            once=options["once"],
        )
        self.progress.start(None, "replay")
        report = replay_run(plan=plan, clock=clock.now, stopping=self.progress.cancelled, on_step=self.progress.say)
        text = f"{report.sessions} sessions, {report.steps} steps, {report.ticks} ticks, {report.faults} faults survived"
        return CommandResult(data=plain(report), text=text)


def _name(text: str) -> str:
    if not 0 < len(text) <= 50:
        raise InvalidInput("a feed's name has 1 to 50 characters", field="name")
    return text


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise InvalidInput(f"{text!r} is no date like 2012-01-03", field="start") from error
