"""manage.py run_risk_monitor: positions in memory, P&L and limits on each price, alerts."""

import logging
from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import Any, ClassVar

import psycopg
import redis
from django.core.management.base import CommandParser
from django.db import InterfaceError, OperationalError, connection

from apps.core import clock
from apps.core.commands import CommandResult, DeskCommand
from apps.core.errors import Unavailable
from apps.core.locks import Lease, lease
from apps.marketdata.selectors.quotes import listen
from apps.risk.selectors.summary import portfolio_frame
from apps.risk.services.monitor import RiskMonitor

logger = logging.getLogger(__name__)

NAME = "risk-monitor"
AWAY = (OperationalError, InterfaceError, psycopg.OperationalError, redis.RedisError, Unavailable)
LEASE_CHECK_EVERY = timedelta(seconds=5)
FIRST_PAUSE = timedelta(seconds=0.5)
LONGEST_PAUSE = timedelta(seconds=5)


class Command(DeskCommand):
    """Value all portfolios on every price, publish their risk, and raise alerts when a loss limit is crossed. One per desk.

    Examples: manage.py run_risk_monitor; manage.py run_risk_monitor --once --json
    """

    help = __doc__ or ""
    service: ClassVar[bool] = True

    def add_options(self, parser: CommandParser) -> None:
        """--once values everything one time, for scripts and tests."""
        parser.add_argument("--once", action="store_true", help="value every portfolio one time, publish, and end")

    def run(self, **options: Any) -> CommandResult:
        """Follow the feed until told to stop. Ends with 4 when another monitor holds the lease."""
        if options["once"]:
            with lease(NAME):
                views = RiskMonitor().step(clock.now())
            return CommandResult(data={"portfolios": [portfolio_frame(view) for view in views]}, text=f"{len(views)} portfolios valued.")
        with ExitStack() as stack:
            follower = Follower(stack)
            self.progress.say("The risk monitor follows the prices.")
            for message in listen("quotes"):
                if self.progress.cancelled():
                    break
                if message is not None:
                    follower.monitor.receive(message)
                follower.work(clock.now())
        return CommandResult(data={"frames": follower.frames}, text="The risk monitor has stopped.")


class Follower:
    """A monitor under the desk's lease that outlives its servers: while one is away it goes on taking in prices, and only its work
    waits, twice as long each time. A lease lost with the database is taken again, or another monitor has it by then."""

    def __init__(self, stack: ExitStack) -> None:
        self.monitor = RiskMonitor()
        self.frames = 0
        self._stack = stack
        self._lease: Lease | None = stack.enter_context(lease(NAME))
        self._pause = timedelta(0)
        self._retry_at: datetime | None = None
        self._checked_at: datetime | None = None

    def work(self, now: datetime) -> None:
        """One step, unless it is still waiting. Raises Conflict when another monitor took the lease meanwhile."""
        if self._retry_at is not None and now < self._retry_at:
            return
        try:
            self._hold(now)
            self.frames += len(self.monitor.step(now))
            self._pause, self._retry_at = timedelta(0), None
        except AWAY as error:
            self._pause = min(LONGEST_PAUSE, max(FIRST_PAUSE, self._pause * 2))
            self._retry_at, self._checked_at = now + self._pause, None
            logger.warning("the risk monitor waits %.1f s: %s", self._pause.total_seconds(), error)
            connection.close()

    def _hold(self, now: datetime) -> None:
        """Make sure of the lease: after every trouble, and every few seconds."""
        if self._lease is None:
            self._lease = self._stack.enter_context(lease(NAME))
            self.monitor = RiskMonitor()  # somebody else may have raised or cleared levels meanwhile
        if self._checked_at is None or now - self._checked_at >= LEASE_CHECK_EVERY:
            try:
                self._lease.check()
            except Unavailable:
                self._lease = None
                self._stack.close()
                raise
            self._checked_at = now
