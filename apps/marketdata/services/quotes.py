"""Latest prices out of the desk's feeds: to Redis for every process, to the "quotes" stream for every screen."""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from apps.core.documents import plain
from apps.core.streams import publish
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.selectors.market import MarketClock
from apps.marketdata.selectors.quotes import SIDES, Quote, prices_forget, quote_row
from apps.marketdata.selectors.store import CHANNELS, LATEST, redis_client, redis_errors

#: A replay's steps are slow enough: of the prices of a quarter of a second screens get the last. Live feeds: `feeds.screens`.
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
        pipeline.hset(LATEST, mapping={quote.symbol: quote_to_json(quote) for quote in quotes})
        if announce:
            newest = max(quotes, key=lambda quote: quote.market_time)
            day, market_time = session or newest.market_time.date(), newest.market_time
            prices = {quote.symbol: str(quote.price) for quote in quotes}
            message = quotes_message(prices, feed=feed, session=day, market_time=market_time, received_at=newest.received_at, step=step)
            pipeline.publish(CHANNELS["quotes"], message)
        pipeline.execute()
    prices_forget()


def bars_announce(
    *, feed: str, session: date, symbols: Iterable[str], market_time: datetime, received_at: datetime, timeframe: Timeframe = Timeframe.DAY
) -> None:
    """Say which symbols have a new bar: of a complete session (kind "bars"), or an intraday one (kind "intraday").

    Raises Unavailable when Redis does not answer.
    """
    kind = "intraday" if timeframe.is_intraday else "bars"
    message = _head(kind, feed, session, market_time, received_at) | {"symbols": list(symbols)}
    if timeframe.is_intraday:
        message["timeframe"] = timeframe.code
    with redis_errors():
        redis_client().publish(CHANNELS[kind], json.dumps(message))


def quotes_clear(*, symbols: Iterable[str] | None = None) -> None:
    """Forget the latest prices of these symbols, or of all: before a replay goes back in time."""
    with redis_errors():
        client = redis_client()
        if symbols is None:
            client.delete(LATEST)
        elif names := list(symbols):
            client.hdel(LATEST, *names)
    prices_forget()


def quote_to_json(quote: Quote) -> str:
    """A quote as Redis holds it; `selectors.quotes.quote_from_json` reads it."""
    data: dict[str, Any] = {
        "instrument_id": quote.instrument_id,
        "price": str(quote.price),
        "market_time": quote.market_time.isoformat(),
        "received_at": quote.received_at.isoformat(),
        "feed": quote.feed,
    }
    if quote.count is not None:
        data |= {name: None if (value := getattr(quote, name)) is None else str(value) for name in SIDES}
        data |= {"quote_time": quote.quote_time and quote.quote_time.isoformat(), "count": quote.count, "basis": quote.basis}
    return json.dumps(data)


def quotes_message(prices: Mapping[str, str], *, feed: str, session: date, market_time: datetime, received_at: datetime, step: str = "") -> str:
    """The message of kind "quotes" by which a feed announces new last prices."""
    message = _head("quotes", feed, session, market_time, received_at)
    return json.dumps(message | {"prices": prices, "step": step})


def _head(kind: str, feed: str, session: date, market_time: datetime, received_at: datetime) -> dict[str, Any]:
    return {
        "kind": kind,
        "feed": feed,
        "session": session.isoformat(),
        "market_time": market_time.isoformat(),
        "received_at": received_at.isoformat(),
    }
