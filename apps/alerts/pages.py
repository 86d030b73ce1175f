"""The user's alerts: open ones to acknowledge with a note, and all of them."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from apps.alerts.selectors import receipts
from apps.alerts.services import alert_acknowledge
from apps.core.clock import now
from apps.core.errors import DeskError
from apps.core.pages import RequestOfUser, page, way_back

PAGE = 50
TABS = (("open", "Open"), ("all", "All"))


@require_GET
@page
def inbox(request: RequestOfUser) -> HttpResponse:
    """Alerts of this user, newest first."""
    tab = "all" if request.GET.get("tab") == "all" else "open"
    shown = Paginator(receipts(request.user, only_open=tab == "open"), PAGE).get_page(request.GET.get("page"))
    return render(request, "alerts/inbox.html", {"page": shown, "tab": tab, "tabs": TABS})


@require_POST
@page
def acknowledge(request: RequestOfUser, alert_id: int) -> HttpResponse:
    """Say that it was seen, with a note."""
    try:
        alert_acknowledge(user=request.user, alert_id=alert_id, note=request.POST.get("note", "").strip(), at=now())
    except DeskError as error:
        messages.error(request, f"Alert {alert_id} was not acknowledged: {error.detail}")
    return redirect(way_back(request, reverse("alerts")))
