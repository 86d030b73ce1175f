"""manage.py halt: the kill switch from the command line."""

from typing import Any

from django.core.management.base import CommandParser

from apps.core import clock
from apps.core.commands import CommandResult, DeskCommand
from apps.core.trading import TradingState
from apps.portfolios.selectors.portfolios import portfolio_by_name
from apps.risk.selectors.people import user_by_name
from apps.risk.services.state import trading_halt


class Command(DeskCommand):
    """Stop trading of a portfolio or of the whole desk: new orders are denied, working ones are cancelled. One person is enough.

    Examples: manage.py halt --reason "Prices look wrong"; manage.py halt --portfolio Alpha --reduce --reason "Too large"
    """

    help = __doc__ or ""

    def add_options(self, parser: CommandParser) -> None:
        """Scope, reason and who."""
        parser.add_argument("--portfolio", metavar="NAME", help="only this portfolio; without it the whole desk")
        parser.add_argument("--reason", required=True, help="why; everybody concerned reads it")
        parser.add_argument("--user", metavar="NAME", help="who halts; without it the command line of this machine")
        parser.add_argument("--reduce", action="store_true", help="let reductions trade on (REDUCING instead of HALTED)")

    def run(self, **options: Any) -> CommandResult:
        """Store the halt. Execution cancels working orders when it hears of it."""
        portfolio = portfolio_by_name(options["portfolio"]) if options["portfolio"] else None
        change = trading_halt(
            portfolio_id=portfolio.pk if portfolio else None,
            user=user_by_name(options["user"], field="user") if options["user"] else None,
            reason=options["reason"],
            at=clock.now(),
            state=TradingState.REDUCING if options["reduce"] else TradingState.HALTED,
        )
        scope = portfolio.name if portfolio else "the desk"
        data = {"id": change.pk, "portfolio": portfolio.name if portfolio else None, "state": change.state, "reason": change.reason}
        return CommandResult(data=data, text=f"Trading of {scope} is {change.state}: {change.reason}")
