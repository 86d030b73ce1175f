"""Let a portfolio trade through an account at a broker."""

from typing import Any

from django.core.management.base import CommandParser

from apps.core.commands import CommandResult, DeskCommand
from apps.execution.brokers.alpaca import ALPACA
from apps.execution.brokers.ib import IB
from apps.execution.brokers.paper import PAPER
from apps.execution.services.accounts import alpaca_account_create, ib_account_create, paper_account_create
from apps.portfolios.selectors.portfolios import portfolio_by_name


class Command(DeskCommand):
    """A portfolio has one account for ever: its orders, fills and books belong together."""

    help = """Let a portfolio that has no account trade through one. Doing it again with the same account changes nothing.

An account at Interactive Brokers trades on paper or for money as its number says: DU... and DF... are paper. So does one at
Alpaca: PA... is paper.

Examples:
  manage.py connect_account --portfolio Fund --broker paper
  manage.py connect_account --portfolio Fund --broker ib --number DU1234567
  manage.py connect_account --portfolio Fund --broker alpaca --number PA3ABCDEFGHI"""

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("--portfolio", required=True, help="name or id")
        parser.add_argument("--broker", required=True, choices=[PAPER, IB, ALPACA])
        parser.add_argument("--number", default="", help="the account's number at the broker")

    def run(self, **options: Any) -> CommandResult:
        portfolio_id = portfolio_by_name(options["portfolio"]).pk
        if options["broker"] == IB:
            account = ib_account_create(portfolio_id=portfolio_id, number=options["number"])
        elif options["broker"] == ALPACA:
            account = alpaca_account_create(portfolio_id=portfolio_id, number=options["number"])
        else:
            account = paper_account_create(portfolio_id=portfolio_id)
        data = {"portfolio_id": portfolio_id, "broker": account.broker, "mode": str(account.mode), "number": account.number}
        return CommandResult(data=data, text=f"{options['portfolio']} trades through {account}")
