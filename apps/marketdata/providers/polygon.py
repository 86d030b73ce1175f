"""Polygon (now Massive) by `massive`: US stocks, indices and coins: bars, corporate actions, a live stream of stocks. Needs POLYGON_API_KEY.

Bars are asked for with `adjusted=false`: as traded. Daily bars of stocks begin at midnight in New York, of coins at midnight UTC.
Dividends come as they were paid. Sizes of quotes are in round lots of 100 shares, as the vendor documents them. Symbols: stocks are the
same (BRK.B), ^VIX is I:VIX, BTC-USD is X:BTCUSD. Trade ids are unique per exchange, so ours begin with the exchange's number.

The library repeats failed requests and takes broken JSON for an empty answer. So its connection pool is replaced by one that asks
through the guard and never repeats, and its JSON reader by one that raises. Its stream gets `max_reconnects=0` and hands on raw messages,
because its own reader ends the stream at the first malformed one.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from apps.core.errors import DeskError
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.domain.vendor import ActionKind, ActionRecord, BarTick, Offer, Tick
from apps.marketdata.providers.adapter import Adapter
from apps.marketdata.providers.failures import check_status, reading
from apps.marketdata.providers.lines import LARGEST_MESSAGE, broken, parsed, understood
from apps.marketdata.providers.protocol import Guard, NotOffered, VendorNonsense, VendorRefused, VendorUnavailable
from apps.marketdata.providers.shaping import FETCHED, Row, Window
from apps.marketdata.providers.ticks import NEW_YORK, action, exact, finished_bar, from_milliseconds, midnight_of, ordered, quote, trade

KEY = "POLYGON_API_KEY"
DATA_URL = "https://api.massive.com"
STREAM_URL = "wss://socket.massive.com"
SPANS = {
    Timeframe.MINUTE: (1, "minute"),
    Timeframe.MINUTES_5: (5, "minute"),
    Timeframe.MINUTES_15: (15, "minute"),
    Timeframe.HOUR: (1, "hour"),
    Timeframe.DAY: (1, "day"),
}
ROUND_LOT = 100
MOST_ROWS = 50_000


class Polygon(Adapter):
    """Stocks, indices and coins from Polygon."""

    name = "polygon"
    offer = Offer(timeframes=FETCHED, keys=(KEY,), streams_quotes=True, streams_bars=True, corporate_actions=True)
    longest = {item: timedelta(days=20_000 if item is Timeframe.DAY else 30 * int(item)) for item in FETCHED}

    def bars_of(self, symbol: str, timeframe: Timeframe, start: datetime) -> Callable[[Window], list[Row]]:
        """See `Adapter.bars_of`. The library follows `next_url` to the end of a window."""
        ticker = self._ticker(symbol)
        multiplier, span = SPANS[timeframe]
        client = self._client

        def fetch(window: Window) -> list[Row]:
            first, last = window.first, window.end - timedelta(milliseconds=1)  # the end is included
            ends = (first.date(), last.date()) if timeframe is Timeframe.DAY else (first, last)
            with reading(self.name, f"bars of {symbol}"):
                found = client.list_aggs(ticker, multiplier, span, *ends, adjusted=False, sort="asc", limit=MOST_ROWS)
                return [_row(item, timeframe, coin=ticker.startswith("X:")) for item in found]

        return fetch

    def confirm(self, symbol: str) -> None:
        """No bars: the list of tickers says whether there is such a symbol."""
        with reading(self.name, f"the ticker {symbol}"):
            self._client.get_ticker_details(self._ticker(symbol))

    def corporate_actions(self, symbol: str, start: date, end: date) -> tuple[ActionRecord, ...]:
        """See `Provider.corporate_actions`."""
        ticker = self._ticker(symbol)
        with self.guard.question(), reading(self.name, f"corporate actions of {symbol}"):
            splits = [
                action(symbol, ActionKind.SPLIT, date.fromisoformat(item.execution_date), exact(item.split_to) / exact(item.split_from))
                for item in self._client.list_splits(ticker, execution_date_gte=start, execution_date_lte=end, limit=1000)
            ]
            dividends = [
                action(symbol, ActionKind.DIVIDEND, date.fromisoformat(item.ex_dividend_date), exact(item.cash_amount), item.currency or "USD")
                for item in self._client.list_dividends(ticker, ex_dividend_date_gte=start, ex_dividend_date_lte=end, limit=1000)
            ]
        return ordered([*splits, *dividends], start, end)

    async def stream_quotes(self, symbols: Sequence[str]) -> AsyncIterator[Tick]:
        """See `Provider.stream_quotes`: stocks only."""
        async with contextlib.aclosing(self._stream(symbols, ("T", "Q"), _ticks)) as ticks:
            async for tick in ticks:
                yield tick

    async def stream_bars(self, symbols: Sequence[str], timeframe: Timeframe) -> AsyncIterator[BarTick]:
        """See `Provider.stream_bars`: stocks only, of one minute only."""
        if timeframe is not Timeframe.MINUTE:
            raise NotOffered(f"{self.name} streams bars of one minute, not of {timeframe.code}", field="timeframe")
        async with contextlib.aclosing(self._stream(symbols, ("AM",), _bar_ticks)) as bars:
            async for bar in bars:
                yield bar

    async def _stream(self, symbols: Sequence[str], channels: Sequence[str], read: Callable[[Any], list[Any]]) -> AsyncGenerator[Any]:
        from massive import WebSocketClient

        tickers = [self._ticker(symbol) for symbol in symbols]
        if others := [ticker for ticker in tickers if ":" in ticker]:
            raise NotOffered(f"{self.name} streams stocks here, not {', '.join(others)}", field="symbols")
        address = urlsplit(self.settings.get("POLYGON_STREAM_URL", STREAM_URL))
        client = WebSocketClient(
            api_key=self.settings.key(KEY),
            feed=address.netloc,
            secure=address.scheme == "wss",
            raw=True,
            max_reconnects=0,
            subscriptions=[f"{channel}.{ticker}" for channel in channels for ticker in tickers],
        )
        known = frozenset(tickers)
        line = _Line(self.name, client, self.settings.timeout_seconds)
        await self.opened(line.open)
        try:
            while True:
                for text in _separate(await line.receive()):
                    for found in understood(self.name, text, lambda message: read(_known(message, known)), self.bad_frames):
                        yield found
        finally:
            await line.close()

    def _ticker(self, symbol: str) -> str:
        plain = self.plain(symbol)
        if plain.startswith("^"):
            return f"I:{plain[1:]}"
        base, dash, quoted = plain.partition("-")
        return f"X:{base}{quoted}" if dash else plain

    @cached_property
    def _client(self) -> Any:
        from massive import RESTClient

        base = self.settings.get("POLYGON_DATA_URL", DATA_URL)
        seconds = self.settings.timeout_seconds
        # `retries: False` also keeps urllib3 from following redirects and from turning statuses into exceptions
        client = RESTClient(
            api_key=self.settings.key(KEY),
            base=base,
            connect_timeout=seconds,
            read_timeout=seconds,
            connection_pool_kw={"retries": False},
            custom_json=_StrictJson,
        )
        client.client = _GuardedPool(self.name, client.client, self.guard)
        return client


class _GuardedPool:
    """Stands for the library's connection pool: asks through the guard and raises what the answer means."""

    def __init__(self, vendor: str, pool: Any, guard: Guard) -> None:
        self.vendor, self.pool, self.guard = vendor, pool, guard

    def request(self, method: str, url: str, **kwargs: Any) -> Any:
        return self.guard.call(lambda: self._ask(method, url, kwargs))

    def _ask(self, method: str, url: str, kwargs: Mapping[str, Any]) -> Any:
        from urllib3.exceptions import HTTPError

        try:
            answer = self.pool.request(method, url, **kwargs)
        except HTTPError as error:
            raise VendorUnavailable(f"{self.vendor} cannot be reached: {type(error).__name__}: {error}") from error
        check_status(self.vendor, answer.status, answer.headers, answer.data.decode(errors="replace"))
        return answer


class _StrictJson:
    """The library's JSON reader: an answer that is no JSON object in the vendor's form is an error, not an empty list."""

    @staticmethod
    def loads(text: str) -> Any:
        found = parsed("polygon", text)
        if not isinstance(found, dict) or found.get("status") not in ("OK", "DELAYED") or not isinstance(found.get("results", []), list | dict):
            raise VendorNonsense(f"polygon sent no answer in its own form: {text[:200]}")
        return found

    @staticmethod
    def dumps(found: Any) -> str:
        import json

        return json.dumps(found)


class _Line:
    """The library's stream, run as a task that hands its raw messages over, and says at last why it ended."""

    def __init__(self, vendor: str, client: Any, timeout_seconds: float) -> None:
        self.vendor, self.client, self.timeout_seconds = vendor, client, timeout_seconds
        self._heard: asyncio.Queue[str | bytes | DeskError] = asyncio.Queue(maxsize=1000)
        self._first: list[str | bytes] = []
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Until the first message after authentication, which answers the subscription. Raises when it does not come in time."""
        await self.close()
        self._task = asyncio.create_task(self._run())
        try:
            first = await asyncio.wait_for(self._heard.get(), self.timeout_seconds)
        except TimeoutError as error:
            await self.close()
            raise VendorUnavailable(f"the stream of {self.vendor} did not open in {self.timeout_seconds:g} s") from error
        if isinstance(first, DeskError):
            raise first
        self._first.append(first)

    async def receive(self) -> str | bytes:
        """The next message. Raises what ended the line."""
        if self._first:
            return self._first.pop()
        found = await self._heard.get()
        if isinstance(found, DeskError):
            raise found
        return found

    async def close(self) -> None:
        """End the task and the connection."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _run(self) -> None:
        from massive.exceptions import AuthError

        try:
            await self.client.connect(self._heard.put, open_timeout=self.timeout_seconds, max_size=LARGEST_MESSAGE)
            ended: DeskError = VendorUnavailable(f"{self.vendor} closed the stream")
        except AuthError as error:
            ended = VendorRefused(f"{self.vendor}: {error}")
        except Exception as error:  # noqa: BLE001 - it is raised where the messages are read
            ended = broken(self.vendor, error)
        await self._heard.put(ended)


def _separate(text: str | bytes) -> list[str | bytes]:
    """One text for each event of a message, so that a bad one does not take the others with it. What is no list stays as it is."""
    import json

    try:
        events = json.loads(text)
    except ValueError:
        return [text]
    return [json.dumps(event) for event in events] if isinstance(events, list) else [text]


def _known(message: Any, known: frozenset[str]) -> Any:
    """An event of a symbol that was asked for, or a status."""
    if message["ev"] != "status" and message["sym"] not in known:
        raise ValueError(f"{message['sym']!r} was not asked for")
    if message["ev"] == "status" and message.get("status") in ("error", "max_connections", "force_disconnect", "slow_consumer"):
        refused = VendorRefused if message["status"] == "error" else VendorUnavailable
        raise refused(f"polygon: {message.get('message', '')}")
    return message


def _ticks(message: Any) -> list[Tick]:
    from massive.websocket.models import EquityQuote, EquityTrade

    if message["ev"] == "T":
        sold = EquityTrade.from_dict(message)
        return [trade(sold.symbol, from_milliseconds(sold.timestamp), sold.price, sold.size, f"{sold.exchange}-{sold.id}")]
    if message["ev"] != "Q":
        return []
    best = EquityQuote.from_dict(message)
    sizes = {"bid_size": best.bid_size * ROUND_LOT, "ask_size": best.ask_size * ROUND_LOT}
    return [quote(best.symbol, from_milliseconds(best.timestamp), bid=best.bid_price, ask=best.ask_price, **sizes)]


def _bar_ticks(message: Any) -> list[BarTick]:
    from massive.websocket.models import EquityAgg

    if message["ev"] != "AM":
        return []
    bar = EquityAgg.from_dict(message)
    ts = from_milliseconds(bar.start_timestamp)
    return [finished_bar(bar.symbol, Timeframe.MINUTE, ts, (bar.open, bar.high, bar.low, bar.close), bar.volume)]


def _row(item: Any, timeframe: Timeframe, *, coin: bool) -> Row:
    ts = from_milliseconds(item.timestamp)
    if timeframe is Timeframe.DAY:
        ts = midnight_of((ts if coin else ts.astimezone(NEW_YORK)).date())
    return Row(ts, item.open, item.high, item.low, item.close, item.volume)
