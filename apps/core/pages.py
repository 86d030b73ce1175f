"""What pages of all apps share: the door, the answer to errors, and the way back after a form."""

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.http import url_has_allowed_host_and_scheme

from apps.core.errors import DeskError

if TYPE_CHECKING:
    from apps.core.models import User


class RequestOfUser(HttpRequest):
    """A request behind the login."""

    user: "User"
    request_id: str


View = Callable[..., HttpResponse]


def page(view: View) -> View:
    """Let only signed-in users in, and turn the desk's own errors into a page (or, for a script, into JSON) with the error's status."""

    @login_required
    @wraps(view)
    def guarded(request: RequestOfUser, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except DeskError as error:
            return problem_page(request, error)

    return guarded


def problem_page(request: HttpRequest, error: DeskError) -> HttpResponse:
    """What happened, with the request id to quote; JSON when the caller asks for JSON."""
    if wants_json(request):
        return JsonResponse({"code": error.code, "detail": error.detail}, status=error.status)
    return render(request, "problem.html", {"error": error}, status=error.status)


def wants_json(request: HttpRequest) -> bool:
    """True for calls by our scripts, which name JSON only."""
    return request.headers.get("Accept", "").startswith("application/json")


def way_back(request: HttpRequest, default: str) -> str:
    """The address in the form's `next` when it is ours, else `default`: a form must never send people to another host."""
    wanted = request.POST.get("next", "")
    ours = url_has_allowed_host_and_scheme(wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure())
    return wanted if ours and wanted.startswith("/") else default


def chosen_portfolio(request: HttpRequest) -> object:
    """The portfolio that the address names, else the one picked last in the top bar; None when there is neither."""
    return request.GET.get("portfolio") or request.session.get("portfolio")
