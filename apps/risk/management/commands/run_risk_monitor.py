"""manage.py run_risk_monitor

manage.py run_risk_monitor
manage.py run_risk_monitor --once --json
"""

import logging
from datetime import timedelta
from typing import Any, ClassVar

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

AWAY = (OperationalError, InterfaceError, redis.RedisError, Unavailable)
LEASE_CHECK_EVERY = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(seconds=30)


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
        """Hold the lease, and follow the feed until told to stop. Ends with 5 when the lease is lost, so that a supervisor starts it again."""
        with lease("risk-monitor") as held:
            monitor = RiskMonitor()
            if options["once"]:
                views = monitor.step(clock.now())
                return CommandResult(data={"portfolios": [portfolio_frame(view) for view in views]}, text=f"{len(views)} portfolios valued.")
            self.progress.say("The risk monitor follows the prices.")
            steps = self._follow(monitor, held)
        return CommandResult(data={"steps": steps}, text="The risk monitor has stopped.")

    def _follow(self, monitor: RiskMonitor, held: Lease) -> int:
        steps, pause = 0, timedelta(0)
        checked_at = retry_at = clock.now()
        for message in listen("quotes"):
            if self.progress.cancelled():
                break
            now = clock.now()
            if message is not None:
                monitor.receive(message)
            if now < retry_at:
                continue
            try:
                steps += len(monitor.step(now))
                pause = timedelta(0)
            except AWAY as error:
                # The loop keeps taking in prices; only the work waits, twice as long each time.
                pause = min(LONGEST_PAUSE, max(timedelta(seconds=0.5), pause * 2))
                retry_at = now + pause
                logger.warning("the risk monitor waits %.1f s: %s", pause.total_seconds(), error)
                connection.close()
            if now - checked_at >= LEASE_CHECK_EVERY:
                held.check()
                checked_at = now
        return steps
