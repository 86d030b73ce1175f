"""Fire the periodic jobs. Safe to start on several hosts: a lease elects one, and the others wait for it.

manage.py run_beat
manage.py run_beat --no-wait      # end with 4 when another beat is at work
"""

import threading
import time
from typing import Any

from celery import beat, current_app
from django.core.management.base import CommandParser
from django.db import connections

from apps.core import clock
from apps.core.commands import CommandResult, DeskCommand, ExitCode
from apps.core.errors import Conflict
from apps.core.locks import Lease, lease
from apps.core.schedule import schedule_spread

WAIT_SECONDS = 1.0
LONGEST_SLEEP = 1


def _beat_until_stopped(service: beat.Service) -> None:
    try:
        service.start()
    finally:
        connections.close_all()


class Command(DeskCommand):
    help = __doc__
    service = True

    def add_options(self, parser: CommandParser) -> None:
        """Add --no-wait."""
        parser.add_argument("--no-wait", action="store_true", help="do not wait while another beat is at work")

    def run(self, **options: Any) -> CommandResult:
        """Beat while the lease is ours."""
        told = False
        while not self.progress.cancelled():
            try:
                with lease("beat") as held:
                    return self._beat(held)
            except Conflict:
                if options["no_wait"]:
                    raise
                if not told:
                    self.stderr.write("Another beat is at work; waiting for its lease.")
                told = True
                time.sleep(WAIT_SECONDS)
        return CommandResult(text="Stopped while waiting.")

    def _beat(self, held: Lease) -> CommandResult:
        schedule_spread(at=clock.now())
        service = beat.Service(current_app, scheduler_cls=current_app.conf.beat_scheduler, max_interval=LONGEST_SLEEP)
        thread = threading.Thread(target=_beat_until_stopped, args=(service,), name="beat", daemon=True)
        thread.start()
        self.stderr.write("Beat is running.")
        while thread.is_alive() and not self.progress.cancelled():
            held.check()
            thread.join(WAIT_SECONDS)
        service.stop()
        thread.join(2 * LONGEST_SLEEP + 3)
        if not self.progress.cancelled():
            return CommandResult(text="Beat ended by itself: see its log.", exit_code=ExitCode.DEPENDENCY)
        return CommandResult(text="Beat stopped.")
