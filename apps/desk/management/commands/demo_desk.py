"""`manage.py demo_desk`: fill an empty database with the demo desk."""

from typing import Any

from apps.core import clock
from apps.core.commands import CommandResult, DeskCommand
from apps.desk.services.demo import demo_load


class Command(DeskCommand):
    help = """Load the demo desk into an empty database: users, real bars, a fund with a past, backtests. A second time changes nothing.

Examples:
  manage.py demo_desk
  manage.py demo_desk --json"""

    def run(self, **options: Any) -> CommandResult:
        logins = demo_load(now=clock.now, tell=self.progress.say)
        return CommandResult(data={"logins": logins}, text="\n".join(f"login {user} {password}" for user, password in logins.items()))
