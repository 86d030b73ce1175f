"""The desk's own pages: dashboard, settings, and what the top bar posts."""

from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.forms import PasswordChangeForm
from django.http import HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.core.clock import now
from apps.core.errors import InvalidInput
from apps.core.pages import RequestOfUser, chosen_portfolio, page, wants_json, way_back
from apps.desk.selectors.dashboard import dashboard
from apps.desk.services.preferences import theme_set
from apps.portfolios.selectors.portfolios import portfolio_get


@require_GET
@page
def home(request: RequestOfUser) -> HttpResponse:
    """The chosen portfolio at a glance."""
    return render(request, "desk/dashboard.html", {"board": dashboard(user=request.user, wanted_portfolio=chosen_portfolio(request), now=now())})


@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
@page
def settings(request: RequestOfUser) -> HttpResponse:
    """Theme and password of this user."""
    form = PasswordChangeForm(user=request.user, data=request.POST or None)
    if request.method == "POST" and form.is_valid():
        update_session_auth_hash(request, form.save())
        messages.success(request, "The password is changed.")
        return redirect("settings")
    return render(request, "desk/settings.html", {"form": form})


@require_POST
@page
def theme(request: RequestOfUser) -> HttpResponse:
    """Keep the user's theme."""
    wanted = request.POST.get("theme", "")
    theme_set(user=request.user, theme=wanted)
    if wants_json(request):
        return JsonResponse({"theme": wanted})
    return redirect(way_back(request, reverse("settings")))


@require_POST
@page
def portfolio_choose(request: RequestOfUser) -> HttpResponse:
    """Remember the portfolio that the pages show, for this session."""
    wanted = request.POST.get("portfolio", "")
    if not wanted.isdecimal():
        raise InvalidInput("choose a portfolio", field="portfolio")
    portfolio = portfolio_get(user=request.user, portfolio_id=int(wanted))
    request.session["portfolio"] = portfolio.pk
    back = way_back(request, reverse("dashboard"))
    return redirect(reverse("portfolio-detail", args=[portfolio.pk]) if back.startswith(f"{reverse('portfolios')}/") else back)
