"""The process of a broker: the paper market, or the one line to a gateway of Interactive Brokers."""

from typing import Any

from django.core.management.base import CommandParser

from apps.core import clock
from apps.core.commands import CommandResult, DeskCommand
from apps.core.locks import lease
from apps.execution.brokers.alpaca import ALPACA
from apps.execution.brokers.alpaca_updates import AlpacaUpdates
from apps.execution.brokers.ib import IB
from apps.execution.brokers.ib_line import IbLine
from apps.execution.brokers.paper import PAPER
from apps.execution.models import ReconciliationTrigger
from apps.execution.services.alpaca_desk import AlpacaDesk, alpaca_settings
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
alpaca: the same over Alpaca's REST interface and its stream of trade updates (ALPACA_API_KEY, ALPACA_SECRET_KEY).

Examples:
  manage.py run_broker
  manage.py run_broker --json
  manage.py run_broker --broker ib
  manage.py run_broker --broker alpaca"""
    service = True

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("--broker", choices=[PAPER, IB, ALPACA], default=PAPER, help="whose process this is (default paper)")

    def run(self, **options: Any) -> CommandResult:
        """Listen until SIGTERM."""
        return {PAPER: self._paper, IB: self._ib, ALPACA: self._alpaca}[options["broker"]]()

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
                    desk.step(now=clock.now)
                    desk.wait(LOOK_EVERY, fd=words.fileno())
                    desk.watch.hear(heard(words))
            finally:
                line.close()
        text = f"{desk.sent} sent, {desk.booked} booked, {desk.connections} connections"
        return CommandResult(data={"sent": desk.sent, "booked": desk.booked, "connections": desk.connections}, text=text)

    def _alpaca(self) -> CommandResult:
        settings = alpaca_settings()
        with lease(f"run_broker:{ALPACA}:{settings.key}") as held, listening(ALPACA) as words, AlpacaUpdates(settings) as updates:
            desk = AlpacaDesk(settings, updates)
            while not self.progress.cancelled():
                held.check()
                desk.step(now=clock.now)
                updates.wait(LOOK_EVERY, fd=words.fileno())
                desk.watch.hear(heard(words))
            desk.close()
        text = f"{desk.sent} sent, {desk.booked} booked"
        return CommandResult(data={"sent": desk.sent, "booked": desk.booked}, text=text)
