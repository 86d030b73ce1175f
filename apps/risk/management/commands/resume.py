"""manage.py resume: the end of a halt, by two people."""

from typing import Any

from django.core.management.base import CommandParser

from apps.core import clock
from apps.core.commands import CommandResult, DeskCommand
from apps.portfolios.selectors.portfolios import portfolio_by_name
from apps.risk.selectors.people import user_by_name
from apps.risk.services.state import trading_release


class Command(DeskCommand):
    """End a halt. Two different people with the permission are needed, superusers included; a refusal ends with exit code 4.

    Examples: manage.py resume --reason "Feed is back" --user risk --approved-by compliance;
    manage.py resume --portfolio Alpha --reason "Reviewed" --user risk --approved-by compliance
    """

    help = __doc__ or ""

    def add_options(self, parser: CommandParser) -> None:
        """Scope, reason and the two people."""
        parser.add_argument("--portfolio", metavar="NAME", help="only this portfolio; without it the whole desk")
        parser.add_argument("--reason", required=True, help="why trading may go on")
        parser.add_argument("--user", metavar="NAME", required=True, help="who releases")
        parser.add_argument("--approved-by", metavar="NAME", required=True, help="who agrees; another person")

    def run(self, **options: Any) -> CommandResult:
        """Store the release, or be refused."""
        portfolio = portfolio_by_name(options["portfolio"]) if options["portfolio"] else None
        change = trading_release(
            portfolio_id=portfolio.pk if portfolio else None,
            user=user_by_name(options["user"], field="user"),
            approver=user_by_name(options["approved_by"], field="approved_by"),
            reason=options["reason"],
            at=clock.now(),
        )
        scope = portfolio.name if portfolio else "the desk"
        data = {
            "id": change.pk,
            "portfolio": portfolio.name if portfolio else None,
            "state": change.state,
            "user": options["user"],
            "approved_by": options["approved_by"],
        }
        return CommandResult(data=data, text=f"Trading of {scope} is active again.")
