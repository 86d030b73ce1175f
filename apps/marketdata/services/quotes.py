"""Latest prices out of the desk's feeds: to Redis for every process, to the "quotes" stream for every screen."""

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from apps.core.documents import plain
from apps.core.streams import publish
from apps.marketdata.selectors.market import MarketClock
from apps.marketdata.selectors.quotes import Quote, quote_row
from apps.marketdata.selectors.store import CHANNELS, LATEST, redis_client, redis_errors

#: Screens get at most four updates a second.
STREAM_SECONDS = 0.25


@dataclass(slots=True)
class StreamCoalescer:
    """Holds back what screens need not see: of several prices of a symbol within a quarter of a second only the last is sent.

    `coalesced` counts the prices that a later one replaced before it was sent.
    """

    coalesced: int = 0
    _waiting: dict[str, dict[str, Any]] = field(default_factory=dict)
    _sent_at: float = 0.0

    def add(self, quotes: Iterable[Quote]) -> None:
        """Let the quotes wait for the next flush."""
        for quote in quotes:
            self.coalesced += quote.symbol in self._waiting
            self._waiting[quote.symbol] = quote_row(quote)

    def due_in(self) -> float | None:
        """Seconds until what waits may be sent; None when nothing waits."""
        return max(0.0, self._sent_at + STREAM_SECONDS - time.monotonic()) if self._waiting else None

    def flush(self, clock: MarketClock, *, force: bool = False) -> None:
        """Publish what waits to the streams "quotes" and "market", when a quarter of a second has passed since the last time."""
        now = time.monotonic()
        if force or now - self._sent_at >= STREAM_SECONDS:
            if self._waiting:
                publish("quotes", {"quotes": self._waiting})
            publish("market", plain(clock))
            self._waiting, self._sent_at = {}, now


def quotes_publish(*, quotes: Sequence[Quote], feed: str, session: date | None = None, step: str = "", announce: bool = True) -> None:
    """Make the quotes the latest ones and announce them, in one round trip. Raises Unavailable when Redis does not answer.

    With `announce=False` they are only written: a feed that starts heals a Redis that lost them.
    """
    if not quotes:
        return
    with redis_errors(), redis_client().pipeline(transaction=True) as pipeline:
        pipeline.hset(LATEST, mapping={quote.symbol: _stored(quote) for quote in quotes})
        if announce:
            newest = max(quotes, key=lambda quote: quote.market_time)
            message = _head("quotes", feed, session or newest.market_time.date(), newest.market_time, newest.received_at)
            prices = {quote.symbol: str(quote.price) for quote in quotes}
            pipeline.publish(CHANNELS["quotes"], json.dumps(message | {"prices": prices, "step": step}))
        pipeline.execute()


def bars_announce(*, feed: str, session: date, symbols: Iterable[str], market_time: datetime, received_at: datetime) -> None:
    """Say that a session is complete and which symbols have a daily bar of it. Raises Unavailable when Redis does not answer."""
    message = _head("bars", feed, session, market_time, received_at) | {"symbols": list(symbols)}
    with redis_errors():
        redis_client().publish(CHANNELS["bars"], json.dumps(message))


def quotes_clear(*, symbols: Iterable[str] | None = None) -> None:
    """Forget the latest prices of these symbols, or of all: before a replay goes back in time."""
    with redis_errors():
        client = redis_client()
        if symbols is None:
            client.delete(LATEST)
        elif names := list(symbols):
            client.hdel(LATEST, *names)


def _stored(quote: Quote) -> str:
    return json.dumps(
        {
            "instrument_id": quote.instrument_id,
            "price": str(quote.price),
            "market_time": quote.market_time.isoformat(),
            "received_at": quote.received_at.isoformat(),
            "feed": quote.feed,
        }
    )


def _head(kind: str, feed: str, session: date, market_time: datetime, received_at: datetime) -> dict[str, Any]:
    return {
        "kind": kind,
        "feed": feed,
        "session": session.isoformat(),
        "market_time": market_time.isoformat(),
        "received_at": received_at.isoformat(),
    }
