"""Yahoo Finance by `yfinance`: bars and corporate actions, without an account and without a promise. For research: its terms are personal use.

Yahoo gives prices and volumes adjusted for every split up to today, not for dividends, as four-byte floats. Raw bars are recovered
with Yahoo's own splits, which are asked for first, from the beginning of the range to today: prices times, volumes over the product
of the ratios of all splits after the bar's day. A price that no split touches is the shortest decimal that is Yahoo's float (310.350006
is 310.35), one that was multiplied is rounded to six digits: so many survive. Dividends come in today's shares and are multiplied
likewise. Prices of London, Johannesburg and Tel Aviv stay in pence, cents and agorot, as quoted. A day for which Yahoo has
no numbers is a gap, not an error. One-minute bars reach back 30 days, those of 5 and 15 minutes 60, hours 730.

Symbols: a class of shares after a dot is after a dash there, BRK.B is BRK-B; letters that are exchanges of Yahoo's stay (VOD.L).
"""

import math
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.domain.vendor import ActionKind, ActionRecord, Offer
from apps.marketdata.providers.adapter import Adapter
from apps.marketdata.providers.failures import reading
from apps.marketdata.providers.raw import Splits, shortest
from apps.marketdata.providers.shaping import FETCHED, Row, Window
from apps.marketdata.providers.ticks import action, midnight_of, ordered

if TYPE_CHECKING:
    import pandas as pd

    from apps.marketdata.providers.yahoo_line import Events, YahooLine

INTERVALS = {
    Timeframe.MINUTE: "1m",
    Timeframe.MINUTES_5: "5m",
    Timeframe.MINUTES_15: "15m",
    Timeframe.HOUR: "1h",
    Timeframe.DAY: "1d",
}


class Yahoo(Adapter):
    """Stocks, funds, indices, currencies and coins from Yahoo Finance."""

    name = "yahoo"
    offer = Offer(timeframes=FETCHED, corporate_actions=True)
    longest = {
        Timeframe.MINUTE: timedelta(days=7),
        Timeframe.MINUTES_5: timedelta(days=59),
        Timeframe.MINUTES_15: timedelta(days=59),
        Timeframe.HOUR: timedelta(days=700),
        Timeframe.DAY: timedelta(days=40_000),
    }
    grid_minutes = {Timeframe.HOUR: 30}  # New York's hours begin at half past

    @cached_property
    def _line(self) -> "YahooLine":
        from apps.marketdata.providers.yahoo_line import YahooLine

        return YahooLine(self.guard, address=self.settings.get("YAHOO_DATA_URL", ""), timeout_seconds=self.settings.timeout_seconds)

    def bars_of(self, symbol: str, timeframe: Timeframe, start: datetime) -> Callable[[Window], list[Row]]:
        """See `Adapter.bars_of`."""
        ticker = _ticker(self.plain(symbol))
        line = self._line
        events = line.events(ticker, start - timedelta(days=2), self.clock())
        splits = Splits.of(_splits(symbol, events))
        daily = timeframe is Timeframe.DAY

        def fetch(window: Window) -> list[Row]:
            # a daily bar is asked for by the exchange's dates, which it then gets as its time
            span = [moment.replace(tzinfo=None) if daily else moment for moment in window]
            frame = line.bars(ticker, events.time_zone, INTERVALS[timeframe], *span)
            with reading(self.name, f"bars of {symbol}"):
                return [splits.undo(row, day) for row, day in _rows(frame, daily=daily)]

        return fetch

    def corporate_actions(self, symbol: str, start: date, end: date) -> tuple[ActionRecord, ...]:
        """See `Provider.corporate_actions`. Dividends are in the currency of the quote, unless Yahoo says another."""
        events = self._line.events(_ticker(self.plain(symbol)), midnight_of(start) - timedelta(days=2), self.clock())
        split_records = _splits(symbol, events)
        splits = Splits.of(split_records)
        with reading(self.name, f"dividends of {symbol}"):
            dividends = [
                action(symbol, ActionKind.DIVIDEND, paid.day, splits.undo_amount(paid.value, paid.day), paid.currency) for paid in events.dividends
            ]
        return ordered([*split_records, *dividends], start, end)


def _ticker(symbol: str) -> str:
    """Yahoo's name: a class of shares stands after a dash there, and after a dot it would be an exchange."""
    head, dot, tail = symbol.rpartition(".")
    return f"{head}-{tail}" if dot and tail in ("A", "B", "C") else symbol


def _splits(symbol: str, events: "Events") -> list[ActionRecord]:
    with reading("yahoo", f"splits of {symbol}"):
        return [action(symbol, ActionKind.SPLIT, item.day, item.value, events.currency) for item in events.splits]


def _rows(frame: "pd.DataFrame | None", *, daily: bool) -> list[tuple[Row, date]]:
    """Rows with their days on the exchange's clock; without those that have no price at all."""
    found: list[tuple[Row, date]] = []
    if frame is None:
        return found
    columns: list[list[Any]] = [frame[name].tolist() for name in ("Open", "High", "Low", "Close", "Volume")]
    for moment, *numbers in zip(frame.index, *columns, strict=True):
        if all(math.isnan(value) for value in numbers[:4]):
            continue
        day = moment.date()
        ts = midnight_of(day) if daily else moment.to_pydatetime().astimezone(UTC)
        opened, high, low, close = (shortest(value) for value in numbers[:4])
        found.append((Row(ts, opened, high, low, close, numbers[4]), day))
    return found
