"""The live feed in a thread of the test: a real WebSocket vendor, a real Redis, a real database."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from django.db import connection

from apps.core.clock import now
from apps.core.errors import InvalidInput, NotFound, Unavailable
from apps.core.models import User
from apps.core.streams import stream_of
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.domain.vendor import QuoteTick, TradeTick
from apps.marketdata.models import Bar, FeedFault, FeedHealth, FeedSpool, FeedState, Quote, Trade
from apps.marketdata.providers.coinbase import Coinbase
from apps.marketdata.providers.protocol import NoGuard, Provider, VendorSettings
from apps.marketdata.selectors.feeds import feed_status, feeds_still
from apps.marketdata.selectors.market import market_clock
from apps.marketdata.selectors.quotes import latest_quotes, listen, reference_prices
from apps.marketdata.selectors.store import redis_client
from apps.marketdata.services.feeds import line
from apps.marketdata.services.feeds.health import FeedCounters
from apps.marketdata.services.feeds.live import LivePlan, live_run
from apps.marketdata.tests.factories import InstrumentFactory
from apps.marketdata.tests.feeds.vendor import Vendor, vendor_running

pytestmark = pytest.mark.django_db(transaction=True)

SYMBOLS = ("AAA", "BBB", "CCC")
PATIENCE_SECONDS = 60.0


def eventually(condition: Callable[[], Any], what: str) -> None:
    deadline = monotonic() + PATIENCE_SECONDS
    while not condition():
        assert monotonic() < deadline, f"waited {PATIENCE_SECONDS:.0f} s for {what}"
        sleep(0.01)


@dataclass
class Feed:
    """A live feed that runs in a thread of its own."""

    vendor: Vendor
    address: str
    root: Path
    clock: Callable[[], datetime] = now
    provider: Provider | None = None
    options: dict[str, Any] = field(default_factory=dict)
    counters: FeedCounters | None = None
    error: BaseException | None = None

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> FeedCounters:
        self._stop.set()
        self._thread.join(timeout=PATIENCE_SECONDS)
        assert not self._thread.is_alive()
        if self.error is not None:
            raise self.error
        assert self.counters is not None
        return self.counters

    def _run(self) -> None:
        provider = self.provider or Coinbase(VendorSettings(values={"COINBASE_STREAM_URL": self.address}, timeout_seconds=60), NoGuard())
        plan = LivePlan(**{"symbols": SYMBOLS, "spool_root": self.root, "shards": 4, **self.options})
        try:
            self.counters = live_run(plan=plan, provider=provider, clock=self.clock, stopping=self._stop.is_set)
        except BaseException as error:  # noqa: BLE001  (told by whoever waits for the thread)
            self.error = error
        finally:
            connection.close()


@pytest.fixture
def vendor() -> Iterator[tuple[Vendor, str]]:
    with vendor_running() as running:
        yield running


@pytest.fixture
def instruments() -> None:
    for symbol in SYMBOLS:
        InstrumentFactory(symbol=symbol, calendar="24/7", asset_class="crypto")


@contextmanager
def feeding(
    vendor: tuple[Vendor, str], root: Path, *, clock: Callable[[], datetime] = now, provider: Provider | None = None, **options: Any
) -> Iterator[Feed]:
    """A feed whose vendor has heard what it wants; stopped at the end."""
    feed = Feed(*vendor, root, clock=clock, provider=provider, options=options)
    feed.start()
    try:
        eventually(lambda: feed.error or set(vendor[0].symbols()) == set(SYMBOLS), "the subscription")
        yield feed
    finally:
        if feed.counters is None and feed.error is None:
            feed.stop()


def rows() -> list[tuple[str, datetime, float]]:
    symbol_of = dict(InstrumentFactory._meta.model.objects.values_list("pk", "symbol"))
    return sorted((symbol_of[pk], ts, price) for pk, ts, price in Trade.objects.values_list("instrument_id", "ts", "price"))


def test_ticks_reach_redis_the_database_and_the_processes(vendor, instruments, tmp_path) -> None:
    messages = listen("quotes")
    assert next(messages) is None  # subscribed
    with feeding(vendor, tmp_path) as feed:
        first = vendor[0].quote("AAA", 10.0, 10.2, size=300)
        eventually(lambda: "AAA" in latest_quotes(), "the quote")
        assert latest_quotes()["AAA"].price == Decimal("10.1")  # no trade yet: the middle
        last = vendor[0].trade("AAA", 10.15, size=2)
        vendor[0].trade("BBB", 20.0)
        eventually(lambda: latest_quotes(["AAA"])["AAA"].price == Decimal("10.15") and "BBB" in latest_quotes(), "the trades")
        quote = latest_quotes()["AAA"]
        assert (quote.bid, quote.ask, quote.bid_size, quote.ask_size) == (Decimal(10), Decimal("10.2"), Decimal(300), Decimal(600))
        assert (quote.market_time, quote.quote_time, quote.count, quote.feed) == (last.ts, first.ts, 2, "live")
        assert reference_prices(["AAA"])["AAA"].price == Decimal("10.15")
        message = next(item for item in messages if item and "BBB" in item.prices)
        assert (message.kind, message.feed) == ("quotes", "live")
        eventually(lambda: FeedHealth.objects.filter(counters__stored=3).exists(), "the ticks in the database")
        clock = market_clock(now())
        assert clock.mode == "live"
        assert clock.feed_age_seconds is not None
        assert clock.feed_age_seconds < 30
    counters = feed.stop()
    assert (counters.received, counters.accepted, counters.stored, counters.waiting) == (3, 3, 3, 0)
    assert counters.accepted == counters.delivered + counters.coalesced
    assert Quote.objects.count() == 1
    assert rows() == [("AAA", last.ts, 10.15), ("BBB", rows()[1][1], 20.0)]
    assert FeedHealth.objects.get().ended_at is not None
    assert not FeedSpool.objects.exists()
    assert list(tmp_path.iterdir()) == []  # nothing is left to bring home


def test_repeated_impossible_and_unknown_ticks_are_counted_and_left_out(vendor, instruments, tmp_path) -> None:
    with feeding(vendor, tmp_path) as feed:
        tick = vendor[0].trade("AAA", 10.0)
        for again in (tick, tick, TradeTick(symbol="AAA", ts=now() + timedelta(minutes=5), price=10.0, size=1.0, trade_id="900")):
            vendor[0].send(again)
        vendor[0].say('{"type": "match", "product_id": "AAA", "price": "x"')
        vendor[0].trade("BBB", 20.0)
        eventually(lambda: "BBB" in latest_quotes(), "the last tick")
        eventually(lambda: FeedFault.objects.count() == 2, "the faults")
    counters = feed.stop()
    assert (counters.received, counters.accepted, counters.repeated, counters.refused, counters.malformed) == (5, 2, 2, 1, 1)
    faults = {fault.kind: fault for fault in FeedFault.objects.all()}
    assert set(faults) == {"refused", "malformed"}
    assert "AAA: its time is in the future" in faults["refused"].detail
    assert vendor[0].connections == 1  # a bad frame does not cost the line


def test_a_line_that_breaks_is_opened_again_and_the_gap_is_recorded(vendor, instruments, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(line, "reconnect_pause", lambda failures, _chance: min(failures, 3) * 0.02)
    with feeding(vendor, tmp_path) as feed:
        before = vendor[0].trade("AAA", 10.0)
        eventually(lambda: "AAA" in latest_quotes(), "the first tick")
        vendor[0].hang_up()
        eventually(lambda: vendor[0].connections == 2 and set(vendor[0].symbols()) == set(SYMBOLS), "the line again")
        after = vendor[0].trade("AAA", 11.0)
        eventually(lambda: FeedFault.objects.exists(), "the gap")
    counters = feed.stop()
    fault = FeedFault.objects.get()
    assert (fault.kind, fault.count) == ("disconnected", len(SYMBOLS))
    assert before.ts < fault.from_at < fault.to_at
    assert after.ts <= fault.to_at
    assert (counters.accepted, counters.reconnects) == (2, 1)


def test_redis_that_lost_everything_is_healed_before_the_next_tick(vendor, instruments, tmp_path) -> None:
    with feeding(vendor, tmp_path):
        vendor[0].trade("AAA", 10.0)
        vendor[0].trade("BBB", 20.0)
        eventually(lambda: set(latest_quotes()) == {"AAA", "BBB"}, "the ticks")
        eventually(lambda: redis_client().keys("marketdata:feed:*"), "the mark beside them, without which nothing is missed")
        redis_client().flushall()
        eventually(lambda: set(latest_quotes()) == {"AAA", "BBB"}, "the latest prices again")
        eventually(lambda: FeedFault.objects.exists(), "the fault")
    assert [fault.kind for fault in FeedFault.objects.all()] == ["redis"]


def test_a_feed_that_starts_knows_the_last_prices_from_the_database(vendor, instruments, tmp_path) -> None:
    with feeding(vendor, tmp_path) as feed:
        vendor[0].quote("AAA", 9.0, 9.2)
        vendor[0].trade("AAA", 10.0)
        eventually(lambda: "AAA" in latest_quotes(), "the ticks")
        feed.stop()
    redis_client().flushall()
    with feeding(vendor, tmp_path):
        eventually(lambda: "AAA" in latest_quotes(), "the last price")
        quote = latest_quotes()["AAA"]
        assert (quote.price, quote.bid, quote.ask) == (Decimal(10), Decimal(9), Decimal("9.2"))


def test_no_room_on_the_disk_is_counted_and_recorded(vendor, instruments, tmp_path) -> None:
    with feeding(vendor, tmp_path, spool_bytes=600) as feed:
        vendor[0].trade("AAA", 10.0)
        eventually(lambda: any(path.stat().st_size for path in tmp_path.glob("*/*.spool")), "the first batch on the disk")
        for number in range(1, 30):
            vendor[0].trade("AAA", 10.0 + number)
        eventually(lambda: FeedHealth.objects.filter(counters__received=30).exists(), "all ticks")
    counters = feed.stop()
    assert counters.overflow > 0
    assert counters.accepted > 0
    assert counters.accepted + counters.overflow == 30
    assert Trade.objects.count() == counters.accepted == counters.stored


class MarketTime:
    """A clock that the test moves: the market's and the wall's are one."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at

    def later(self, **span: float) -> datetime:
        self.at += timedelta(**span)
        return self.at


class TestBars:
    """Minutes of a market that moves as fast as the test. Coins trade at any hour."""

    START = datetime(2024, 7, 2, 13, 30, 10, tzinfo=UTC)

    @pytest.fixture
    def clock(self) -> MarketTime:
        return MarketTime(self.START)

    def bars(self, symbol: str = "AAA") -> list[tuple[int, float, float, float]]:
        pk = InstrumentFactory._meta.model.objects.get(symbol=symbol).pk
        found = Bar.objects.filter(instrument_id=pk, timeframe=Timeframe.MINUTE).order_by("ts", "revision")
        return [(bar.ts.minute, bar.open, bar.close, bar.volume) for bar in found]

    def trade(self, vendor: Vendor, clock: MarketTime, price: float, symbol: str = "AAA") -> None:
        before = Trade.objects.count()
        vendor.trade(symbol, price, size=2.0, ts=clock())
        eventually(lambda: Trade.objects.count() > before, "the trade in the database")

    def test_bars_are_built_stored_and_announced(self, vendor, instruments, tmp_path, clock) -> None:
        messages = listen("intraday")
        assert next(messages) is None
        with feeding(vendor, tmp_path, clock=clock):
            for seconds, price in ((0, 10.0), (20, 11.0), (40, 12.0), (80, 13.0)):
                clock.at = self.START + timedelta(seconds=seconds)
                self.trade(vendor[0], clock, price)
            clock.later(seconds=60)
            self.trade(vendor[0], clock, 20.0, "BBB")  # its time closes the bars of the others
            eventually(lambda: len(self.bars()) == 2, "the bars")
        assert self.bars() == [(30, 10.0, 12.0, 6.0), (31, 13.0, 13.0, 2.0)]
        message = next(item for item in messages if item)
        assert (message.kind, message.symbols, message.timeframe) == ("intraday", ("AAA",), Timeframe.MINUTE)
        found = stream_of("bars:AAA")
        assert found is not None
        stream, key = found
        user = User(username="viewer")
        assert stream.allowed(user, key)
        assert not stream.allowed(user, "NONE")
        assert [bar["close"] for bar in stream.snapshot(user, key)["bars"]] == [12.0, 13.0]

    def test_a_feed_that_comes_in_the_middle_of_a_minute_builds_it_from_the_stored_trades(self, vendor, instruments, tmp_path, clock) -> None:
        for price in (10.0, 11.0):
            with feeding(vendor, tmp_path, clock=clock):
                self.trade(vendor[0], clock, price)
            clock.later(seconds=20)
        assert self.bars() == []
        with feeding(vendor, tmp_path, clock=clock):
            self.trade(vendor[0], clock, 12.0)
            clock.later(seconds=30)
            self.trade(vendor[0], clock, 20.0, "BBB")
            eventually(lambda: self.bars(), "the bar")
        assert self.bars() == [(30, 10.0, 12.0, 6.0)]


def test_what_cannot_be_fed_is_said(vendor, instruments, tmp_path) -> None:
    def run(**options: Any) -> None:
        provider = Coinbase(VendorSettings(values={"COINBASE_STREAM_URL": vendor[1]}), NoGuard())
        live_run(plan=LivePlan(**{"symbols": SYMBOLS, "spool_root": tmp_path, **options}), provider=provider, clock=now, stopping=lambda: True)

    with pytest.raises(InvalidInput, match="needs symbols"):
        run(symbols=())
    with pytest.raises(InvalidInput, match="1m, 5m, 15m"):
        run(timeframe=Timeframe.HOUR)
    with pytest.raises(NotFound, match="NONE"):
        run(symbols=("AAA", "NONE"))
    assert not tmp_path.exists() or list(tmp_path.iterdir()) == []


def test_a_vendor_that_refuses_the_account_ends_the_feed(vendor, instruments, tmp_path) -> None:
    feed = Feed(*vendor, tmp_path)
    feed.start()
    eventually(lambda: vendor[0].symbols(), "the subscription")
    vendor[0].say('{"type": "error", "message": "Authentication failed"}')
    eventually(lambda: feed.error is not None, "the end")
    with pytest.raises(Unavailable, match="Authentication failed"):
        feed.stop()


def test_status_and_a_feed_that_stands_still(vendor, instruments, tmp_path) -> None:
    with feeding(vendor, tmp_path):
        vendor[0].trade("AAA", 10.0)
        eventually(lambda: FeedState.objects.exists(), "the state")
        status = feed_status(now())
        (process,) = status.processes
        assert (process.state, process.provider, process.symbols, process.shards) == ("running", "coinbase", 3, (0, 1, 2, 3))
        assert "running, 3 symbols" in status.text
        assert feeds_still(now()) == ()
        later = now() + timedelta(seconds=61)
        assert feeds_still(later) == ("live",)
        assert feed_status(later).processes[0].state == "lost"
    assert feed_status(now()).processes[0].state == "ended"
    assert feeds_still(now() + timedelta(seconds=61)) == ()  # it was ended: nobody expects it to move


def test_a_quote_as_the_adapter_gives_it_comes_back_from_the_tables(vendor, instruments, tmp_path) -> None:
    with feeding(vendor, tmp_path) as feed:
        quote: QuoteTick = vendor[0].quote("CCC", 0.1, 0.3)
        eventually(lambda: Quote.objects.exists(), "the quote")
        feed.stop()
    stored = Quote.objects.get()
    assert (stored.ts, stored.bid, stored.ask, stored.bid_size, stored.ask_size) == (quote.ts, 0.1, 0.3, 100.0, 200.0)
