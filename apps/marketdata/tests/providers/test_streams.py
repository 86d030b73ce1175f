"""Streams of adapters: ticks as the vendor sent them, what cannot be read counted, and a broken line said."""

import asyncio
import concurrent.futures
import dataclasses
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgpack
import pytest

from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.domain.vendor import BarTick, QuoteTick, Tick, TradeTick
from apps.marketdata.providers.protocol import MissingKey, NotOffered, Provider, VendorRefused, VendorSettings, VendorUnavailable
from apps.marketdata.providers.registry import provider_make
from apps.marketdata.tests.providers.test_contract import CountingGuard
from apps.marketdata.tests.vendors import FOLDERS, vendor_server

Answered = TypeVar("Answered")

AT = datetime(2020, 8, 28, 14, 30, 1, 250_000, tzinfo=UTC)
#: What trade ids look like at each vendor, "" where there are none.
TRADE_IDS = {"alpaca": "V-96921", "polygon": "4-12345", "finnhub": "", "coinbase": "74529"}
PATIENCE_SECONDS = 60.0


class WaitingGuard:
    """Lets a request pass only when it is told to; `answer` says whether it was made."""

    def __init__(self) -> None:
        self.asked, self.go, self.over = threading.Event(), threading.Event(), threading.Event()
        self.answer = ""

    def call(self, request: Callable[[], Answered]) -> Answered:
        self.asked.set()
        self.go.wait(PATIENCE_SECONDS)
        try:
            found = request()
        except concurrent.futures.CancelledError:
            self.answer = "nothing"
            raise
        else:
            self.answer = "a line"
            return found
        finally:
            self.over.set()


def sent(server: Any) -> list[Tick]:
    trade = TradeTick(symbol=server.symbol, ts=AT, price=504.05, size=100.0, trade_id=TRADE_IDS[server.name])
    quote = QuoteTick(symbol=server.symbol, ts=AT, bid=504.04, bid_size=200.0, ask=504.06, ask_size=300.0)
    return [trade] if server.name == "finnhub" else [quote, trade]


def make(server: Any, **changes: Any) -> Provider:
    return provider_make(server.name, settings=dataclasses.replace(server.settings, **changes))


async def take(stream: AsyncIterator[Any], count: int) -> list[Any]:
    found = []
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(found) < count:
            found.append(await anext(stream))
    return found


async def saying(server: Any, say: Callable[[], None], stream: AsyncIterator[Any], count: int) -> list[Any]:
    """What a stream gives while the vendor says something, once somebody listens."""
    speaker = asyncio.create_task(asyncio.to_thread(say))
    found = await take(stream, count)
    await speaker
    return found


@pytest.fixture(params=list(TRADE_IDS))
def server(request: pytest.FixtureRequest) -> Iterator[Any]:
    with vendor_server(request.param) as made:
        yield made


class TestStreamContract:
    async def test_ticks_come_as_they_were_sent_repetitions_included(self, server: Any) -> None:
        guard = CountingGuard()
        provider = provider_make(server.name, settings=server.settings, guard=guard)
        ticks = sent(server)
        stream = provider.stream_quotes([server.symbol])
        assert await saying(server, lambda: server.push(*ticks, *ticks), stream, 2 * len(ticks)) == ticks + ticks
        assert provider.bad_frames.count == 0
        assert guard.calls == len(server.requests) == 1
        await stream.aclose()
        await asyncio.to_thread(server.wait_for_nobody)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    async def test_what_cannot_be_read_is_counted_and_the_rest_comes(self, server: Any) -> None:
        heard: list[str] = []
        provider = provider_make(server.name, settings=server.settings, on_bad_frame=heard.append)
        good = sent(server)
        bad = [*malformed(server), *server.frames([dataclasses.replace(tick, symbol=other(server)) for tick in good])]
        stream = provider.stream_quotes([server.symbol])
        assert await saying(server, lambda: server.push_raw(*bad, *server.frames(good)), stream, len(good)) == good
        assert provider.bad_frames.count == len(heard) == len(malformed(server)) + len(good)
        assert provider.bad_frames.last == heard[-1]
        await stream.aclose()

    async def test_a_line_that_breaks_is_said_and_a_new_one_can_be_opened(self, server: Any) -> None:
        provider = make(server)
        ticks = sent(server)
        stream = provider.stream_quotes([server.symbol])
        await saying(server, lambda: server.push(*ticks), stream, len(ticks))
        server.disconnect()
        with pytest.raises(VendorUnavailable):
            await take(stream, 1)
        await asyncio.to_thread(server.wait_for_nobody)  # else it might speak to the line that is broken
        again = provider.stream_quotes([server.symbol])
        assert await saying(server, lambda: server.push(*ticks), again, len(ticks)) == ticks
        await again.aclose()

    async def test_wrong_keys_are_refused_and_missing_ones_named(self, server: Any) -> None:
        if not server.keys:
            assert not make(server).offer.keys
            return
        with pytest.raises(VendorRefused):
            await take(make(server, values={**server.settings.values, **dict.fromkeys(server.keys, "wrong")}).stream_quotes([server.symbol]), 1)
        for key in server.keys:
            others = {name: value for name, value in server.settings.values.items() if name != key}
            with pytest.raises(MissingKey, match=key):
                await take(make(server, values=others).stream_quotes([server.symbol]), 1)

    async def test_a_vendor_that_is_not_there(self, server: Any) -> None:
        values = {**server.settings.values, **dict.fromkeys(server.stream_variables, "ws://127.0.0.1:9")}
        with pytest.raises(VendorUnavailable):
            await take(make(server, values=values, timeout_seconds=0.5).stream_quotes([server.symbol]), 1)

    async def test_who_gives_up_while_the_guard_waits_opens_no_line(self, server: Any) -> None:
        guard = WaitingGuard()
        stream = provider_make(server.name, settings=server.settings, guard=guard).stream_quotes([server.symbol])
        opening = asyncio.create_task(anext(stream))
        await asyncio.to_thread(guard.asked.wait, PATIENCE_SECONDS)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        guard.go.set()
        await asyncio.to_thread(guard.over.wait, PATIENCE_SECONDS)
        assert guard.answer == "nothing"
        assert server.requests == []

    async def test_finished_bars_come_as_they_were_sent_or_are_refused(self, server: Any) -> None:
        provider = make(server)
        if not provider.offer.streams_bars:
            with pytest.raises(NotOffered):
                provider.stream_bars([server.symbol], Timeframe.MINUTE)
            return
        start = AT.replace(second=0, microsecond=0)
        bar = BarTick(symbol=server.symbol, timeframe=Timeframe.MINUTE, ts=start, open=504.0, high=504.5, low=503.75, close=504.25, volume=1_200.0)
        upside_down = dataclasses.replace(bar, high=500.0)
        stream = provider.stream_bars([server.symbol], Timeframe.MINUTE)
        assert await saying(server, lambda: server.push(upside_down, bar), stream, 1) == [bar]
        assert provider.bad_frames.count == 1
        await stream.aclose()
        with pytest.raises(NotOffered, match="5m"):
            await take(provider.stream_bars([server.symbol], Timeframe.MINUTES_5), 1)


@pytest.mark.parametrize("name", ["yahoo", *FOLDERS])
def test_vendors_without_a_stream_say_so(name: str) -> None:
    with pytest.raises(NotOffered):
        provider_make(name, settings=VendorSettings()).stream_quotes(["AAPL"])


async def test_a_product_that_the_exchange_has_not_is_refused() -> None:
    with vendor_server("coinbase") as server, pytest.raises(VendorRefused, match="ZZZ-USD is not a valid product"):
        await take(make(server).stream_quotes(["ZZZ-USD"]), 1)


@pytest.mark.parametrize(
    ("name", "frame", "error"),
    [
        ("alpaca", msgpack.packb([{"T": "error", "code": 405, "msg": "symbol limit exceeded"}]), VendorRefused),
        ("alpaca", msgpack.packb([{"T": "error", "code": 407, "msg": "slow client"}]), VendorUnavailable),
        ("polygon", '[{"ev": "status", "status": "error", "message": "not authorized"}]', VendorRefused),
        ("polygon", '[{"ev": "status", "status": "max_connections", "message": "Maximum number of connections exceeded."}]', VendorUnavailable),
        ("finnhub", '{"type": "error", "msg": "Subscribing to too many symbols"}', VendorRefused),
        ("coinbase", '{"type": "error", "message": "Failed to subscribe"}', VendorRefused),
    ],
)
async def test_an_error_that_the_vendor_tells_ends_the_stream(name: str, frame: str | bytes, error: type[Exception]) -> None:
    with vendor_server(name) as server:
        provider = make(server)
        with pytest.raises(error):
            await saying(server, lambda: server.push_raw(frame), provider.stream_quotes([server.symbol]), 1)
        assert provider.bad_frames.count == 0


def other(server: Any) -> str:
    """A symbol that nobody asked for."""
    return "ETH-USD" if server.name == "coinbase" else "MSFT"


def malformed(server: Any) -> list[str | bytes]:
    """Messages that break in different ways: no message at all, no symbol, text for a number, a price of nothing."""
    good = server.frames(sent(server)[-1:])[0]
    if server.name == "alpaca":
        (event,) = msgpack.unpackb(good)
        return [b"\xc1", *(msgpack.packb([{**event, **change}]) for change in ({"p": "abc"}, {"p": 0}, {"t": "noon"}))]
    event = json.loads(good)
    inner = event[0] if isinstance(event, list) else event["data"][0] if "data" in event else event
    broken = []
    price = "price" if server.name == "coinbase" else "p"
    for change in ({price: "abc"}, {price: 0}, {price: None}):
        before = dict(inner)
        inner.update(change)
        broken.append(json.dumps(event))
        inner.clear()
        inner.update(before)
    return ['{"type": "tra', "[1, 2" if server.name == "polygon" else "[]", *broken]
