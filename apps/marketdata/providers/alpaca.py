"""Alpaca: US stocks by `alpaca-py`: bars, corporate actions, the exchange's calendar, and a live stream. Needs ALPACA_API_KEY and ALPACA_SECRET_KEY.

Bars are asked for with `adjustment=raw`: as traded. ALPACA_FEED names their source: `iex` (free: one exchange, a few percent of the
volume) or `sip` (all exchanges, by subscription). Daily bars begin at midnight in New York. Sizes of quotes are taken as sent.
Symbols are the same: BRK.B. Trade ids are unique per exchange and day, so ours begin with the exchange's letter.

The library repeats a request after 429 by itself and its stream reconnects by itself; both would go round the guard. So every
request passes a transport of ours, which raises before the library can repeat, and of the stream we take the library's parts
(connect, authenticate, subscribe, parse) without its loop.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Any

from apps.core.errors import DeskError
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.domain.vendor import ActionKind, ActionRecord, BarTick, CalendarDay, Offer, Tick
from apps.marketdata.providers.adapter import Adapter
from apps.marketdata.providers.failures import reading
from apps.marketdata.providers.lines import broken
from apps.marketdata.providers.protocol import NotOffered, UnknownVendorSymbol, VendorNonsense, VendorRefused, VendorUnavailable
from apps.marketdata.providers.shaping import FETCHED, Row, Window
from apps.marketdata.providers.ticks import NEW_YORK, action, exact, finished_bar, midnight_of, ordered, quote, trade

KEYS = ("ALPACA_API_KEY", "ALPACA_SECRET_KEY")
DATA_URL = "https://data.alpaca.markets"
TRADING_URL = "https://paper-api.alpaca.markets"
STREAM_URL = "wss://stream.data.alpaca.markets"
UNITS = {
    Timeframe.MINUTE: (1, "Min"),
    Timeframe.MINUTES_5: (5, "Min"),
    Timeframe.MINUTES_15: (15, "Min"),
    Timeframe.HOUR: (1, "Hour"),
    Timeframe.DAY: (1, "Day"),
}
#: Errors of the stream that a later attempt may not meet: too many connections, a client that read too slowly, a fault of the server.
PASSING = frozenset((406, 407, 500))


class Alpaca(Adapter):
    """US stocks from Alpaca."""

    name = "alpaca"
    offer = Offer(timeframes=FETCHED, keys=KEYS, streams_quotes=True, streams_bars=True, corporate_actions=True, calendar=True)
    longest = {item: timedelta(days=20_000 if item is Timeframe.DAY else 10 * int(item)) for item in FETCHED}

    def bars_of(self, symbol: str, timeframe: Timeframe, start: datetime) -> Callable[[Window], list[Row]]:
        """See `Adapter.bars_of`. The library follows `next_page_token` to the end of a window."""
        from alpaca.data.enums import Adjustment, DataFeed
        from alpaca.data.requests import StockBarsRequest
        from alpaca.data.timeframe import TimeFrame, TimeFrameUnit

        amount, unit = UNITS[timeframe]
        wanted: dict[str, Any] = {
            "symbol_or_symbols": self.plain(symbol),
            "timeframe": TimeFrame(amount, TimeFrameUnit(unit)),
            "adjustment": Adjustment.RAW,
            "feed": DataFeed(self._feed),
        }
        client = self._history

        def fetch(window: Window) -> list[Row]:
            # the end is included
            request = StockBarsRequest(**wanted, start=window.first, end=window.end - timedelta(microseconds=1))
            with reading(self.name, f"bars of {symbol}"):
                answer = client.get_stock_bars(request)
                return [_row(item, timeframe) for item in answer.get(symbol, ())]

        return fetch

    def confirm(self, symbol: str) -> None:
        """No bars: the list of assets says whether the symbol exists. A data account that may not read the list cannot be told."""
        try:
            with reading(self.name, f"the asset {symbol}"):
                self._trading.get_asset(symbol)
        except VendorRefused:
            return

    def corporate_actions(self, symbol: str, start: date, end: date) -> tuple[ActionRecord, ...]:
        """See `Provider.corporate_actions`: forward and reverse splits, and cash dividends as paid."""
        from alpaca.data.historical.corporate_actions import CorporateActionsClient
        from alpaca.data.requests import CorporateActionsRequest

        client = self._guarded(CorporateActionsClient(*self._keys, raw_data=True, url_override=self._data_url))
        request = CorporateActionsRequest(symbols=[self.plain(symbol)], start=start, end=end)
        with self.guard.question(), reading(self.name, f"corporate actions of {symbol}"):
            answer = client.get_corporate_actions(request)
            splits = [
                action(symbol, ActionKind.SPLIT, date.fromisoformat(item["ex_date"]), exact(item["new_rate"]) / exact(item["old_rate"]))
                for kind in ("forward_splits", "reverse_splits")
                for item in answer.get(kind, ())
            ]
            paid = answer.get("cash_dividends", ())
            dividends = [action(symbol, ActionKind.DIVIDEND, date.fromisoformat(item["ex_date"]), exact(item["rate"])) for item in paid]
        return ordered([*splits, *dividends], start, end)

    def calendar(self, start: date, end: date) -> tuple[CalendarDay, ...]:
        """See `Provider.calendar`: sessions of the New York exchanges."""
        from alpaca.trading.requests import GetCalendarRequest

        with reading(self.name, "the calendar"):
            days = self._trading.get_calendar(GetCalendarRequest(start=start, end=end))
            found = [CalendarDay(day=day.date, opens_at=_from_new_york(day.open), closes_at=_from_new_york(day.close)) for day in days]
        return tuple(sorted((item for item in found if start <= item.day <= end), key=lambda item: item.day))

    async def stream_quotes(self, symbols: Sequence[str]) -> AsyncIterator[Tick]:
        """See `Provider.stream_quotes`."""
        async with aclosing(self._stream(symbols, ("subscribe_quotes", "subscribe_trades"))) as items:
            async for item in items:
                yield _tick(item)

    async def stream_bars(self, symbols: Sequence[str], timeframe: Timeframe) -> AsyncIterator[BarTick]:
        """See `Provider.stream_bars`: of one minute only."""
        if timeframe is not Timeframe.MINUTE:
            raise NotOffered(f"{self.name} streams bars of one minute, not of {timeframe.code}", field="timeframe")
        async with aclosing(self._stream(symbols, ("subscribe_bars",))) as items:
            async for item in items:
                yield _bar_tick(item)

    async def _stream(self, symbols: Sequence[str], channels: Sequence[str]) -> AsyncGenerator[Any]:
        """The library's objects, each of which one of the readers below can read, from an open and subscribed line until it breaks."""
        import msgpack
        from alpaca.data.enums import DataFeed
        from alpaca.data.live.stock import StockDataStream

        address = f"{self.settings.get('ALPACA_STREAM_URL', STREAM_URL)}/v2/{self._feed}"
        stream = StockDataStream(*self._keys, feed=DataFeed(self._feed), url_override=address, websocket_params=self._socket_parameters)
        heard: list[Any] = []

        async def hear(item: Any) -> None:
            heard.append(item)

        for channel in channels:
            getattr(stream, channel)(hear, *(self.plain(symbol) for symbol in symbols))
        await self.opened(lambda: _open(stream))
        line: Any = stream._ws
        try:
            while True:
                for message in self._messages(msgpack, await line.recv()):
                    heard.clear()
                    await self._hear(stream, message, heard)
                    for item in heard:
                        yield item
        except DeskError:
            raise
        except Exception as error:
            raise broken(self.name, error) from error
        finally:
            await stream.close()

    def _messages(self, msgpack: Any, frame: bytes) -> list[Any]:
        try:
            with reading(self.name, "a message"):
                return list(msgpack.unpackb(frame))
        except VendorNonsense as error:
            self.bad_frames.add(error.detail)
            return []

    async def _hear(self, stream: Any, message: Any, heard: list[Any]) -> None:
        """Let the library parse one message, and keep what it made only if it makes sense."""
        try:
            with reading(self.name, "a message"):
                kind = message["T"]
                if kind == "error":
                    raise _meant(message.get("code"), message.get("msg"))
                await stream._dispatch(message)
                for item in heard:
                    _bar_tick(item) if hasattr(item, "open") else _tick(item)
                if kind in ("t", "q", "b") and not heard:
                    raise ValueError(f"{message.get('S')!r} was not asked for")
        except VendorNonsense as error:
            heard.clear()
            self.bad_frames.add(error.detail)

    @property
    def _keys(self) -> tuple[str, str]:
        return self.settings.key(KEYS[0]), self.settings.key(KEYS[1])

    @property
    def _feed(self) -> str:
        return self.settings.get("ALPACA_FEED", "iex")

    @property
    def _data_url(self) -> str:
        return self.settings.get("ALPACA_DATA_URL", DATA_URL)

    @property
    def _socket_parameters(self) -> dict[str, Any]:
        return {"open_timeout": self.settings.timeout_seconds, "ping_interval": 10, "ping_timeout": 180, "max_queue": 1024}

    @cached_property
    def _history(self) -> Any:
        from alpaca.data.historical.stock import StockHistoricalDataClient

        return self._guarded(StockHistoricalDataClient(*self._keys, raw_data=True, url_override=self._data_url))

    @cached_property
    def _trading(self) -> Any:
        from alpaca.trading.client import TradingClient

        return self._guarded(TradingClient(*self._keys, url_override=self.settings.get("ALPACA_TRADING_URL", TRADING_URL)))

    def _guarded(self, client: Any) -> Any:
        """Put the guard, and a time-out, under the library: the transport is the only place that every request passes."""
        from apps.marketdata.providers.transport import GuardedTransport

        for scheme in ("http://", "https://"):
            client._session.mount(scheme, GuardedTransport(self.name, self.guard, self.settings.timeout_seconds))
        return client


async def _open(stream: Any) -> None:
    """Connect, authenticate and subscribe. The library tells a refusal as ValueError with the vendor's words."""
    try:
        await stream._start_ws()
        await stream._send_subscribe_msg()
    except ValueError as error:
        await stream.close()
        raise VendorRefused(f"alpaca: {error}") from error
    except Exception as error:
        await stream.close()
        raise broken("alpaca", error) from error


def _meant(code: Any, text: Any) -> VendorRefused | VendorUnavailable | UnknownVendorSymbol:
    said = f"alpaca: {text} ({code})"
    if code in PASSING:
        return VendorUnavailable(said)
    return UnknownVendorSymbol(said, field="symbol") if code == 400 and "symbol" in str(text) else VendorRefused(said)


def _row(item: Any, timeframe: Timeframe) -> Row:
    ts = datetime.fromisoformat(item["t"])
    if timeframe is Timeframe.DAY:
        ts = midnight_of(ts.astimezone(NEW_YORK).date())
    return Row(ts, item["o"], item["h"], item["l"], item["c"], item["v"])


def _from_new_york(moment: datetime) -> datetime:
    return moment.replace(tzinfo=NEW_YORK).astimezone(UTC)


def _tick(item: Any) -> Tick:
    if hasattr(item, "bid_price"):
        sides = {"bid": item.bid_price, "bid_size": item.bid_size, "ask": item.ask_price, "ask_size": item.ask_size}
        return quote(item.symbol, item.timestamp, **sides)
    exchange = getattr(item.exchange, "value", item.exchange)
    return trade(item.symbol, item.timestamp, item.price, item.size, f"{exchange}-{item.id}")


def _bar_tick(item: Any) -> BarTick:
    return finished_bar(item.symbol, Timeframe.MINUTE, item.timestamp, (item.open, item.high, item.low, item.close), item.volume)
