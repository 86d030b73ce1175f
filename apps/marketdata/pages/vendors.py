"""Where data comes from, on the page "Data": vendors with their breakers and an operator's hand on them, live feeds and their health."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from apps.core.clock import now
from apps.core.errors import DeskError, InvalidInput, NotPermitted
from apps.core.pages import RequestOfUser, page
from apps.marketdata.models import Forced
from apps.marketdata.selectors.feeds import feed_status
from apps.marketdata.selectors.vendors import vendor_states
from apps.marketdata.services.vendors import vendor_force

VIEW = "marketdata.view_vendor"
CONTROL = "marketdata.control_vendor"
FAULTS = 5
#: What the buttons are called: name in the form, text, class, what it does.
DECISIONS = {
    "force_open": (Forced.OPEN, "Force open", "btn-danger", "Do not ask the vendor"),
    "force_close": (Forced.CLOSED, "Force close", "btn-quiet", "Ask the vendor even when it fails"),
    "release": (Forced.NO, "Release", "btn-quiet", "Leave the vendor to its breaker again"),
}
#: Classes of the small label of a breaker's state.
TAGS = {"closed": "good", "open": "bad", "half_open": "warn", "forced_open": "bad", "forced_closed": "warn", "unknown": "warn"}


def sources(request: RequestOfUser) -> dict[str, Any]:
    """What the panels show; `vendors` is None for those who may not see vendors."""
    feeds = feed_status(now())
    return {
        "vendors": [(state, TAGS[state.breaker], _pace(state.rate)) for state in vendor_states()] if request.user.has_perm(VIEW) else None,
        "decisions": [(name, *shown) for name, (_, *shown) in DECISIONS.items()] if request.user.has_perm(CONTROL) else [],
        "feeds": feeds,
        "feed_faults": feeds.faults[:FAULTS],
    }


@require_POST
@page
def vendor_decide(request: RequestOfUser) -> HttpResponse:
    """Force the breaker of a vendor, or release it."""
    if not request.user.has_perm(CONTROL):
        raise NotPermitted("Your role does not force breakers.")
    name, decision = request.POST.get("vendor", ""), request.POST.get("decision", "")
    try:
        if decision not in DECISIONS:
            raise InvalidInput(f"{decision!r} is none of {', '.join(DECISIONS)}", field="decision")
        forced = DECISIONS[decision][0]
        by = f"user:{request.user.get_username()}"
        vendor_force(name=name, forced=forced, reason=request.POST.get("reason", ""), by=by, user=request.user, at=now())
    except DeskError as error:
        messages.error(request, f"Nothing was changed: {error.detail}")
    else:
        messages.warning(request, f"{name}: {forced.label}")
    return redirect(reverse("data-quality"))


def _pace(rate: float) -> str:
    """Requests in the unit in which vendors publish their limits."""
    return f"{rate:.4g} a second" if rate >= 1 else f"{rate * 60:.4g} a minute"
