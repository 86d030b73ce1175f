"""Changes of watchlists. Only the owner changes a list; a list of others that is not shared is not found, a shared one refuses."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from django.db import IntegrityError, transaction

from apps.core.errors import Conflict, InvalidInput, NotPermitted
from apps.marketdata.models import Watchlist, WatchlistItem
from apps.marketdata.selectors.instruments import instruments_get
from apps.marketdata.selectors.watchlists import watchlist_get

if TYPE_CHECKING:
    from apps.core.models import User

#: More than this nobody watches, and the page would show nothing else.
MOST_ITEMS = 200
LONGEST_NAME = 60


def watchlist_create(*, owner: "User", name: str, at: datetime, symbols: Sequence[str] = (), shared: bool = False) -> Watchlist:
    """A new list. Raises InvalidInput (name, too many symbols, one twice), NotFound (symbols), Conflict (name is taken)."""
    name = _name(name)
    with transaction.atomic():
        watchlist = Watchlist(owner=owner, name=name, shared=shared, created_at=at)
        _save(watchlist, owner)
        _fill(watchlist, symbols)
    return watchlist_get(user=owner, watchlist_id=watchlist.pk)


def watchlist_change(
    *, user: "User", watchlist_id: int, name: str | None = None, shared: bool | None = None, symbols: Sequence[str] | None = None
) -> Watchlist:
    """Change what is given; `symbols` are all instruments in their new order. Raises as `watchlist_create`, and NotPermitted."""
    with transaction.atomic():
        watchlist = _own(user, watchlist_id)
        if name is not None or shared is not None:
            watchlist.name = watchlist.name if name is None else _name(name)
            watchlist.shared = watchlist.shared if shared is None else shared
            _save(watchlist, user)
        if symbols is not None:
            _fill(watchlist, symbols)
    return watchlist_get(user=user, watchlist_id=watchlist_id)


def watchlist_add(*, user: "User", watchlist_id: int, symbol: str) -> Watchlist:
    """Put an instrument at the end; one that is there already stays where it is."""
    with transaction.atomic():
        symbols = _symbols(_own(user, watchlist_id))
        return watchlist_change(user=user, watchlist_id=watchlist_id, symbols=symbols if symbol in symbols else [*symbols, symbol])


def watchlist_remove(*, user: "User", watchlist_id: int, symbol: str) -> Watchlist:
    """Take an instrument off the list."""
    with transaction.atomic():
        symbols = _symbols(_own(user, watchlist_id))
        return watchlist_change(user=user, watchlist_id=watchlist_id, symbols=[one for one in symbols if one != symbol])


def watchlist_move(*, user: "User", watchlist_id: int, symbol: str, by: int) -> Watchlist:
    """Move an instrument by so many places, up when negative. Raises InvalidInput for one that is not in the list."""
    with transaction.atomic():
        symbols = _symbols(_own(user, watchlist_id))
        if symbol not in symbols:
            raise InvalidInput(f"{symbol!r} is not in the list", field="symbol")
        place = min(max(symbols.index(symbol) + by, 0), len(symbols) - 1)
        symbols.remove(symbol)
        symbols.insert(place, symbol)
        return watchlist_change(user=user, watchlist_id=watchlist_id, symbols=symbols)


def watchlist_delete(*, user: "User", watchlist_id: int) -> None:
    """Delete the list; its history stays."""
    with transaction.atomic():
        watchlist = _own(user, watchlist_id)
        watchlist._history_user = user
        watchlist.delete()


def _own(user: "User", watchlist_id: int) -> Watchlist:
    """The user's own list, locked. Raises NotFound and NotPermitted."""
    if watchlist_get(user=user, watchlist_id=watchlist_id).owner_id != user.pk:
        raise NotPermitted("only its owner changes a shared watchlist")
    return Watchlist.objects.select_for_update().get(pk=watchlist_id)


def _name(name: str) -> str:
    name = name.strip()
    if not 0 < len(name) <= LONGEST_NAME:
        raise InvalidInput(f"a name has 1 to {LONGEST_NAME} characters", field="name")
    return name


def _save(watchlist: Watchlist, user: "User") -> None:
    watchlist._history_user = user
    try:
        with transaction.atomic():
            watchlist.save()
    except IntegrityError as error:
        raise Conflict(f"you have a watchlist {watchlist.name!r} already", field="name") from error


def _symbols(watchlist: Watchlist) -> list[str]:
    return list(watchlist.items.order_by("position").values_list("instrument__symbol", flat=True))


def _fill(watchlist: Watchlist, symbols: Sequence[str]) -> None:
    if len(symbols) > MOST_ITEMS:
        raise InvalidInput(f"a watchlist holds at most {MOST_ITEMS} instruments, not {len(symbols)}", field="symbols")
    if len(set(symbols)) != len(symbols):
        raise InvalidInput("a symbol is given twice", field="symbols")
    wanted = {item.pk: position for position, item in enumerate(instruments_get(symbols).values())} if symbols else {}
    there = {item.instrument_id: item for item in watchlist.items.all()}
    WatchlistItem.objects.filter(pk__in=[item.pk for pk, item in there.items() if pk not in wanted]).delete()
    moved = [item for pk, item in there.items() if pk in wanted and item.position != wanted[pk]]
    for item in moved:
        item.position = wanted[item.instrument_id]
    WatchlistItem.objects.bulk_update(moved, ["position"])
    WatchlistItem.objects.bulk_create(
        [WatchlistItem(watchlist=watchlist, instrument_id=pk, position=position) for pk, position in wanted.items() if pk not in there]
    )
