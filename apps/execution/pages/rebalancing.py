"""The buttons of the panel of rebalances on a portfolio's page: propose, and execute on paper."""

from decimal import Decimal

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from apps.core.clock import now
from apps.core.errors import DeskError
from apps.core.pages import RequestOfUser, page
from apps.execution.services.rebalancing import ChosenTrade, portfolio_rebalance, rebalance_execute
from apps.portfolios.domain.rebalancing import RebalanceStatus


@require_POST
@page
def propose(request: RequestOfUser, portfolio_id: int) -> HttpResponse:
    """Propose what brings a portfolio to its targets, then go back to where it is shown."""
    try:
        found = portfolio_rebalance(user=request.user, portfolio_id=portfolio_id, force=request.POST.get("force") == "1", at=now())
    except DeskError as error:
        messages.error(request, f"Nothing is proposed: {error.detail}")
    else:
        messages.info(request, f"Rebalance {found.proposal.pk} is proposed." if found.proposal else f"There is nothing to do: {found.why}")
    return redirect(_panel(portfolio_id))


@require_POST
@page
def execute(request: RequestOfUser, portfolio_id: int, proposal_id: int) -> HttpResponse:
    """Execute the trades of a proposal that are ticked, or go on with one that was cut off."""
    lines = [line.split("|") for line in request.POST.getlist("trade")]
    try:
        chosen = [ChosenTrade(symbol=symbol, side=side, quantity=Decimal(quantity)) for symbol, side, quantity in lines]
        done = rebalance_execute(
            user=request.user, portfolio_id=portfolio_id, clock=now, proposal_id=proposal_id, chosen=None if request.POST.get("all") else chosen
        )
    except (ArithmeticError, ValueError):
        messages.error(request, f"Rebalance {proposal_id} was not executed: a trade is malformed.")
    except DeskError as error:
        messages.error(request, f"Rebalance {proposal_id} was not executed: {error.detail}")
    else:
        text = f"Rebalance {proposal_id} is {done.ending.status}: {done.ending.num_trades} trades, cost {done.ending.total_cost:,.2f}."
        tell = messages.info if done.ending.status == RebalanceStatus.EXECUTED else messages.warning
        tell(request, f"{text} {done.ending.detail}".strip())
    return redirect(_panel(portfolio_id))


def _panel(portfolio_id: int) -> str:
    return f"{reverse('portfolio-detail', args=[portfolio_id])}?tab=rebalance"
