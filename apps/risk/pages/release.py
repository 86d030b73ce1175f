"""The end of a halt by two people."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from apps.core.clock import now
from apps.core.errors import DeskError, InvalidInput
from apps.core.pages import RequestOfUser, page, way_back
from apps.risk.services.state import release_approve, release_request, release_withdraw

DESK_SCOPE = "desk"


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
