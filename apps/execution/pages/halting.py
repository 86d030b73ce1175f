"""The kill switch that stands on every page. Its end, by two people, is a page of risk."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from apps.core.clock import now
from apps.core.errors import DeskError, InvalidInput
from apps.core.pages import RequestOfUser, page, way_back
from apps.execution.domain.halting import HaltLevel
from apps.execution.services.halting import trading_stop

DESK_SCOPE = "desk"
DONE = {
    HaltLevel.PAUSE: "New positions are refused. Working orders stay, reductions pass.",
    HaltLevel.CANCEL: "Trading is halted. Working orders are being cancelled.",
    HaltLevel.FLATTEN: "Working orders are being cancelled and positions closed at the market; nothing else trades.",
}


@require_POST
@page
def halt(request: RequestOfUser) -> HttpResponse:
    """Stop trading of a portfolio or of the desk, at one of three levels."""
    try:
        level = _level(request)
        trading_stop(
            portfolio_id=_scope(request),
            user=request.user,
            level=level,
            reason=request.POST.get("reason", ""),
            confirm=request.POST.get("confirm", ""),
            at=now(),
        )
    except DeskError as error:
        messages.error(request, f"Trading was not halted: {error.detail}")
    else:
        messages.warning(request, DONE[level])
    return redirect(way_back(request, reverse("risk")))


def _level(request: RequestOfUser) -> HaltLevel:
    """As chosen; without a choice everything stops. Raises InvalidInput."""
    try:
        return HaltLevel(request.POST.get("level", HaltLevel.CANCEL))
    except ValueError as error:
        raise InvalidInput(f"there are three levels: {', '.join(HaltLevel)}", field="level") from error


def _scope(request: RequestOfUser) -> int | None:
    """The portfolio's id, None for the whole desk. Raises InvalidInput."""
    scope = request.POST.get("scope", "")
    if scope == DESK_SCOPE:
        return None
    if not scope.isdecimal():
        raise InvalidInput("say what to halt: a portfolio or the desk", field="scope")
    return int(scope)
