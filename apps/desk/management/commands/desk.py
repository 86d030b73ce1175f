"""`manage.py desk`: every process of the desk on this machine, until Ctrl-C."""

from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from apps.core.commands import CommandResult, DeskCommand
from apps.desk.services.desk import desk_run


class Command(DeskCommand):
    help = """Start every process of the desk on this machine and keep them running. Ctrl-C stops them all.

Starts the private servers that have no URL, brings the database up to date, and fills an empty one with the demo desk.

Examples:
  manage.py desk
  manage.py desk --port 8010 --no-demo"""
    service = True

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
        parser.add_argument("--port", type=int, default=8000, help="port to listen on (default 8000)")
        parser.add_argument("--no-demo", action="store_true", help="leave an empty database empty")

    def handle(self, *args: Any, **options: Any) -> None:
        """Draw no bar: it would need a thread in a process that forks, and lines are what this command has to show."""
        super().handle(*args, **{**options, "no_progress": True})

    def run(self, **options: Any) -> CommandResult:
        desk_run(
            var=settings.VAR,
            host=options["host"],
            port=options["port"],
            demo=not options["no_demo"],
            tell=self._tell,
            stopping=self.progress.cancelled,
        )
        return CommandResult(text="The desk has stopped.")

    def _tell(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()
