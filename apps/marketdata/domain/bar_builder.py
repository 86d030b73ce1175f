"""Bars out of trades as they come: late ones, repeated ones and ones in the wrong order included. Pure; times are the market's.

A bar of length L starts at the open of its session plus a multiple of L and ends at the session's close at the latest. It is closed
when the market's time (the latest time that any tick of the feed has shown) is past its end by `grace`, whatever the wall clock says.
A trade that comes after that changes nothing and is counted. A bar without a trade does not exist: gaps stay gaps.
"""

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np

from apps.marketdata.domain import calendars
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.domain.vendor import BarTick, TradeTick

GRACE = timedelta(seconds=2)
Order = tuple[datetime, int, str, float, float]


@dataclass(slots=True)
class BuilderCounts:
    """Trades that made no bar: after their bar had closed, known by their id, outside every session."""

    late: int = 0
    repeated: int = 0
    outside: int = 0


@dataclass(slots=True)
class _Open:
    """A bar that may still change. First and last trade by (time, id), so that the order of arrival does not matter."""

    ends_at: datetime
    first: Order
    last: Order
    high: float
    low: float
    sizes: list[float] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)


class BarBuilder:
    """Builds bars of one intraday time frame for instruments on the given calendars (symbol -> calendar)."""

    def __init__(self, calendar_of: dict[str, str], *, timeframe: Timeframe = Timeframe.MINUTE, grace: timedelta = GRACE) -> None:
        self.counts = BuilderCounts()
        self.market_time = datetime.min.replace(tzinfo=UTC)
        self._calendar_of = calendar_of
        self._length, self._timeframe, self._grace = timeframe.duration, timeframe, grace
        self._open: dict[tuple[str, datetime], _Open] = {}
        self._sessions: dict[str, tuple[datetime, datetime]] = {}

    def add(self, trade: TradeTick) -> None:
        """Put a trade into its bar. Sizes are added exactly, so that no order of arrival changes a volume."""
        place = self._place(trade)
        if place is None:
            self.counts.outside += 1
            return
        starts_at, ends_at = place
        if ends_at + self._grace <= self.market_time:
            self.counts.late += 1
            return
        order = (trade.ts, len(trade.trade_id), trade.trade_id, trade.price, trade.size)
        bar = self._open.get((trade.symbol, starts_at))
        if bar is None:
            bar = self._open[trade.symbol, starts_at] = _Open(ends_at, order, order, trade.price, trade.price)
        elif trade.trade_id and trade.trade_id in bar.ids:
            self.counts.repeated += 1
            return
        bar.first, bar.last = min(bar.first, order), max(bar.last, order)
        bar.high, bar.low = max(bar.high, trade.price), min(bar.low, trade.price)
        bar.sizes.append(trade.size)
        bar.ids.add(trade.trade_id)
        self.market_time = max(self.market_time, trade.ts)

    def advance(self, market_time: datetime) -> list[BarTick]:
        """Let the market's time go on (it never goes back) and take the bars that are closed by it, in order of time and symbol."""
        self.market_time = max(self.market_time, market_time)
        done = sorted((key for key, bar in self._open.items() if bar.ends_at + self._grace <= self.market_time), key=lambda key: (key[1], key[0]))
        return [self._finished(symbol, starts_at, self._open.pop((symbol, starts_at))) for symbol, starts_at in done]

    def forget(self, symbols: set[str]) -> None:
        """Drop the open bars of symbols that another feed goes on with."""
        self._open = {key: bar for key, bar in self._open.items() if key[0] not in symbols}

    def _finished(self, symbol: str, starts_at: datetime, bar: _Open) -> BarTick:
        return BarTick(
            symbol=symbol,
            timeframe=self._timeframe,
            ts=starts_at,
            open=bar.first[3],
            high=bar.high,
            low=bar.low,
            close=bar.last[3],
            volume=math.fsum(bar.sizes),
        )

    def _place(self, trade: TradeTick) -> tuple[datetime, datetime] | None:
        """Start and end of the trade's bar; None for an unknown symbol and outside every session."""
        calendar = self._calendar_of.get(trade.symbol)
        if calendar is None:
            return None
        hours = self._sessions.get(calendar)
        if hours is None or not hours[0] <= trade.ts < hours[1]:
            hours = session_around(calendar, trade.ts)
            if hours is None:
                return None
            self._sessions[calendar] = hours
        opens_at, closes_at = hours
        starts_at = opens_at + (trade.ts - opens_at) // self._length * self._length
        return starts_at, min(starts_at + self._length, closes_at)


def session_around(calendar: str, moment: datetime) -> tuple[datetime, datetime] | None:
    """Open and close in UTC of the session that is open at a moment (open inclusive, close exclusive); None when none is."""
    known = calendars.calendar_of(calendar)
    naive = np.datetime64(moment.astimezone(UTC).replace(tzinfo=None), "us")
    at = int(np.searchsorted(known.opens, naive, side="right")) - 1
    if at < 0 or not naive < known.closes[at]:
        return None
    return known.opens[at].item().replace(tzinfo=UTC), known.closes[at].item().replace(tzinfo=UTC)
