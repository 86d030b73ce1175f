"""Live feeds as processes of their own, on servers of their own: what was acknowledged is stored once, whatever is killed."""

import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

import psycopg
import pytest

from apps.marketdata.domain.vendor import QuoteTick, TradeTick
from apps.marketdata.services.feeds.records import micros
from apps.marketdata.services.feeds.spool import Place, batches
from apps.marketdata.tests.feeds.vendor import Vendor, vendor_running
from tests.feeds.desk import Desk, desk_running, wait_for

pytestmark = pytest.mark.slow

SYMBOLS = tuple(f"SYM{n}" for n in range(40))
TICKS_PER_SECOND = 200
Key = tuple[str, int, int]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Desk, Vendor]]:
    folder = tmp_path_factory.mktemp("live")
    with vendor_running() as (vendor, address), desk_running(folder, durable=True, COINBASE_STREAM_URL=address) as desk:
        with psycopg.connect(desk.servers.postgres.url) as connection:
            for symbol in SYMBOLS:
                connection.execute(
                    "insert into marketdata_instrument (symbol, name, asset_class, currency, calendar, tick_size, lot_size, tradable)"
                    " values (%s, %s, 'crypto', 'USD', '24/7', 0.01, 1, true)",
                    [symbol, symbol],
                )
        yield desk, vendor


@contextmanager
def market(vendor: Vendor) -> Iterator[None]:
    """Trades and quotes all the time, until the end of the block."""
    ended = threading.Event()

    def talk() -> None:
        number = 0
        while not ended.wait(1 / TICKS_PER_SECOND):
            number += 1
            symbol = SYMBOLS[number % len(SYMBOLS)]
            if number % 2:
                vendor.trade(symbol, 100 + number / 1000)
            else:
                vendor.quote(symbol, 99 + number / 1000, 101 + number / 1000)

    thread = threading.Thread(target=talk)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def start(desk: Desk, vendor: Vendor, *, clients: int = 1) -> None:
    desk.start_feed("--provider", "coinbase", "--symbols", ",".join(SYMBOLS), "--shards", "8")
    wait_for(lambda: vendor.clients() == clients and vendor.symbols() == sorted(SYMBOLS), "the subscription", desk)


def acknowledged(desk: Desk) -> Counter[Key]:
    """Keys of the ticks in all spools."""
    found: Counter[Key] = Counter()
    for folder in (desk.servers.var / "feed" / "live").iterdir():
        with suppress(FileNotFoundError):  # brought home just now: the database has all of it
            for records, _ in batches(folder, Place()):
                found.update((record[0], record[1], record[2]) for record in records if record[0] in "qt")
    return found


def stored(desk: Desk) -> Counter[Key]:
    """The same keys of the ticks in the database."""
    found: Counter[Key] = Counter()
    for kind, table in (("q", "marketdata_quote"), ("t", "marketdata_trade")):
        found.update((kind, pk, micros(ts)) for pk, ts in desk.query(f"select instrument_id, ts from {table}"))
    return found


def moves_on(desk: Desk) -> None:
    before = sum(stored(desk).values())
    wait_for(lambda: sum(stored(desk).values()) > before + 50, f"more ticks than {before}", desk)


def test_every_acknowledged_tick_is_stored_once_whatever_is_killed(running: tuple[Desk, Vendor]) -> None:
    desk, vendor = running
    with market(vendor):
        start(desk, vendor)
        moves_on(desk)
        wait_for(lambda: set(desk.latest()) == set(SYMBOLS), "the latest prices in the first Redis", desk)  # or its end takes nothing away

        unbroken_from = datetime.now(UTC)
        desk.restart_redis()
        wait_for(lambda: set(desk.latest()) == set(SYMBOLS), "the latest prices in the new Redis", desk)
        desk.restart_postgres()
        moves_on(desk)
        wait_for(lambda: sum(unbroken_from < tick.ts for tick in list(vendor.sent)) > 100, "ticks while both were away and came back")
        unbroken_to = datetime.now(UTC)

        vendor.say('{"type": "match"')
        lines = vendor.connections
        vendor.hang_up()
        wait_for(lambda: vendor.connections > lines and vendor.symbols() == sorted(SYMBOLS), "the line again")
        moves_on(desk)

        desk.servers.postgres.stop()  # ticks wait in the spool of a feed that is killed
        spooled = sum(acknowledged(desk).values())
        wait_for(lambda: sum(acknowledged(desk).values()) > spooled + 100, "ticks without a database", desk)
        assert desk.end_feed(signal.SIGKILL) == -signal.SIGKILL
        promised = acknowledged(desk)
        desk.servers.postgres.start()
        assert sum(promised.values()) > sum(stored(desk).values())  # or the test would prove nothing
        start(desk, vendor)
        moves_on(desk)
    wait_for(lambda: not +(acknowledged(desk) - stored(desk)), "the rest of the spool", desk)
    promised |= acknowledged(desk)
    assert desk.end_feed(signal.SIGTERM) == 0, desk.said
    kept = stored(desk)
    assert not promised - kept  # what the feed took after that look is stored too
    assert set(kept.values()) == {1}
    while_servers_fell = [tick for tick in vendor.sent if unbroken_from < tick.ts < unbroken_to]
    symbol_of = dict(desk.query("select id, symbol from marketdata_instrument"))
    there = {(kind, symbol_of[pk], at) for kind, pk, at in kept}
    missing = [tick for tick in while_servers_fell if ("t" if isinstance(tick, TradeTick) else "q", tick.symbol, micros(tick.ts)) not in there]
    assert missing == []
    assert any(isinstance(tick, QuoteTick) for tick in while_servers_fell)
    kinds = {kind for (kind,) in desk.query("select kind from marketdata_feedfault")}
    assert {"disconnected", "malformed", "redis", "database"} <= kinds
    assert list((desk.servers.var / "feed" / "live").iterdir()) == []


def test_two_feeds_split_the_symbols_and_one_takes_over_from_a_dead_one(running: tuple[Desk, Vendor]) -> None:
    desk, vendor = running
    with market(vendor):
        start(desk, vendor)
        start(desk, vendor, clients=2)
        wait_for(lambda: len(desk.query("select 1 from marketdata_feedhealth where jsonb_array_length(shards) = 4")) == 2, "two halves", desk)
        moves_on(desk)
        desk.end_feed(signal.SIGKILL)
        wait_for(lambda: vendor.clients() == 1 and vendor.symbols() == sorted(SYMBOLS), "one feed with all symbols", desk)
        seen = len(vendor.sent)
        wait_for(lambda: len(vendor.sent) > seen + 2 * len(SYMBOLS), "ticks of all symbols")
        wait_for(lambda: set(desk.latest()) == set(SYMBOLS), "all latest prices")
        moves_on(desk)
    wait_for(lambda: not +(acknowledged(desk) - stored(desk)), "what both have acknowledged", desk)
    assert set(stored(desk).values()) == {1}
