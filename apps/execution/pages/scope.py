"""Whose orders a page shows."""

from typing import TYPE_CHECKING

from apps.core.pages import RequestOfUser, chosen_portfolio
from apps.portfolios.selectors.portfolios import portfolios_visible

if TYPE_CHECKING:
    from apps.portfolios.models import Portfolio


def portfolios_chosen(request: RequestOfUser) -> list["Portfolio"]:
    """The one portfolio that is wanted, or all that the user sees for "all" and for one that the user does not see."""
    portfolios = list(portfolios_visible(request.user))
    wanted = str(chosen_portfolio(request) or (portfolios[0].pk if portfolios else "all"))
    return [one for one in portfolios if str(one.pk) == wanted] or portfolios
