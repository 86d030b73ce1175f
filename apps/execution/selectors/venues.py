"""What each venue displays now, and which routing rule is in force on a day."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from apps.core.errors import NotFound
from apps.core.money import price_from_float
from apps.core.trading import Side
from apps.execution.domain.routing import VenueQuote
from apps.execution.domain.venues import VenueTerms, displayed_quotes
from apps.execution.models import OrderProtection, Venue
from apps.marketdata.selectors.instruments import instrument_get
from apps.marketdata.selectors.quotes import latest_quotes
from apps.marketdata.selectors.ticks import nbbo_at

#: A venue's stored quote counts while it is no older than this, in market time.
FRESH_SECONDS = 60
SIMULATED = "simulated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One venue's displayed quote, and where it comes from: its own stored quotes (the source's name) or "simulated"."""

    quote: VenueQuote
    market_time: datetime
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Display:
    """What all active venues show to an order of one side, beside the best bid and offer that was known (None: unknown)."""

    best_bid: Decimal | None
    best_ask: Decimal | None
    market_time: datetime | None
    quotes: tuple[Shown, ...]


def venue_terms() -> tuple[VenueTerms, ...]:
    """The active venues by name."""
    found = Venue.objects.filter(active=True).order_by("name")
    return tuple(VenueTerms(name=one.name, taker_fee=one.taker_fee, maker_fee=one.maker_fee, latency_ms=one.latency_ms) for one in found)


def venues_display(symbol: str, side: Side) -> Display:
    """A venue's own stored quotes where a source of its name has a fresh one, else a simulated book around the latest price.

    Without a latest price no venue displays anything.
    """
    venues = venue_terms()
    quote = latest_quotes([symbol]).get(symbol)
    if quote is None or not venues:
        return Display(best_bid=None, best_ask=None, market_time=None, quotes=())
    tick = instrument_get(symbol).tick_size
    best_ask = _on_tick(quote.ask or quote.price, tick)
    best_bid = _on_tick(quote.bid or quote.price, tick)
    simulated = displayed_quotes(
        symbol=symbol, side=side, best=best_ask if side is Side.BUY else best_bid, tick=tick, at=quote.market_time, venues=venues
    )
    shown = [
        _stored(symbol, side, venue, quote.market_time) or Shown(quote=made, market_time=quote.market_time, source=SIMULATED)
        for venue, made in zip(venues, simulated, strict=True)
    ]
    return Display(best_bid=best_bid, best_ask=best_ask, market_time=quote.market_time, quotes=tuple(shown))


def order_protection(on: date) -> bool:
    """Whether the best displayed price must be taken first on a day. Where nobody has said otherwise it must."""
    found = OrderProtection.objects.filter(effective_from__lte=on).order_by("-effective_from").first()
    return True if found is None else found.in_force


def _stored(symbol: str, side: Side, venue: VenueTerms, at: datetime) -> Shown | None:
    try:
        row = nbbo_at(symbol, [at], source=venue.name, max_age_seconds=FRESH_SECONDS)
    except NotFound:
        return None
    price, size = (row.ask, row.ask_size) if side is Side.BUY else (row.bid, row.bid_size)
    if not float(price[0]) > 0 or not float(size[0]) > 0:
        return None
    quote = VenueQuote(venue=venue.name, price=price_from_float(float(price[0])), size=int(size[0]), fee=venue.taker_fee)
    return Shown(quote=quote, market_time=at, source=venue.name)


def _on_tick(price: Decimal, tick: Decimal) -> Decimal:
    return (price / tick).quantize(Decimal(1)) * tick
