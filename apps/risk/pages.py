"""The risk page of a portfolio, and the end of a halt by two people."""

from typing import Any

import numpy as np
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from apps.alerts.selectors import alerts_about
from apps.core.charts import Chart, Palette, chart_answer, percent_text
from apps.core.clock import now
from apps.core.errors import DeskError, InvalidInput
from apps.core.pages import RequestOfUser, chosen_portfolio, page, way_back
from apps.portfolios.selectors.portfolios import portfolio_get, portfolios_visible
from apps.portfolios.selectors.values import portfolio_values
from apps.risk.domain.limits import LimitKind
from apps.risk.selectors.limits import limits_in_force
from apps.risk.selectors.state import state_changes
from apps.risk.selectors.summary import risk_view_now
from apps.risk.services.state import release_approve, release_request, release_withdraw

DESK_SCOPE = "desk"
HISTORY = 20


@require_GET
@page
def risk(request: RequestOfUser) -> HttpResponse:
    """Limits and how far they are used, the trading state, the drawdown, and what has been breached."""
    portfolios = list(portfolios_visible(request.user))
    wanted = str(chosen_portfolio(request))
    portfolio = next((one for one in portfolios if str(one.pk) == wanted), portfolios[0] if portfolios else None)
    context: dict[str, Any] = {"portfolio": portfolio}
    if portfolio is not None:
        context |= {
            "view": risk_view_now(portfolio_id=portfolio.pk, now=now()),
            "channel": f"portfolio:{portfolio.pk}",
            "alerts": alerts_about(request.user, f"portfolio:{portfolio.pk}", limit=HISTORY),
            "changes": state_changes(portfolio.pk, limit=HISTORY),
        }
    return render(request, "risk/risk.html", context)


@require_GET
@page
def drawdown_chart(request: RequestOfUser, portfolio_id: int) -> HttpResponse:
    """Drawdown of the recorded values, flows taken out, with the limit in force."""
    portfolio_get(user=request.user, portfolio_id=portfolio_id)
    values = portfolio_values(portfolio_id)
    name = f"drawdown-{portfolio_id}"
    if not len(values):
        return chart_answer(
            request, Chart(name=name, draw=None, summary="No value is recorded yet: the first comes at the end of the first session.")
        )
    wealth = np.cumprod(1.0 + np.nan_to_num(values.daily_return))
    drawdown = wealth / np.maximum.accumulate(np.maximum(wealth, 1.0)) - 1.0
    limit = limits_in_force(portfolio_id, now()).get(LimitKind.DRAWDOWN)

    def draw(palette: Palette) -> Any:
        from apps.risk.charts import drawdown_figure

        soft = float(limit.soft) if limit and limit.soft is not None else None
        return drawdown_figure(palette, ts=values.ts, drawdown=drawdown, soft=soft, hard=float(limit.hard) if limit else None)

    held = f"limit {percent_text(-float(limit.hard))}" if limit else "no limit is set"
    summary = f"Now {percent_text(drawdown[-1])} below the highest value, at most {percent_text(drawdown.min())} so far; {held}"
    rows = [(ts.astype("datetime64[us]").item(), float(value)) for ts, value in zip(values.ts, drawdown, strict=True)]
    return chart_answer(request, Chart(name=name, draw=draw, summary=summary, columns=("Market time", "Drawdown (fraction)"), rows=rows))


@require_POST
@page
def release(request: RequestOfUser) -> HttpResponse:
    """Ask that a halt ends; a second person approves."""
    try:
        release_request(portfolio_id=_scope(request), user=request.user, reason=request.POST.get("reason", ""), at=now())
    except DeskError as error:
        messages.error(request, f"The release was not requested: {error.detail}")
    else:
        messages.info(request, "The release is requested. A second person has 15 minutes to approve it on any page of theirs.")
    return redirect(way_back(request, reverse("risk")))


@require_POST
@page
def approve(request: RequestOfUser, request_id: int) -> HttpResponse:
    """The second person's yes."""
    try:
        release_approve(request_id=request_id, approver=request.user, at=now())
    except DeskError as error:
        messages.error(request, f"Trading was not released: {error.detail}")
    else:
        messages.success(request, "Trading is released.")
    return redirect(way_back(request, reverse("risk")))


@require_POST
@page
def withdraw(request: RequestOfUser, request_id: int) -> HttpResponse:
    """Take a request back."""
    try:
        release_withdraw(request_id=request_id, user=request.user, at=now())
    except DeskError as error:
        messages.error(request, f"The request was not withdrawn: {error.detail}")
    else:
        messages.info(request, "The request is withdrawn. Trading stays halted.")
    return redirect(way_back(request, reverse("risk")))


def _scope(request: RequestOfUser) -> int | None:
    """The portfolio's id, None for the whole desk. Raises InvalidInput."""
    scope = request.POST.get("scope", "")
    if scope == DESK_SCOPE:
        return None
    if not scope.isdecimal():
        raise InvalidInput("say what to release: a portfolio or the desk", field="scope")
    return int(scope)
