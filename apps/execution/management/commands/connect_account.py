"""Let a portfolio trade through an account at a broker."""

from typing import Any

from django.core.management.base import CommandParser

from apps.compliance.domain.regimes import AccountType
from apps.core.clock import now
from apps.core.commands import CommandResult, DeskCommand
from apps.execution.brokers.alpaca import ALPACA
from apps.execution.brokers.ib import IB
from apps.execution.brokers.paper import PAPER
from apps.execution.services.accounts import account_margin, alpaca_account_create, ib_account_create, paper_account_create
from apps.marketdata.domain.calendars import local_date
from apps.marketdata.selectors.market import HOME_CALENDAR
from apps.portfolios.selectors.portfolios import portfolio_by_name


class Command(DeskCommand):
    """A portfolio has one account for ever: its orders, fills and books belong together."""

    help = """Let a portfolio that has no account trade through one. Doing it again with the same account changes nothing.

An account at Interactive Brokers trades on paper or for money as its number says: DU... and DF... are paper. So does one at
Alpaca: PA... is paper. It is a cash account unless --type says margin; a margin account is held to the day-trading rules
of the day (docs/day-trading.md).

Examples:
  manage.py connect_account --portfolio Fund --broker paper
  manage.py connect_account --portfolio Fund --broker ib --number DU1234567
  manage.py connect_account --portfolio Fund --broker alpaca --number PA3ABCDEFGHI --type margin"""

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("--portfolio", required=True, help="name or id")
        parser.add_argument("--broker", required=True, choices=[PAPER, IB, ALPACA])
        parser.add_argument("--number", default="", help="the account's number at the broker")
        parser.add_argument("--type", default=AccountType.CASH.value, choices=[kind.value for kind in AccountType], help="what the broker keeps")

    def run(self, **options: Any) -> CommandResult:
        portfolio_id = portfolio_by_name(options["portfolio"]).pk
        if options["broker"] == IB:
            account = ib_account_create(portfolio_id=portfolio_id, number=options["number"])
        elif options["broker"] == ALPACA:
            account = alpaca_account_create(portfolio_id=portfolio_id, number=options["number"])
        else:
            account = paper_account_create(portfolio_id=portfolio_id)
        if options["type"] == AccountType.MARGIN:
            account = account_margin(account, day=local_date(HOME_CALENDAR, now()), reason="connect_account")
        data = {"portfolio_id": portfolio_id, "broker": account.broker, "mode": str(account.mode), "number": account.number}
        if account.account_type == AccountType.MARGIN:
            data |= {"account_type": account.account_type, "day_trading_regime": account.day_trading_regime}
        return CommandResult(data=data, text=f"{options['portfolio']} trades through {account}")
