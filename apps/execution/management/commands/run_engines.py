"""The process that runs live engines which people have started."""

from apps.core import clock
from apps.core.commands import CommandResult, DeskCommand
from apps.execution.services.engine_host import EngineHost
from apps.marketdata.selectors.quotes import listen


class Command(DeskCommand):
    """Runs until it is told to stop. On several hosts at once each engine is run by one, and by another when that one ends."""

    help = (
        "Run every live engine that people have started (docs/live-trading.md) and that no other process runs. Engines are described by"
        " `manage.py trade` and started and stopped on the page Engines.\n\nExamples:\n  manage.py run_engines\n  manage.py run_engines --json"
    )
    service = True

    def run(self, **_: object) -> CommandResult:
        """Listen until SIGTERM."""
        host = EngineHost(tell=self.stderr.write)
        try:
            host.hear(None, at=clock.now())
            for message in listen("quotes", "bars", "intraday"):
                if self.progress.cancelled():
                    break
                host.hear(message, at=clock.now())
        finally:
            host.close(at=clock.now(), reason="its process has ended")
        return CommandResult(data={"steps": host.steps}, text=f"{len(host.steps)} cycles kept")
