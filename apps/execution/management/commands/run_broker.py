"""The paper market's process: working paper orders meet each new price."""

from apps.core import clock
from apps.core.commands import CommandResult, DeskCommand
from apps.core.locks import lease
from apps.execution.services.paper_market import PaperMarket
from apps.marketdata.selectors.quotes import listen


class Command(DeskCommand):
    """Runs until it is told to stop. A second one waits for nothing and leaves: the lease is held."""

    help = (
        "Match working paper orders against every new price, and end day orders when their session closes. At start, and every few "
        "seconds, it finishes what a crash left between two states.\n\nExamples:\n  manage.py run_broker\n  manage.py run_broker --json"
    )
    service = True

    def run(self, **_: object) -> CommandResult:
        """Listen until SIGTERM."""
        with lease("run_broker") as held:
            market = PaperMarket()
            market.recover(at=clock.now())
            for message in listen("quotes"):
                if self.progress.cancelled():
                    break
                market.hear(message, at=clock.now())
                if message is None:
                    held.check()
        text = f"{market.matched} matched, {market.expired} expired, {market.recovered} recovered"
        return CommandResult(data={"matched": market.matched, "expired": market.expired, "recovered": market.recovered}, text=text)
