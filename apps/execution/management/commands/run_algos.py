"""The process that works parent orders, and that holds halts."""

from datetime import timedelta

from apps.core import clock
from apps.core.commands import CommandResult, DeskCommand
from apps.core.locks import lease
from apps.execution.services.algo_engine import AlgoEngine
from apps.execution.services.halting import HaltKeeper
from apps.marketdata.selectors.quotes import listen

#: How often the parents are looked at, at most.
PACE = timedelta(milliseconds=250)


class Command(DeskCommand):
    """Runs until it is told to stop. A second one waits for nothing and leaves: the lease is held."""

    help = (
        "Work parent orders (TWAP, VWAP, POV, iceberg, implementation shortfall) as the market's clock and prices move, and see to it that a "
        "halt cancels, and a flattening closes, what was left when it was pressed. A restart goes on where it stopped."
        "\n\nExamples:\n  manage.py run_algos\n  manage.py run_algos --json"
    )
    service = True

    def run(self, **_: object) -> CommandResult:
        """Listen until SIGTERM."""
        with lease("run_algos") as held:
            engine, keeper = AlgoEngine(), HaltKeeper()
            engine.recover(at=clock.now())
            heard = clock.now()
            for message in listen("quotes"):
                if self.progress.cancelled():
                    break
                at = clock.now()
                if message is not None and at - heard < PACE:
                    continue  # a feed speaks many times a second; a moment of silence lets us look again
                heard = at
                engine.hear(message, at=at)
                keeper.keep(at=at)
                if message is None:
                    held.check()
        return CommandResult(data={"steps": engine.steps}, text=f"{engine.steps} steps")
