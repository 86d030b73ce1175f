from dataclasses import asdict
from datetime import date
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from apps.core import clock
from apps.core.commands import CommandResult, DeskCommand
from apps.core.documents import plain
from apps.core.errors import InvalidInput
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.selectors.feeds import feed_status
from apps.marketdata.services.feeds.live import LivePlan, live_run
from apps.marketdata.services.feeds.replay import ReplayPlan, replay_run
from apps.marketdata.services.feeds.vendor import feed_provider


class Command(DeskCommand):
    help = """Bring prices to the desk until stopped: a vendor's ticks (--provider), or stored daily bars shown as a live market.

    manage.py run_feed --provider alpaca --symbols AAPL,IBM
    manage.py run_feed --status --json
    manage.py run_feed --session-seconds 6
    manage.py run_feed --symbols AAPL,IBM --start 2012-01-03 --restart
    """
    service = True

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("--name", default="", help="name of the feed (default: replay, or live); live feeds of one name split the symbols")
        parser.add_argument("--symbols", default="", help="comma-separated; a replay's default: all with daily bars")
        parser.add_argument("--status", action="store_true", help="say how the live feeds are doing, and end")
        live = parser.add_argument_group("a live feed")
        live.add_argument("--provider", default="", metavar="NAME", help="the vendor whose ticks are taken")
        live.add_argument("--timeframe", default="1m", help="length of the bars that are built: 1m (default), 5m or 15m")
        live.add_argument("--shards", type=int, default=16, metavar="N", help="parts in which feeds split the symbols; the same for all (default 16)")
        live.add_argument("--spool-mb", type=int, default=1024, metavar="MB", help="most that waits on the disk for the database (default 1024)")
        replay = parser.add_argument_group("a replay")
        replay.add_argument("--replay", action="store_true", help="replay stored bars (the default without --provider)")
        replay.add_argument("--start", default="", metavar="DATE", help="first session of a first run or of a --restart")
        replay.add_argument("--session-seconds", type=float, default=6.0, help="how long a session takes (default 6)")
        replay.add_argument("--restart", action="store_true", help="begin again instead of going on where the feed stopped")
        replay.add_argument("--sessions", type=int, default=None, metavar="N", help="stop after N sessions")
        replay.add_argument("--once", action="store_true", help="stop at the last bar instead of waiting for more")

    def run(self, **options: Any) -> CommandResult:
        if options["status"]:
            status = feed_status(clock.now())
            return CommandResult(data=plain(status), text=status.text)
        if options["provider"] and options["replay"]:
            raise InvalidInput("a feed is live or a replay", field="replay")
        return self._live(options) if options["provider"] else self._replay(options)

    def _live(self, options: dict[str, Any]) -> CommandResult:
        plan = LivePlan(
            name=_name(options["name"] or "live"),
            symbols=_symbols(options["symbols"]),
            timeframe=Timeframe.parse(options["timeframe"]),
            shards=options["shards"],
            spool_root=settings.VAR / "feed" / _name(options["name"] or "live"),
            spool_bytes=_positive(options["spool_mb"]) * 1024 * 1024,
        )
        self.progress.start(None, plan.name)
        counters = live_run(
            plan=plan,
            provider=feed_provider(options["provider"]),
            clock=clock.now,
            stopping=self.progress.cancelled,
            on_line=self.progress.say,
        )
        text = f"{counters.accepted} ticks accepted, {counters.coalesced} coalesced, {counters.stored} stored, {counters.bars} bars"
        return CommandResult(data=asdict(counters), text=text)

    def _replay(self, options: dict[str, Any]) -> CommandResult:
        plan = ReplayPlan(
            name=_name(options["name"] or "replay"),
            symbols=_symbols(options["symbols"]),
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


def _symbols(text: str) -> tuple[str, ...]:
    return tuple(filter(None, (symbol.strip() for symbol in text.split(","))))


def _positive(number: int) -> int:
    if number < 1:
        raise InvalidInput("at least 1", field="spool_mb")
    return number


def _name(text: str) -> str:
    if not 0 < len(text) <= 50 or not all(letter.isalnum() or letter in "-_" for letter in text):
        raise InvalidInput("a feed's name has 1 to 50 letters, digits, - and _", field="name")
    return text


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise InvalidInput(f"{text!r} is no date like 2012-01-03", field="start") from error
