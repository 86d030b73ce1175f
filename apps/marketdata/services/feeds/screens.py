"""A live feed's latest prices out to Redis, to the desk's processes and to screens, in small batches.

Transport is about 25 batches a second, so that a price is on the screen's side within a tenth of a second; how often an eye sees a
cell change is the browser's business (static/js/cells.js). Processes that value and match hear of new prices ten times a second. Of
several ticks of a symbol in one batch the last one goes, and those that it replaces are counted.
"""

import logging
from collections.abc import Callable, Iterable
from datetime import datetime
from time import monotonic

import redis

from apps.core.documents import plain
from apps.core.money import price_from_float
from apps.core.streams import publish
from apps.marketdata.domain.latest import Latest
from apps.marketdata.models.feed import FaultKind
from apps.marketdata.selectors.market import MarketClock
from apps.marketdata.selectors.quotes import Quote, quote_row
from apps.marketdata.selectors.store import CHANNELS, GONE, LATEST, redis_impatient
from apps.marketdata.services.feeds.health import FeedCounters
from apps.marketdata.services.feeds.records import Fault
from apps.marketdata.services.quotes import quote_to_json, quotes_message

logger = logging.getLogger(__name__)

ANNOUNCE_SECONDS = 0.1
CLOCK_SECONDS = 1.0
#: How soon a Redis that is away is tried again.
AGAIN_SECONDS = 0.25


class Screens:
    """Sends what changed. `book` is the feed's latest prices, `instruments` the id of each symbol; counts go to `counters`.

    A marker beside the prices tells whether Redis still has what was written: one that was started again is given all prices anew.
    """

    def __init__(
        self,
        *,
        feed: str,
        instance: str,
        book: dict[str, Latest],
        instruments: dict[str, int],
        counters: FeedCounters,
        clock: Callable[[], datetime],
    ) -> None:
        self.down_since: datetime | None = None
        self._feed, self._book, self._instruments, self._counters, self._clock = feed, book, instruments, counters, clock
        self._marked = False
        self._good_at = clock()
        self._marker = f"marketdata:feed:{instance}"
        self._redis = redis_impatient()
        self._changed: set[str] = set()
        self._unannounced: dict[str, Quote] = {}
        self._announced_at = self._clock_at = self._try_at = 0.0

    def changed(self, symbol: str) -> None:
        """A tick of the symbol was acknowledged."""
        self._changed.add(symbol)
        self._counters.waiting += 1

    def forget(self, symbols: Iterable[str]) -> None:
        """Another feed has these symbols: it sends them on, from its own ticks."""
        for symbol in symbols:
            latest = self._book.pop(symbol, None)
            self._changed.discard(symbol)
            self._unannounced.pop(symbol, None)
            if latest is not None:
                self._sent(latest, rows=0)

    def send(self, writable: Callable[[str], bool], clock: Callable[[], MarketClock | None]) -> Fault | None:
        """Send what changed and may be written. Returns the fault when Redis is back after an absence."""
        if monotonic() < self._try_at:
            return None
        try:
            healed = self._heal(writable)
            self._send_changed(writable)
            self._announce()
        except GONE as error:
            self._away(error)
            return None
        if monotonic() - self._clock_at >= CLOCK_SECONDS and (shown := clock()) is not None:
            publish("market", plain(shown))
            self._clock_at = monotonic()
        fault = self._back(healed=healed)
        self._good_at = self._clock()
        return fault

    def _send_changed(self, writable: Callable[[str], bool]) -> None:
        quotes = [quote for symbol in self._changed if writable(symbol) and (quote := self.quote(symbol))]
        if not quotes:
            return
        self._redis.hset(LATEST, mapping={quote.symbol: quote_to_json(quote) for quote in quotes})
        if not publish("quotes", {"quotes": {quote.symbol: quote_row(quote) for quote in quotes}}):
            raise redis.ConnectionError("the stream of quotes cannot be published")
        for quote in quotes:
            self._changed.discard(quote.symbol)
            self._unannounced[quote.symbol] = quote
            self._sent(self._book[quote.symbol], rows=1)

    def _announce(self) -> None:
        if not self._unannounced or monotonic() - self._announced_at < ANNOUNCE_SECONDS:
            return
        quotes = list(self._unannounced.values())
        newest = max(quotes, key=lambda quote: quote.market_time)
        day, market_time = newest.market_time.date(), newest.market_time
        self._redis.publish(
            CHANNELS["quotes"], quotes_message(quotes, feed=self._feed, session=day, market_time=market_time, received_at=self._clock())
        )
        self._unannounced, self._announced_at = {}, monotonic()

    def _heal(self, writable: Callable[[str], bool]) -> bool:
        """Give a Redis that has lost them all prices that may be written; whether that was so."""
        if self._redis.exists(self._marker):
            return False
        quotes = [quote for symbol in self._book if writable(symbol) and (quote := self.quote(symbol))]
        if not quotes:
            return False
        with self._redis.pipeline(transaction=True) as both:  # or a Redis emptied in between would have the marker and no prices
            both.hset(LATEST, mapping={quote.symbol: quote_to_json(quote) for quote in quotes})
            both.set(self._marker, self._clock().isoformat(), ex=86_400)
            both.execute()
        lost, self._marked = self._marked, True
        return lost

    def _sent(self, latest: Latest, *, rows: int) -> None:
        self._counters.waiting -= latest.waiting
        self._counters.delivered += rows
        self._counters.coalesced += latest.waiting - rows if latest.waiting else 0
        latest.waiting = 0

    def _away(self, error: Exception) -> None:
        if self.down_since is None:
            self.down_since = self._good_at
            self._counters.redis_faults += 1
            logger.warning("feed %s: Redis is away: %s", self._feed, error)
        self._try_at = monotonic() + AGAIN_SECONDS

    def _back(self, *, healed: bool) -> Fault | None:
        """A fault when Redis was away, or has started again so quickly that nothing was noticed but the loss."""
        since, self.down_since = self.down_since, None
        if since is None and healed:
            since = self._good_at
            self._counters.redis_faults += 1
        if since is None:
            return None
        return Fault(kind=FaultKind.REDIS.value, from_at=since, to_at=self._clock(), detail="Redis was away; it has all latest prices again")

    def quote(self, symbol: str) -> Quote | None:
        """The symbol's latest price with its bid and ask; None before there is a price."""
        latest = self._book[symbol]
        if latest.price is None:
            return None
        price, market_time, received_at = latest.price
        quote = latest.quote
        return Quote(
            symbol=symbol,
            instrument_id=self._instruments[symbol],
            price=price_from_float(price),
            market_time=market_time,
            received_at=received_at,
            feed=self._feed,
            bid=price_from_float(quote.bid) if quote and quote.bid > 0 else None,
            ask=price_from_float(quote.ask) if quote and quote.ask > 0 else None,
            bid_size=price_from_float(quote.bid_size) if quote and quote.bid > 0 else None,
            ask_size=price_from_float(quote.ask_size) if quote and quote.ask > 0 else None,
            quote_time=quote.ts if quote else None,
            count=latest.count,
            basis="trade" if latest.trade is not None else "mid",
        )
