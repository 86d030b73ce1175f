"""Watchlists that a user sees, with their instruments in order and what they cost now."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from django.db.models import BooleanField, ExpressionWrapper, Q, QuerySet

from apps.core.errors import NotFound
from apps.core.trading import ReferencePrice
from apps.marketdata.models import Instrument, Watchlist
from apps.marketdata.selectors.market import MarketClock
from apps.marketdata.selectors.quotes import previous_closes, reference_prices

if TYPE_CHECKING:
    from apps.core.models import User


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedRow:
    """One instrument with its price: `change` is the fraction against `previous_close`, None where a price is not known."""

    instrument: Instrument
    price: ReferencePrice | None
    previous_close: Decimal | None

    @property
    def change(self) -> Decimal | None:
        return None if self.price is None or not self.previous_close else self.price.price / self.previous_close - 1


def watchlists_visible(user: "User") -> QuerySet[Watchlist]:
    """The user's own lists, then those that others share, by name."""
    return (
        Watchlist.objects.filter(Q(owner_id=user.pk) | Q(shared=True))
        .select_related("owner")
        .prefetch_related("items__instrument")
        .order_by(ExpressionWrapper(Q(owner_id=user.pk), output_field=BooleanField()).desc(), "name", "pk")
    )


def watchlist_get(*, user: "User", watchlist_id: int) -> Watchlist:
    """Raises NotFound, also for a list of others that is not shared: the two look alike from outside."""
    found = watchlists_visible(user).filter(pk=watchlist_id).first()
    if found is None:
        raise NotFound(f"no watchlist {watchlist_id}")
    return found


def watched_instruments(watchlist: Watchlist) -> list[Instrument]:
    """The list's instruments in its order, from what `watchlists_visible` has read."""
    return [item.instrument for item in sorted(watchlist.items.all(), key=lambda item: item.position)]


def watched_rows(instruments: Sequence[Instrument], *, market: MarketClock) -> list[WatchedRow]:
    """Instruments with latest prices and the closes before: a few queries however long the list. Raises Unavailable without Redis."""
    symbols = [item.symbol for item in instruments]
    prices = reference_prices(symbols, market_time=market.market_time) if symbols else {}
    closes = previous_closes(symbols, market.market_time) if symbols else {}
    return [WatchedRow(instrument=item, price=prices.get(item.symbol), previous_close=closes.get(item.symbol)) for item in instruments]
