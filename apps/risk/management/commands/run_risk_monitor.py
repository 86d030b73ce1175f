"""manage.py run_risk_monitor: positions in memory, P&L and limits on each price, alerts and actions."""

import gc
import logging
import sys
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import Any, ClassVar

import psycopg
import redis
from django.core.management.base import CommandParser
from django.db import InterfaceError, OperationalError, connection

from apps.core import clock
from apps.core.commands import CommandResult, DeskCommand
from apps.core.errors import Conflict, Unavailable
from apps.core.locks import Lease, lease, lease_break
from apps.marketdata.selectors.quotes import FeedMessage, listen
from apps.risk.selectors.state import monitor_state
from apps.risk.selectors.summary import portfolio_frame
from apps.risk.services.live_risk import LiveRisk, computing
from apps.risk.services.monitor import BATCH, RiskMonitor
from apps.risk.services.monitor_state import Deposed, monitor_take

logger = logging.getLogger(__name__)

NAME = "risk-monitor"
AWAY = (OperationalError, InterfaceError, psycopg.OperationalError, redis.RedisError, Unavailable, Conflict)
LEASE_CHECK_EVERY = timedelta(seconds=1)
#: How often a standby tries to become the monitor. A killed one's lease is free at once.
TRY_EVERY = timedelta(seconds=0.5)
#: A holder that says nothing for so long hangs, and a standby takes its place; it does so once in `PATIENCE`, lest two slow ones alternate.
HUNG_AFTER = timedelta(seconds=3.5)
PATIENCE = timedelta(seconds=30)
FIRST_PAUSE = timedelta(seconds=0.5)
LONGEST_PAUSE = timedelta(seconds=2)
#: How long [s] what is computed beside may keep the interpreter from an alert, each time that has waited for a server: a tenth of Python's own.
SWITCH_EVERY = 0.0005


class Command(DeskCommand):
    """Value all portfolios on every price, publish their risk, raise alerts and act when a limit is broken. One per desk; a further one stands
    by and takes over within five seconds.

    Examples: manage.py run_risk_monitor; manage.py run_risk_monitor --once --json
    """

    help = __doc__ or ""
    service: ClassVar[bool] = True

    def add_options(self, parser: CommandParser) -> None:
        """--once values everything one time, for scripts and tests."""
        parser.add_argument("--once", action="store_true", help="value every portfolio one time, publish, and end; 4 while a monitor runs")

    def run(self, **options: Any) -> CommandResult:
        """Follow the feed, or stand by, until told to stop."""
        if options["once"]:
            with lease(NAME):
                views = RiskMonitor().step(clock.now())
            return CommandResult(data={"portfolios": [portfolio_frame(view) for view in views]}, text=f"{len(views)} portfolios valued.")
        sys.setswitchinterval(SWITCH_EVERY)
        gc.freeze()  # what the process has begun with stays: no collection stops it to walk through all of Django
        with ExitStack() as stack:
            follower = Follower(stack, clock.now)
            stack.enter_context(computing(follower.live))
            for message in listen("quotes", silence=BATCH.total_seconds(), pace=0):
                if self.progress.cancelled():
                    break
                if message is not None:
                    follower.receive(message)
                follower.work(clock.now())
        return CommandResult(data={"frames": follower.frames}, text="The risk monitor has stopped.")


class Follower:
    """A monitor under the desk's lease, or a standby that waits for it, which outlives its servers: while one is away it goes on taking in
    prices, and only its work waits, twice as long each time."""

    def __init__(self, stack: ExitStack, clock: Callable[[], datetime]) -> None:
        self.monitor: RiskMonitor | None = None
        self.frames = 0
        self._stack, self._clock = stack, clock
        self._lease: Lease | None = None
        self._pause = timedelta(0)
        self._retry_at: datetime | None = None
        self._checked_at: datetime | None = None
        self._tried_at: datetime | None = None
        self._broke_at: datetime | None = None

    def live(self) -> LiveRisk | None:
        """What is computed beside, while this is the desk's monitor."""
        monitor = self.monitor
        return None if monitor is None else monitor.live

    def receive(self, message: FeedMessage) -> None:
        """A standby reads all prices when its turn comes."""
        if self.monitor is not None:
            self.monitor.receive(message)

    def work(self, now: datetime) -> None:
        """One step, or one try to become the monitor, unless it is still waiting."""
        if self._retry_at is not None and now < self._retry_at:
            return
        try:
            if self._hold(now) and self.monitor is not None:
                self.frames += len(self.monitor.step(now))
            self._pause, self._retry_at = timedelta(0), None
        except Deposed as error:
            logger.warning("this risk monitor stands by: %s", error)
            self._let_go()
            self._tried_at = self._broke_at = now
        except AWAY as error:
            self._pause = min(LONGEST_PAUSE, max(FIRST_PAUSE, self._pause * 2))
            self._retry_at, self._checked_at = now + self._pause, None
            logger.warning("the risk monitor waits %.1f s: %s", self._pause.total_seconds(), error)
            connection.close()

    def _hold(self, now: datetime) -> bool:
        """Whether this is the desk's monitor; it makes sure of the lease after every trouble and every second."""
        if self._lease is None:
            if self._tried_at is not None and now - self._tried_at < TRY_EVERY:
                return False
            self._tried_at = now
            if not self._take(now):
                return False
        if self._lease is not None and (self._checked_at is None or now - self._checked_at >= LEASE_CHECK_EVERY):
            try:
                self._lease.check()
            except Unavailable:
                self._let_go()
                raise
            self._checked_at = now
        return True

    def _take(self, now: datetime) -> bool:
        try:
            held = self._stack.enter_context(lease(NAME))
        except Conflict:
            self._break_if_hung(now)
            return False
        self._lease, self._checked_at = held, now
        self.monitor = RiskMonitor(monitor_take(now), clock=self._clock)  # somebody else may have raised or cleared levels meanwhile
        logger.info("this is the desk's risk monitor now, token %s", self.monitor.token)
        return True

    def _break_if_hung(self, now: datetime) -> None:
        state = monitor_state()
        if state is None or now - state.heard_at < HUNG_AFTER or (self._broke_at is not None and now - self._broke_at < PATIENCE):
            return
        self._broke_at = now
        if lease_break(NAME):
            logger.warning("the risk monitor %s was silent for %.1f s: its lease is ended", state.holder, (now - state.heard_at).total_seconds())
            self._tried_at = None  # the next try comes at once

    def _let_go(self) -> None:
        self._lease = self.monitor = None
        self._stack.close()
