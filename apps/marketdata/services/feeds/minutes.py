"""Bars of a live feed's trades: built as the trades are stored, rebuilt from the stored trades where a feed has not seen them all.

A feed that takes symbols over, after a restart or from another feed, knows nothing of the minutes before and only a part of the one
it came into. Once that minute is over, the bars from the last stored one on are built from the trades in the database.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from django.db import connection

from apps.core.streams import CHANNEL, publish
from apps.marketdata.domain import calendars
from apps.marketdata.domain.bar_builder import GRACE, BarBuilder
from apps.marketdata.domain.bars import FIELDS, BarSeries
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.domain.vendor import BarTick, TradeTick
from apps.marketdata.models import Instrument
from apps.marketdata.selectors.bars import bar_range
from apps.marketdata.selectors.market import HOME_CALENDAR
from apps.marketdata.services.bars import bars_store
from apps.marketdata.services.feeds.records import micros, trade_of
from apps.marketdata.services.quotes import bars_announce

#: A feed rebuilds at most so much of the past.
LOOK_BACK = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rebuild:
    """Bars of the symbols that start in [from_at, upto) come from the stored trades, once the market's time is past `due`."""

    symbols: tuple[str, ...]
    from_at: datetime
    upto: datetime
    due: datetime


class Minutes:
    """Builds, stores and announces the bars of one feed process."""

    def __init__(self, *, feed: str, source: str, instruments: dict[str, Instrument], timeframe: Timeframe) -> None:
        self.stored = 0
        self.instruments = instruments
        self._feed, self._source, self._timeframe = feed, source, timeframe
        self._builder = BarBuilder({symbol: item.calendar for symbol, item in instruments.items()}, timeframe=timeframe)
        self._symbol_of = {item.pk: symbol for symbol, item in instruments.items()}
        self._whole_from: dict[str, datetime] = {}
        self._rebuilds: list[_Rebuild] = []
        self._finished: list[BarTick] = []

    @property
    def late(self) -> int:
        """Trades that came after their bar had closed."""
        return self._builder.counts.late

    @property
    def outside(self) -> int:
        """Trades outside every session."""
        return self._builder.counts.outside

    def adopt(self, symbols: set[str], *, now: datetime) -> set[str]:
        """These symbols are ours now, those that are not named are no longer; returns those that were not ours before."""
        fresh = symbols - set(self._whole_from)
        self._builder.forget(set(self._whole_from) - symbols)
        self._whole_from = {symbol: at for symbol, at in self._whole_from.items() if symbol in symbols}
        if fresh:
            whole_from = _floor(now, self._timeframe.duration) + self._timeframe.duration
            self._plan(sorted(fresh), whole_from, now)
            self._whole_from |= dict.fromkeys(fresh, whole_from)
        return fresh

    def add(self, trades: Iterable[TradeTick], market_time: datetime) -> None:
        """Stored trades, and the market's time that all stored ticks have shown."""
        for trade in trades:
            self._builder.add(trade)
        finished = self._builder.advance(market_time)
        self._finished += [bar for bar in finished if bar.ts >= self._whole_from.get(bar.symbol, bar.ts + timedelta(days=1))]

    def rebuild(self, symbols: Iterable[str], first: datetime, last: datetime) -> None:
        """Build the bars from one trade's to another's anew from stored trades: an orphan's, for example, came home after their minute."""
        length = self._timeframe.duration
        self._later(tuple(symbol for symbol in symbols if symbol in self.instruments), _floor(first, length), _floor(last, length) + length)

    def _later(self, symbols: tuple[str, ...], from_at: datetime, upto: datetime) -> None:
        if symbols and from_at < upto:
            self._rebuilds.append(_Rebuild(symbols=symbols, from_at=from_at, upto=upto, due=upto + GRACE))

    def store(self, *, now: datetime) -> None:
        """Store and announce what is finished. What the database does not take now is tried again."""
        due = [item for item in self._rebuilds if item.due <= self._builder.market_time]
        for item in due:
            self._store(self._from_stored(item), now)
            self._rebuilds.remove(item)
        if self._finished:
            self._store(self._finished, now)
            self._finished = []

    def _plan(self, symbols: Sequence[str], upto: datetime, now: datetime) -> None:
        """From the last stored bar on, but not before the session that has opened last."""
        known = bar_range(symbols=symbols, timeframe=self._timeframe)
        by_start: dict[datetime, list[str]] = {}
        for symbol in symbols:
            calendar = self.instruments[symbol].calendar
            opened, _ = calendars.session_hours(calendar, calendars.session_at(calendar, now))
            start = max(opened, now - LOOK_BACK)
            if symbol in known:
                start = max(start, known[symbol][1] + self._timeframe.duration)
            by_start.setdefault(start, []).append(symbol)
        for start, names in by_start.items():
            self._later(tuple(names), start, upto)

    def _from_stored(self, item: _Rebuild) -> list[BarTick]:
        ids = [self.instruments[symbol].pk for symbol in item.symbols]
        builder = BarBuilder({symbol: self.instruments[symbol].calendar for symbol in item.symbols}, timeframe=self._timeframe)
        with connection.cursor() as cursor:
            cursor.execute(
                "select t.instrument_id, t.ts, t.price, t.size, t.sequence from marketdata_trade as t"
                " join marketdata_barsource as s on s.id = t.source_id"
                " where t.instrument_id = any(%s) and t.ts >= %s and t.ts < %s and s.name = %s order by t.ts",
                [ids, item.from_at, item.upto, self._source],
            )
            for pk, ts, price, size, sequence in cursor.fetchall():
                builder.add(trade_of(self._symbol_of[pk], micros(ts), sequence, price, size))
        return builder.advance(item.upto + GRACE)

    def _store(self, bars: Sequence[BarTick], now: datetime) -> None:
        if not bars:
            return
        by_symbol: dict[str, list[BarTick]] = {}
        for bar in bars:
            by_symbol.setdefault(bar.symbol, []).append(bar)
        series = [_series(symbol, own) for symbol, own in sorted(by_symbol.items())]
        result = bars_store(series=series, timeframe=self._timeframe, source=self._source, recorded_at=now)
        self.stored += result.inserted + result.revised
        newest = max(bar.ts for bar in bars)
        bars_announce(
            feed=self._feed,
            session=calendars.session_at(HOME_CALENDAR, newest),
            symbols=sorted(by_symbol),
            market_time=newest + self._timeframe.duration,
            received_at=now,
            timeframe=self._timeframe,
        )
        for symbol, own in by_symbol.items():
            if CHANNEL.fullmatch(channel := f"bars:{symbol}"):  # a symbol may have letters that a channel's name has not
                publish(channel, {"timeframe": self._timeframe.code, "bars": [_row(bar) for bar in own]})


def _row(bar: BarTick) -> dict[str, object]:
    return {"ts": bar.ts, **{name: getattr(bar, name) for name in FIELDS}}


def _series(symbol: str, bars: Sequence[BarTick]) -> BarSeries:
    ts = np.array([bar.ts.astimezone(UTC).replace(tzinfo=None) for bar in bars], "datetime64[us]")
    return BarSeries(symbol=symbol, ts=ts, **{name: np.array([getattr(bar, name) for bar in bars], np.float64) for name in FIELDS})


def _floor(at: datetime, length: timedelta) -> datetime:
    """The last time on the grid of whole lengths that is not after `at`."""
    return at - (at - datetime(1970, 1, 1, tzinfo=UTC)) % length
