"""Pages of parent orders: all of them, and one with its progress."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import numpy as np
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST
from numpy.typing import NDArray

from apps.core.charts import Chart, Palette, chart_answer
from apps.core.clock import now
from apps.core.errors import DeskError
from apps.core.pages import RequestOfUser, page, way_back
from apps.execution.pages.scope import portfolios_chosen
from apps.execution.selectors.algos import ACTIVE, algo_course, algo_detail, algo_get, algo_rows, algos_visible
from apps.marketdata.selectors.market import market_clock

PAGE = 50


@require_GET
@page
def algo_list(request: RequestOfUser) -> HttpResponse:
    """Parent orders of one portfolio, or of all that the user sees, newest first, with their progress."""
    chosen = portfolios_chosen(request)
    parents = algos_visible(request.user).filter(portfolio__in=chosen).order_by("-id")
    shown = Paginator(parents, PAGE).get_page(request.GET.get("page"))
    context = {"page": shown, "algos": algo_rows(shown), "chosen": chosen[0] if len(chosen) == 1 else None, "everything": len(chosen) != 1}
    return render(request, "execution/algos.html", context)


@require_GET
@page
def algo(request: RequestOfUser, algo_id: int) -> HttpResponse:
    """One parent: its progress against the schedule, children, routing, events and decisions."""
    detail = algo_detail(user=request.user, algo_id=algo_id)
    context = {"detail": detail, "a": detail.algo, "active": detail.algo["status"] in ACTIVE, "live": bool(detail.children)}
    return render(request, "execution/algo.html", context)


@require_POST
@page
def algo_stop(request: RequestOfUser, algo_id: int) -> HttpResponse:
    """End a parent and cancel its children, then go back."""
    from apps.execution.services.algos import algo_cancel

    try:
        algo_cancel(algo_id=algo_id, user=request.user, at=now())
    except DeskError as error:
        messages.error(request, f"Parent order {algo_id} was not cancelled: {error.detail}")
    else:
        messages.info(request, f"Parent order {algo_id} is cancelled, and its children with it.")
    return redirect(way_back(request, reverse("algo-detail", args=[algo_id])))


@require_GET
@page
def algo_chart(request: RequestOfUser, algo_id: int) -> HttpResponse:
    """What a parent's schedule had due and what has traded, over market time."""
    parent = algo_get(user=request.user, algo_id=algo_id)
    course = algo_course(parent, market_clock(now()).market_time)
    traded, quantity = course.done[-1][1], parent.quantity
    due = [shares for at, shares in course.planned if at <= course.until]
    summary = f"{traded.normalize():f} of {quantity.normalize():f} shares have traded"
    summary += f"; by then the schedule had {due[-1].normalize():f} due." if due else "; this algorithm has no schedule."
    rows = sorted([(at, "due", float(shares)) for at, shares in course.planned] + [(at, "traded", float(shares)) for at, shares in course.done])

    def draw(palette: Palette) -> Any:
        from apps.execution.charts import progress_figure

        planned, done = (_points(points) for points in (course.planned, course.done))
        return progress_figure(palette, planned_ts=planned[0], planned=planned[1], done_ts=done[0], done=done[1], quantity=float(quantity))

    chart = Chart(name=f"parent-{algo_id}", draw=draw, summary=summary, columns=("Market time (UTC)", "What", "Shares in all"), rows=rows)
    return chart_answer(request, chart)


def _points(points: Sequence[tuple[datetime, Decimal]]) -> tuple[NDArray[np.datetime64], NDArray[np.float64]]:
    ts = np.array([at.replace(tzinfo=None) for at, _ in points], dtype="datetime64[us]")
    return ts, np.array([float(shares) for _, shares in points])
