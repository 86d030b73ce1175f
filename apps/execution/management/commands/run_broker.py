"""The process of a broker: the paper market, or the one line to a gateway of Interactive Brokers."""

from typing import Any

from django.core.management.base import CommandParser

from apps.core import clock
from apps.core.commands import CommandResult, DeskCommand
from apps.core.locks import lease
from apps.execution.brokers.ib import IB
from apps.execution.brokers.ib_line import IbLine
from apps.execution.brokers.paper import PAPER
from apps.execution.models import ReconciliationTrigger
from apps.execution.services.ib_desk import IbDesk, gateway_settings
from apps.execution.services.outbox import heard, listening
from apps.execution.services.paper_market import PaperMarket
from apps.execution.services.reconciliation_watch import ReconciliationWatch, paper_brokers
from apps.marketdata.selectors.quotes import listen

#: The desk looks for itself so often (seconds), for a word that was lost and for what is late.
LOOK_EVERY = 0.5


class Command(DeskCommand):
    """Runs until it is told to stop. A second one waits for nothing and leaves: the lease is held."""

    help = """Run a broker's side of the desk until it is told to stop.

paper: match working paper orders against every new price, and end day orders when their session closes. At start, and every few seconds,
it finishes what a crash left between two states. It compares every account with its broker's books at start and after fills.
ib: hold the one connection to a gateway of Interactive Brokers (IB_HOST, IB_PORT, IB_CLIENT_ID), send the orders that wait in the
database, and book what the gateway reports. At start, and after each break of the line, it recovers orders and executions.

Examples:
  manage.py run_broker
  manage.py run_broker --json
  manage.py run_broker --broker ib"""
    service = True

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("--broker", choices=[PAPER, IB], default=PAPER, help="whose process this is (default paper)")

    def run(self, **options: Any) -> CommandResult:
        """Listen until SIGTERM."""
        return self._ib() if options["broker"] == IB else self._paper()

    def _paper(self) -> CommandResult:
        with lease("run_broker") as held:
            market = PaperMarket()
            market.recover(at=clock.now())
            watch = ReconciliationWatch(PAPER, paper_brokers)
            watch.all_due(ReconciliationTrigger.START)
            for message in listen("quotes"):
                if self.progress.cancelled():
                    break
                market.hear(message, at=clock.now())
                watch.step(at=clock.now())
                if message is None:
                    held.check()
        text = f"{market.matched} matched, {market.expired} expired, {market.recovered} recovered"
        return CommandResult(data={"matched": market.matched, "expired": market.expired, "recovered": market.recovered}, text=text)

    def _ib(self) -> CommandResult:
        gateway = gateway_settings()
        with lease(f"run_broker:{IB}:{gateway}") as held, listening(IB) as words:
            line = IbLine(gateway)
            desk = IbDesk(line)
            try:
                while not self.progress.cancelled():
                    held.check()
                    desk.step(at=clock.now())
                    desk.wait(LOOK_EVERY, fd=words.fileno())
                    desk.watch.hear(heard(words))
            finally:
                line.close()
        text = f"{desk.sent} sent, {desk.booked} booked, {desk.connections} connections"
        return CommandResult(data={"sent": desk.sent, "booked": desk.booked, "connections": desk.connections}, text=text)
