"""Coinbase Exchange: crypto candles and ticks, public, without an account.

`GET /products/{id}/candles` gives at most 300 candles, newest first, as [time, low, high, open, close, volume]; a minute without a
trade has none. Prices are as traded. The stream's channel `ticker` carries best bid and offer, `matches` every trade with its id.
Symbols are the same: BTC-USD.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.domain.vendor import Offer, Tick
from apps.marketdata.providers.adapter import Adapter
from apps.marketdata.providers.failures import reading
from apps.marketdata.providers.lines import JsonLine, connected, messages, say
from apps.marketdata.providers.protocol import VendorRefused
from apps.marketdata.providers.shaping import FETCHED, Row, Window
from apps.marketdata.providers.ticks import from_seconds, quote, trade

DATA_URL = "https://api.exchange.coinbase.com"
STREAM_URL = "wss://ws-feed.exchange.coinbase.com"
MOST_CANDLES = 300


class Coinbase(Adapter):
    """Crypto bars and ticks of Coinbase Exchange."""

    name = "coinbase"
    offer = Offer(timeframes=FETCHED, streams_quotes=True)
    longest = {item: timedelta(minutes=int(item) * MOST_CANDLES) for item in FETCHED}

    @cached_property
    def _line(self) -> JsonLine:
        address = self.settings.get("COINBASE_DATA_URL", DATA_URL)
        return JsonLine(self.name, address, self.guard, timeout_seconds=self.settings.timeout_seconds, headers={"User-Agent": "smart-trader"})

    def bars_of(self, symbol: str, timeframe: Timeframe, start: datetime) -> Callable[[Window], list[Row]]:
        """See `Adapter.bars_of`."""
        path = f"/products/{self.plain(symbol)}/candles"

        def fetch(window: Window) -> list[Row]:
            # both ends are included, and an end in the middle of a candle includes it
            last = window.end - timedelta(seconds=1)
            answer = self._line.get(path, {"granularity": int(timeframe) * 60, "start": _iso(window.first), "end": _iso(last)})
            with reading(self.name, f"candles of {symbol}"):
                return [Row(from_seconds(at), opened, high, low, close, volume) for at, low, high, opened, close, volume in answer]

        return fetch

    async def stream_quotes(self, symbols: Sequence[str]) -> AsyncIterator[Tick]:
        """See `Provider.stream_quotes`."""
        wanted = [self.plain(symbol) for symbol in symbols]
        address = self.settings.get("COINBASE_STREAM_URL", STREAM_URL)
        connection = await self.opened(lambda: connected(self.name, address, timeout_seconds=self.settings.timeout_seconds))
        await say(connection, {"type": "subscribe", "product_ids": wanted, "channels": ["ticker", "matches"]})
        known = frozenset(wanted)
        async with aclosing(messages(self.name, connection, lambda message: _ticks(message, known), self.bad_frames)) as ticks:
            async for tick in ticks:
                yield tick


def _iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _ticks(message: Any, known: frozenset[str]) -> list[Tick]:
    """Quotes from `ticker`, trades from `match`. `last_match`, the trade before the subscription, is passed on: it has its id."""
    kind = message["type"]
    if kind == "error":
        raise VendorRefused(f"coinbase: {message.get('message', '')} {message.get('reason', '')}".strip())
    if kind not in ("ticker", "match", "last_match"):
        return []
    symbol = message["product_id"]
    if symbol not in known:
        raise ValueError(f"{symbol!r} was not asked for")
    ts = datetime.fromisoformat(message["time"])
    if kind == "ticker":
        sides = {"bid": message["best_bid"], "bid_size": message["best_bid_size"], "ask": message["best_ask"], "ask_size": message["best_ask_size"]}
        return [quote(symbol, ts, **sides)]
    return [trade(symbol, ts, message["price"], message["size"], message["trade_id"])]
