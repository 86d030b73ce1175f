"""Which columns of the blotter a person wants to see, kept in that person's browser."""

from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from apps.core.pages import RequestOfUser, page, way_back

COOKIE = "blotter_columns"
KEPT_SECONDS = 365 * 86_400


@dataclass(frozen=True, slots=True)
class Column:
    """One that may be left out. `shown` until somebody chooses."""

    key: str
    name: str
    shown: bool = True


#: Symbol, side, quantity and status always stand: without them a row is no order.
COLUMNS = (
    Column("time", "Time"),
    Column("portfolio", "Portfolio"),
    Column("book", "Book", shown=False),
    Column("filled", "Filled"),
    Column("left", "Left"),
    Column("average", "Average price"),
    Column("arrival", "Arrival price", shown=False),
    Column("type", "Type"),
    Column("limit", "Limit"),
    Column("stop", "Stop"),
    Column("tif", "Time in force"),
    Column("strategy", "Strategy"),
    Column("by", "By"),
    Column("account", "Account", shown=False),
    Column("venue", "Venue", shown=False),
    Column("slippage", "Slippage"),
    Column("note", "Note", shown=False),
    Column("reason", "Reason"),
)


def columns_shown(request: HttpRequest) -> frozenset[str]:
    """The keys of the columns to show: those chosen in this browser, else what everybody begins with. Unknown words are passed over."""
    if COOKIE not in request.COOKIES:
        return frozenset(one.key for one in COLUMNS if one.shown)
    chosen = set(request.COOKIES[COOKIE].split("."))
    return frozenset(one.key for one in COLUMNS if one.key in chosen)


@require_POST
@page
def columns_choose(request: RequestOfUser) -> HttpResponse:
    """Keep the ticked columns, or with `reset` what everybody begins with, then go back."""
    answer = redirect(way_back(request, reverse("blotter")))
    if "reset" in request.POST:
        answer.delete_cookie(COOKIE, samesite="Lax")
        return answer
    ticked = set(request.POST.getlist("column"))
    kept = ".".join(one.key for one in COLUMNS if one.key in ticked)
    answer.set_cookie(COOKIE, kept, max_age=KEPT_SECONDS, secure=settings.SESSION_COOKIE_SECURE, httponly=True, samesite="Lax")
    return answer
