"""manage.py halt: the kill switch from the command line."""

from typing import Any

from django.core.management.base import CommandParser

from apps.core import clock
from apps.core.commands import CommandResult, DeskCommand
from apps.execution.domain.halting import HaltLevel
from apps.execution.services.halting import trading_stop
from apps.portfolios.selectors.portfolios import portfolio_by_name
from apps.risk.selectors.people import user_by_name


class Command(DeskCommand):
    """Stop trading of a portfolio or of the whole desk, at one of three levels. One person is enough; `resume` needs two.

    Examples: manage.py halt --reason "Prices look wrong"; manage.py halt --portfolio Alpha --level pause --reason "Too large";
    manage.py halt --portfolio Alpha --level flatten --user trader --reason "Out"
    """

    help = __doc__ or ""

    def add_options(self, parser: CommandParser) -> None:
        """Scope, level, reason and who."""
        parser.add_argument("--portfolio", metavar="NAME", help="only this portfolio; without it the whole desk")
        parser.add_argument("--reason", required=True, help="why; everybody concerned reads it")
        parser.add_argument("--user", metavar="NAME", help="who halts; without it the command line of this machine")
        parser.add_argument(
            "--level",
            choices=[level.value for level in HaltLevel],
            help="pause: only reductions trade; cancel (default): nothing trades, working orders are cancelled; flatten: positions are closed too",
        )
        parser.add_argument("--reduce", action="store_true", help="the same as --level pause")
        parser.add_argument("--confirm", metavar="ACCOUNTS", default="", help="the live accounts that are flattened, separated by commas")

    def run(self, **options: Any) -> CommandResult:
        """Store the halt; what works is cancelled and what is held is closed before this returns, as far as it can be at once."""
        portfolio = portfolio_by_name(options["portfolio"]) if options["portfolio"] else None
        change = trading_stop(
            portfolio_id=portfolio.pk if portfolio else None,
            user=user_by_name(options["user"], field="user") if options["user"] else None,
            level=HaltLevel(options["level"] or (HaltLevel.PAUSE if options["reduce"] else HaltLevel.CANCEL)),
            reason=options["reason"],
            confirm=options["confirm"],
            at=clock.now(),
        )
        scope = portfolio.name if portfolio else "the desk"
        data = {
            "id": change.pk,
            "portfolio": portfolio.name if portfolio else None,
            "state": change.state,
            "flatten": change.flatten,
            "reason": change.reason,
        }
        return CommandResult(data=data, text=f"Trading of {scope} is {'being flattened' if change.flatten else change.state}: {change.reason}")
