"""The page of watchlists, and what its forms post."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from apps.core.clock import now
from apps.core.errors import DeskError, InvalidInput
from apps.core.pages import RequestOfUser, page, way_back
from apps.marketdata.models import Watchlist
from apps.marketdata.selectors.market import market_clock
from apps.marketdata.selectors.watchlists import watched_instruments, watched_rows, watchlists_visible
from apps.marketdata.services.watchlists import (
    watchlist_add,
    watchlist_change,
    watchlist_create,
    watchlist_delete,
    watchlist_move,
    watchlist_remove,
)


@require_http_methods(["GET", "POST"])
@page
def watchlists(request: RequestOfUser) -> HttpResponse:
    """One list with prices, the names of the others, and forms that make, change and delete one."""
    if request.method == "POST":
        return _posted(request)
    lists = list(watchlists_visible(request.user))
    wanted = request.GET.get("list", "")
    chosen = next((one for one in lists if str(one.pk) == wanted), lists[0] if lists else None)
    context: dict[str, Any] = {"lists": lists, "chosen": chosen, "own": chosen is not None and chosen.owner_id == request.user.pk}
    if chosen is not None:
        context["rows"] = watched_rows(watched_instruments(chosen), market=market_clock(now()))
    return render(request, "marketdata/watchlists.html", context)


def _posted(request: RequestOfUser) -> HttpResponse:
    given, action = request.POST, request.POST.get("action", "")
    try:
        if action == "create":
            made = watchlist_create(
                owner=request.user, name=given.get("name", ""), symbols=symbols_of(given.get("symbols", "")), shared="shared" in given, at=now()
            )
        elif action == "change":
            made = watchlist_change(user=request.user, watchlist_id=_number(given), name=given.get("name", ""), shared="shared" in given)
        elif action == "delete":
            watchlist_delete(user=request.user, watchlist_id=_number(given))
            messages.info(request, "The watchlist is deleted.")
            return redirect("watchlists")
        else:
            raise InvalidInput("create, change or delete a watchlist", field="action")
    except DeskError as error:
        messages.error(request, f"Nothing was changed: {error.detail}")
        return redirect(f"{reverse('watchlists')}?list={given.get('watchlist', '')}")
    return redirect(address_of(made))


@require_POST
@page
def watchlist_item(request: RequestOfUser) -> HttpResponse:
    """Put an instrument on a list, move it, or take it off."""
    given = request.POST
    symbol, action = given.get("symbol", "").strip().upper(), given.get("action", "")
    try:
        number = _number(given)
        if action == "add":
            changed = watchlist_add(user=request.user, watchlist_id=number, symbol=symbol)
            messages.success(request, f"{symbol} is on {changed.name}.")
        elif action == "remove":
            changed = watchlist_remove(user=request.user, watchlist_id=number, symbol=symbol)
        elif action in ("up", "down"):
            changed = watchlist_move(user=request.user, watchlist_id=number, symbol=symbol, by=-1 if action == "up" else 1)
        else:
            raise InvalidInput("add, remove, up or down", field="action")
    except DeskError as error:
        messages.error(request, f"The watchlist was not changed: {error.detail}")
        return redirect(way_back(request, f"{reverse('watchlists')}?list={given.get('watchlist', '')}"))
    return redirect(way_back(request, address_of(changed)))


def symbols_of(text: str) -> list[str]:
    """Symbols separated by commas or blanks."""
    return [symbol.upper() for symbol in text.replace(",", " ").split()]


def address_of(watchlist: Watchlist) -> str:
    """The page of one list."""
    return f"{reverse('watchlists')}?list={watchlist.pk}"


def _number(given: Any) -> int:
    text = given.get("watchlist", "")
    if not text.isdecimal():
        raise InvalidInput("choose a watchlist", field="watchlist")
    return int(text)
