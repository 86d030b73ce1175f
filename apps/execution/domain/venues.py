"""What simulated venues display around the best bid and offer, and from when which routing rule held.

A simulated book is a function of the venue, the instrument, the side and the second of market time: the same moment is always the same
picture, so that a routing decision can be checked, and a venue may have faded by the time the order arrives.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from apps.core.trading import Side
from apps.execution.domain.routing import VenueQuote

#: Displayed sizes are one to twenty round lots.
ROUND_LOT = 100
MOST_LOTS = 20
#: A venue stands up to so many ticks behind the best price; the first is always at it.
MOST_TICKS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueTerms:
    """A venue's fees in money per share (a rebate is negative) and its latency in milliseconds."""

    name: str
    taker_fee: Decimal
    maker_fee: Decimal
    latency_ms: int = 0


def displayed_quotes(
    *, symbol: str, side: Side, best: Decimal, tick: Decimal, at: datetime, venues: Sequence[VenueTerms], seed: str = ""
) -> tuple[VenueQuote, ...]:
    """What each venue shows to an order of this side, in the order of the venues. `best` is the ask of a buy, the bid of a sell.

    At least one venue, chosen by the moment, stands at the best price.
    """
    if not venues:
        return ()
    leader = _draw(f"{seed}|{symbol}|{side}|{_second(at)}|leader") % len(venues)
    quotes = []
    for number, venue in enumerate(venues):
        drawn = _draw(f"{seed}|{symbol}|{side}|{_second(at)}|{venue.name}")
        behind = 0 if number == leader else drawn % (MOST_TICKS + 1)
        price = best + side.sign * behind * tick
        size = ROUND_LOT * (1 + (drawn >> 8) % MOST_LOTS)
        quotes.append(VenueQuote(venue=venue.name, price=price, size=size if price > 0 else 0, fee=venue.taker_fee))
    return tuple(quotes)


def posting_venue(venues: Sequence[VenueTerms]) -> VenueTerms | None:
    """Where a remainder rests: the lowest maker fee (the highest rebate), then the lowest latency, then by name."""
    return min(venues, key=lambda venue: (venue.maker_fee, venue.latency_ms, venue.name), default=None)


def _second(at: datetime) -> str:
    return at.replace(microsecond=0).isoformat()


def _draw(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())
