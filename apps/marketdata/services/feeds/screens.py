"""A live feed's latest prices out to Redis, to the desk's processes and to screens, in small batches.

A batch goes out in two round trips to Redis, so that a price is on the screen's side within a tenth of a second; how often an eye sees
a cell change is the browser's business (static/js/pace.js), and how often a process takes what it has heard is its own
(`selectors.quotes.listen`). Of several ticks of a symbol in one batch the last one goes, and those that it replaces are counted.
"""

import json
import logging
from collections.abc import Callable, Iterable
from datetime import datetime
from time import monotonic
from typing import Any

from apps.core.documents import plain
from apps.core.streams import next_seq, publish, publish_text
from apps.marketdata.domain.latest import Latest
from apps.marketdata.models.feed import FaultKind
from apps.marketdata.selectors.market import MarketClock
from apps.marketdata.selectors.store import CHANNELS, GONE, LATEST, redis_impatient
from apps.marketdata.services.feeds.health import FeedCounters
from apps.marketdata.services.feeds.records import Fault
from apps.marketdata.services.feeds.rows import PriceRow, price_row
from apps.marketdata.services.quotes import quotes_message

logger = logging.getLogger(__name__)

CLOCK_SECONDS = 1.0
#: The marker of a feed that ended without a word is forgotten after a day.
MARKER_SECONDS = 86_400
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
        self._feed_json = json.dumps(feed)
        self._names = {symbol: json.dumps(symbol, ensure_ascii=False) for symbol in instruments}
        self._clock_at = self._try_at = 0.0

    def changed(self, symbol: str) -> None:
        """A tick of the symbol was acknowledged."""
        self._changed.add(symbol)
        self._counters.waiting += 1

    def forget(self, symbols: Iterable[str]) -> None:
        """Another feed has these symbols: it sends them on, from its own ticks."""
        for symbol in symbols:
            latest = self._book.pop(symbol, None)
            self._changed.discard(symbol)
            if latest is not None:
                self._sent(latest, rows=0)

    def send(self, writable: Callable[[str], bool], clock: Callable[[], MarketClock | None]) -> Fault | None:
        """Send what changed and may be written. Returns the fault when Redis is back after an absence."""
        if monotonic() < self._try_at:
            return None
        try:
            healed = self._send_changed(writable)
        except GONE as error:
            self._away(error)
            return None
        if monotonic() - self._clock_at >= CLOCK_SECONDS and (shown := clock()) is not None:
            publish("market", plain(shown))
            self._clock_at = monotonic()
        fault = self._back(healed=healed)
        self._good_at = self._clock()
        return fault

    def _send_changed(self, writable: Callable[[str], bool]) -> bool:
        """Write and publish what changed; whether Redis had lost its prices and has them again."""
        rows = self._rows(self._changed, writable)
        with self._redis.pipeline(transaction=False) as both:
            both.expire(self._marker, MARKER_SECONDS)  # says whether it is there, and keeps it
            if rows:
                both.hset(LATEST, mapping=self._stored(rows))
                both.publish(CHANNELS["quotes"], self._announcement(rows))  # whoever hears of a price finds it written
                next_seq(both, "quotes")
            marked, *answers = both.execute()
        healed = not marked and self._heal(writable)
        if rows:
            text = ",".join([f"{self._names[symbol]}:{row.text}" for symbol, row in rows.items()])
            publish_text("quotes", f'{{"quotes":{{{text}}}}}', seq=answers[-1])
        for symbol in rows:
            self._changed.discard(symbol)
            self._sent(self._book[symbol], rows=1)
        return healed

    def _rows(self, symbols: Iterable[str], writable: Callable[[str], bool]) -> dict[str, PriceRow]:
        """The rows of those that may be written and have a price."""
        return {symbol: row for symbol in symbols if writable(symbol) and (row := price_row(self._book[symbol], self._feed_json))}

    def _stored(self, rows: dict[str, PriceRow]) -> dict[Any, Any]:
        return {symbol: row.stored(self._instruments[symbol]) for symbol, row in rows.items()}

    def _announcement(self, rows: dict[str, PriceRow]) -> str:
        """What the desk's processes hear of a batch."""
        market_time = max(row.market_time for row in rows.values())
        prices = {symbol: row.price for symbol, row in rows.items()}
        return quotes_message(prices, feed=self._feed, session=market_time.date(), market_time=market_time, received_at=self._clock())

    def _heal(self, writable: Callable[[str], bool]) -> bool:
        """Give a Redis that does not have them all prices that may be written; whether it had them before."""
        rows = self._rows(self._book, writable)
        if not rows:
            return False
        with self._redis.pipeline(transaction=True) as both:  # or a Redis emptied in between would have the marker and no prices
            both.hset(LATEST, mapping=self._stored(rows))
            both.set(self._marker, self._clock().isoformat(), ex=MARKER_SECONDS)
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
