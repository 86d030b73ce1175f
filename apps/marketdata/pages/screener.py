"""The screener's page: a query, what it finds, and saved queries."""

import math
from datetime import date
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from apps.core.charts import csv_answer
from apps.core.clock import now
from apps.core.errors import DeskError, InvalidInput
from apps.core.pages import RequestOfUser, page
from apps.marketdata.domain.indicators import indicators
from apps.marketdata.domain.screening import FACTS, query_parse
from apps.marketdata.models import AssetClass
from apps.marketdata.selectors.screens import EVERYTHING, WATCHLIST, ScreenResult, ScreenRow, screen_run, screens_visible
from apps.marketdata.selectors.universes import universes_known
from apps.marketdata.selectors.watchlists import watchlists_visible
from apps.marketdata.services.screens import screen_change, screen_delete, screen_save

PAGE = 50
LABELS = {str(value): str(label) for value, label in AssetClass.choices}
EXAMPLES = (
    ("Oversold in an upward trend", "rsi(14) < 30 and close > sma(200)"),
    ("New strength", "close crosses above sma(50) and volume > 2 * sma(volume, 20)"),
    ("Far below its high", "drawdown(252) < -0.2 and roc(20) > 0"),
    ("Outside the bands", "close < bbands(20, 2).lower or close > bbands(20, 2).upper"),
)


@require_http_methods(["GET", "POST"])
@page
def screener(request: RequestOfUser) -> HttpResponse:
    """The form, the result of the address's query, and the saved queries."""
    if request.method == "POST":
        return _posted(request)
    text = request.GET.get("query", "").strip()
    context: dict[str, Any] = {
        "query": text,
        "universe": request.GET.get("universe", EVERYTHING),
        "universes": [
            (EVERYTHING, "All instruments"),
            *((one.name, LABELS[one.name] if one.kind == "asset_class" else one.name) for one in universes_known()),
        ],
        "watchlists": [(f"{WATCHLIST}{one.pk}", one.name) for one in watchlists_visible(request.user)],
        "day": request.GET.get("date", ""),
        "saved": list(screens_visible(request.user)),
        "examples": EXAMPLES,
        "figures": FACTS["fundamental"],
        "known": [item for item in indicators().values() if "benchmark" not in item.columns and not item.family],
    }
    status = 200
    if text:
        try:
            found = screen_run(query=query_parse(text), universe=context["universe"], user=request.user, now=now(), day=_day(context["day"]))
        except DeskError as error:
            context["error"], status = error, error.status
        else:
            rows, context["sort"], context["falling"] = _sorted(found, request)
            if request.GET.get("format") == "csv":
                return csv_answer("screen", ("symbol", "name", *found.columns), [_cells(row, found) for row in rows])
            shown = Paginator(rows, PAGE).get_page(request.GET.get("page"))
            context |= {"found": found, "page": shown, "rows": [(row, [row.values[name] for name in found.columns]) for row in shown]}
    return render(request, "marketdata/screener.html", context, status=status)


def _posted(request: RequestOfUser) -> HttpResponse:
    """Save, share or delete a query, then show it again."""
    given, action = request.POST, request.POST.get("action", "")
    query = given.get("query", "")
    try:
        if action == "save":
            made = screen_save(owner=request.user, name=given.get("name", ""), query=query, shared="shared" in given, at=now())
            messages.success(request, f"{made.name} is saved.")
        elif action in ("share", "keep") and given.get("screen", "").isdecimal():
            query = screen_change(user=request.user, screen_id=int(given["screen"]), shared=action == "share").query
        elif action == "delete" and given.get("screen", "").isdecimal():
            screen_delete(user=request.user, screen_id=int(given["screen"]))
            messages.info(request, "The saved query is deleted.")
        else:
            raise InvalidInput("save, share, keep or delete a query", field="action")
    except DeskError as error:
        messages.error(request, f"Nothing was changed: {error.detail}")
    return redirect(f"{reverse('screener')}?{urlencode({'query': query})}" if query else "screener")


def _day(text: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(f"{text!r} is no date like 2012-12-31", field="date") from error


def _sorted(found: ScreenResult, request: RequestOfUser) -> tuple[list[ScreenRow], str, bool]:
    """The rows by the column asked for, unknown values last; by symbol otherwise."""
    wanted, falling = request.GET.get("sort", ""), request.GET.get("order") == "desc"
    if wanted not in found.columns:
        return sorted(found.rows, key=lambda row: row.symbol, reverse=falling), "symbol", falling
    sign = -1.0 if falling else 1.0
    return sorted(found.rows, key=lambda row: (math.isnan(row.values[wanted]), sign * row.values[wanted], row.symbol)), wanted, falling


def _cells(row: ScreenRow, found: ScreenResult) -> tuple[object, ...]:
    return (row.symbol, row.name, *(row.values[name] for name in found.columns))
