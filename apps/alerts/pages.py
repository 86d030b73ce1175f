"""The user's alerts: the centre that lists them, and where they go besides the screen."""

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.dateparse import parse_time
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.alerts.models import Channel, DeliveryState, Severity
from apps.alerts.selectors import receipts
from apps.alerts.selectors.centre import centre_rows, receipts_wanted
from apps.alerts.selectors.routes import deliveries_of, routes_of
from apps.alerts.services import alert_acknowledge
from apps.alerts.services.delivery import delivery_retry
from apps.alerts.services.mail import mail_configured
from apps.alerts.services.routes import route_change, route_create, route_end, route_secret_renew, route_test
from apps.alerts.services.webhooks import webhook_secret
from apps.core.clock import now
from apps.core.errors import DeskError, InvalidInput
from apps.core.pages import RequestOfUser, page, way_back

PAGE = 50
TABS = (("open", "Open"), ("all", "All"))
DELIVERIES = 25


@require_GET
@page
def inbox(request: RequestOfUser) -> HttpResponse:
    """Alerts of this user, newest first, with what became of each."""
    given = request.GET
    tab = "all" if given.get("tab") == "all" else "open"
    wanted = {name: given.get(name, "").strip() for name in ("q", "severity", "portfolio")}
    found = receipts_wanted(receipts(request.user, only_open=tab == "open"), **wanted)
    shown = Paginator(found, PAGE).get_page(given.get("page"))
    rows = centre_rows(request.user, list(shown))
    context = {
        "page": shown,
        "rows": rows,
        "tab": tab,
        "tabs": TABS,
        "wanted": wanted,
        "severities": Severity.values,
        "narrowed": any(wanted.values()),
    }
    return render(request, "alerts/inbox.html", context)


@require_POST
@page
def acknowledge(request: RequestOfUser, alert_id: int) -> HttpResponse:
    """Say that it was seen, with a note."""
    try:
        alert_acknowledge(user=request.user, alert_id=alert_id, note=request.POST.get("note", "").strip(), at=now())
    except DeskError as error:
        messages.error(request, f"Alert {alert_id} was not acknowledged: {error.detail}")
    return redirect(way_back(request, reverse("alerts")))


@require_http_methods(["GET", "POST"])
@page
def delivery(request: RequestOfUser) -> HttpResponse:
    """The user's routes, and what went out by them."""
    if request.method == "POST":
        return _posted(request)
    state = request.GET.get("state", "")
    state = state if state in DeliveryState.values else ""
    found = deliveries_of(request.user)
    shown = Paginator(found.filter(state=state) if state else found, DELIVERIES).get_page(request.GET.get("page"))
    routes = [(route, webhook_secret(route) if route.channel == Channel.WEBHOOK else "") for route in routes_of(request.user)]
    context = {
        "routes": routes,
        "page": shown,
        "state": state,
        "states": DeliveryState.choices,
        "channels": Channel.choices,
        "severities": Severity.values,
        "mail": mail_configured(),
    }
    return render(request, "alerts/delivery.html", context)


def _posted(request: RequestOfUser) -> HttpResponse:
    given, action, user = request.POST, request.POST.get("action", ""), request.user
    try:
        if action == "create":
            made = route_create(user=user, channel=given.get("channel", ""), target=given.get("target", ""), at=now(), **_wishes(given))
            said = f"{made} is added. Try it before you rely on it."
        elif action == "change":
            said = f"{route_change(user=user, route_id=_number(given), target=given.get('target', ''), **_wishes(given))} is changed."
        elif action == "remove":
            said = f"{route_end(user=user, route_id=_number(given), at=now())} is removed."
        elif action == "secret":
            said = f"{route_secret_renew(user=user, route_id=_number(given))} is signed by another secret from now on."
        elif action == "test":
            route_test(user=user, route_id=_number(given), at=now())
            said = "A trial is on its way; what comes of it is shown below."
        else:
            raise InvalidInput("create, change, remove, secret or test", field="action")
    except DeskError as error:
        messages.error(request, f"Nothing was changed: {error.detail}")
    else:
        messages.success(request, said)
    return redirect("alert-delivery")


@require_POST
@page
def retry(request: RequestOfUser, delivery_id: int) -> HttpResponse:
    """Try a dead delivery again."""
    try:
        delivery_retry(user=request.user, delivery_id=delivery_id, at=now())
        messages.success(request, f"Delivery {delivery_id} is tried again.")
    except DeskError as error:
        messages.error(request, f"Delivery {delivery_id} is not tried again: {error.detail}")
    return redirect(way_back(request, reverse("alert-delivery")))


def _wishes(given: QueryDict) -> dict[str, Any]:
    """The form's wishes. Raises InvalidInput, naming the field, for what is none."""
    return {
        "minimum": given.get("minimum", ""),
        "kinds": given.get("kinds", "").replace(",", " ").split(),
        "portfolios": [_whole(text, "portfolios") for text in given.getlist("portfolios")],
        "quiet_from": _clock(given.get("quiet_from", ""), "quiet_from"),
        "quiet_to": _clock(given.get("quiet_to", ""), "quiet_to"),
        "time_zone": given.get("time_zone", "").strip(),
        "digest_minutes": _whole(given.get("digest_minutes", "") or "0", "digest_minutes"),
    }


def _whole(text: str, name: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise InvalidInput(f"{text[:20]!r} is no whole number", field=name)
    return int(text)


def _clock(text: str, name: str) -> Any:
    if not text:
        return None
    try:
        found = parse_time(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is not None:
        raise InvalidInput(f"{text[:20]!r} is no time of day", field=name)
    return found


def _number(given: QueryDict) -> int:
    return _whole(given.get("route", ""), "route")
