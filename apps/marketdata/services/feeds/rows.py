"""A symbol's latest price as JSON text, built once: Redis keeps it, and every screen gets it, as it is.

What the text says is `selectors.quotes.quote_row`, and Redis's `quote_to_json`. Building those objects for each of thousands of ticks
a second, and turning them into JSON twice, took most of a feed's time.
"""

from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

from apps.core.money import price_from_float
from apps.marketdata.domain.latest import Latest

#: Prices and sizes come again and again: bid, ask and last price of a symbol seldom change together.
KNOWN_NUMBERS = 1 << 14


class PriceRow(NamedTuple):
    """`text` is the JSON object that screens get; `price` as it stands in it; `market_time` is the price's."""

    price: str
    market_time: datetime
    text: str

    def stored(self, instrument_id: int) -> str:
        """The row as Redis keeps it."""
        return f'{{"instrument_id":{instrument_id},{self.text[1:]}'


def price_row(latest: Latest, feed: str) -> PriceRow | None:
    """The row of a symbol; None before there is a price. `feed` is the feed's name as JSON."""
    if latest.price is None:
        return None
    price, market_time, received_at = latest.price
    shown, quote = _number(price), latest.quote
    bid, bid_size, ask, ask_size = "null", "null", "null", "null"
    if quote is not None and quote.bid > 0:
        bid, bid_size = f'"{_number(quote.bid)}"', f'"{_number(quote.bid_size)}"'
    if quote is not None and quote.ask > 0:
        ask, ask_size = f'"{_number(quote.ask)}"', f'"{_number(quote.ask_size)}"'
    quoted = f'"{_time(quote.ts)}"' if quote is not None else "null"
    basis = "trade" if latest.trade is not None else "mid"
    return PriceRow(
        shown,
        market_time,
        f'{{"price":"{shown}","market_time":"{_time(market_time)}","received_at":"{_time(received_at)}","feed":{feed},'
        f'"bid":{bid},"ask":{ask},"bid_size":{bid_size},"ask_size":{ask_size},"quote_time":{quoted},"count":{latest.count},"basis":"{basis}"}}',
    )


@lru_cache(maxsize=KNOWN_NUMBERS)
def _number(value: float) -> str:
    return format(price_from_float(value), "f")


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
