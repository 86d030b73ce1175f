"""Pages of live engines: which run, one with its state and what it did, one cycle step by step."""

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from apps.core.charts import csv_answer
from apps.core.clock import now
from apps.core.errors import DeskError, NotFound
from apps.core.pages import RequestOfUser, page, way_back
from apps.execution.selectors.engines import (
    approval_open,
    cycle_get,
    cycle_row,
    engine_cycles,
    engine_events,
    engine_get,
    engine_orders,
    engine_row,
    engine_rows,
    engines_visible,
)

CYCLES = 20
EXPORTED = 10_000
#: What is said once a person has done it to an engine.
ENGINE_DONE = {
    "start": "it is wanted; a free host takes it within a second or two.",
    "stop": "it is stopped and orders nothing more.",
    "reset": "its circuit breaker is closed.",
    "live": "live trading is asked for; a second person approves.",
    "approve": "it may trade live.",
    "revoke": "it may not trade live.",
}


@require_GET
@page
def engine_list(request: RequestOfUser) -> HttpResponse:
    """Live engines of all portfolios that the user sees, with how they are."""
    return render(request, "execution/engines.html", {"engines": engine_rows(engines_visible(request.user), now())})


@require_GET
@page
def engine(request: RequestOfUser, engine_id: int) -> HttpResponse:
    """One engine: state, stops, breaker, configuration, cycles, orders; the orders as CSV with `format=csv`."""
    found = engine_get(user=request.user, engine_id=engine_id)
    if request.GET.get("format") == "csv":
        rows = engine_orders(found, most=EXPORTED)
        return csv_answer(f"engine-{engine_id}-orders", tuple(rows[0]) if rows else ("id",), [tuple(row.values()) for row in rows])
    shown = Paginator(engine_cycles(found), CYCLES).get_page(request.GET.get("page"))
    context = {
        "e": engine_row(found, now()),
        "page": shown,
        "cycles": [cycle_row(cycle) for cycle in shown],
        "orders": engine_orders(found),
        "events": engine_events(found),
        "approval": approval_open(found),
    }
    return render(request, "execution/engine.html", context)


@require_GET
@page
def engine_cycle(request: RequestOfUser, engine_id: int, number: int) -> HttpResponse:
    """One cycle: its eleven steps with inputs and outcome."""
    found = engine_get(user=request.user, engine_id=engine_id)
    return render(request, "execution/engine_cycle.html", {"e": engine_row(found, now()), "c": cycle_row(cycle_get(found, number))})


@require_POST
@page
def engine_do(request: RequestOfUser, engine_id: int) -> HttpResponse:
    """Start, stop, reset the breaker, ask for live trading, approve it or take it back; then go back."""
    from apps.execution.services import engines as service

    words: dict[str, Any] = {"engine_id": engine_id, "user": request.user, "at": now()}
    reason, what = request.POST.get("reason", ""), request.POST.get("do", "")
    try:
        if what == "start":
            service.engine_start(**words)
        elif what == "stop":
            service.engine_stop(reason=reason, **words)
        elif what == "reset":
            service.engine_reset(reason=reason, **words)
        elif what == "live":
            service.live_request(reason=reason, **words)
        else:
            approval = approval_open(engine_get(user=request.user, engine_id=engine_id))
            if approval is None or what not in ("approve", "revoke"):
                raise NotFound("there is nothing to decide")
            if what == "approve":
                service.live_approve(approval_id=approval.pk, user=request.user, at=now())
            else:
                service.live_revoke(approval_id=approval.pk, user=request.user, reason=reason, at=now())
    except DeskError as error:
        messages.error(request, f"Engine {engine_id}: {error.detail}")
    else:
        messages.info(request, f"Engine {engine_id}: {ENGINE_DONE[what]}")
    return redirect(way_back(request, reverse("engine-detail", args=[engine_id])))
