"""The latest trade and the latest quote of each symbol as ticks come, and which ticks are not to be believed. Pure."""

import math
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from apps.marketdata.domain.vendor import QuoteTick, Tick, TradeTick

#: A tick that claims to be later than the wall clock by more than this is refused: it would close bars before their time.
AHEAD = timedelta(seconds=5)
#: So many trade ids of a symbol are remembered to know a repetition.
REMEMBERED = 512


def refusal(tick: Tick, now: datetime) -> str:
    """Why a tick is not accepted; "" when it is. A quote may have one empty side (price 0), and may be crossed: both happen."""
    if tick.ts.tzinfo is None:
        return "its time has no zone"
    if tick.ts > now + AHEAD:
        return "its time is in the future"
    if isinstance(tick, TradeTick):
        good = 0 < tick.price < math.inf and 0 < tick.size < math.inf
        return "" if good else f"price {tick.price:g} and size {tick.size:g} are no trade"
    sides = ((tick.bid, tick.bid_size), (tick.ask, tick.ask_size))
    good = all(0 <= price < math.inf and 0 <= size < math.inf for price, size in sides) and (tick.bid > 0 or tick.ask > 0)
    return "" if good else f"bid {tick.bid:g} and ask {tick.ask:g} are no quote"


@dataclass(slots=True)
class Latest:
    """What is known of one symbol. `count` is the number of ticks of it that were accepted, `waiting` those not yet sent on."""

    quote: QuoteTick | None = None
    quote_at: datetime | None = None
    trade: TradeTick | None = None
    trade_at: datetime | None = None
    count: int = 0
    waiting: int = 0
    ids: set[str] = field(default_factory=set)
    order: deque[str] = field(default_factory=deque)

    def repeats(self, tick: Tick) -> bool:
        """Whether this very tick has come before: a trade by its id, a quote by being the latest one again."""
        if isinstance(tick, QuoteTick):
            return tick == self.quote
        return tick.trade_id in self.ids

    def apply(self, tick: Tick, received_at: datetime) -> None:
        """Take an accepted tick; one that is older than what is known is counted and changes nothing else."""
        self.count += 1
        self.waiting += 1
        if isinstance(tick, QuoteTick):
            if self.quote is None or tick.ts >= self.quote.ts:
                self.quote, self.quote_at = tick, received_at
            return
        if tick.trade_id:
            self._remember(tick.trade_id)
        if self.trade is None or tick.ts >= self.trade.ts:
            self.trade, self.trade_at = tick, received_at

    @property
    def price(self) -> tuple[float, datetime, datetime] | None:
        """The last trade's price, else the middle of bid and ask; with its market time and the time at which it was received."""
        if self.trade is not None and self.trade_at is not None:
            return self.trade.price, self.trade.ts, self.trade_at
        if self.quote is not None and self.quote_at is not None and 0 < self.quote.bid <= self.quote.ask:
            return (self.quote.bid + self.quote.ask) / 2, self.quote.ts, self.quote_at
        return None

    def _remember(self, trade_id: str) -> None:
        self.ids.add(trade_id)
        self.order.append(trade_id)
        if len(self.order) > REMEMBERED:
            self.ids.discard(self.order.popleft())
