"""The feed as a process of its own, on servers of its own: whatever is killed, every step is stored once and none is left out."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import psycopg
import pytest
import redis

from apps.core.servers import EmbeddedServers
from apps.marketdata.domain.calendars import sessions
from apps.marketdata.domain.replay import Step, step_time
from apps.marketdata.selectors.store import LATEST

ROOT = Path(__file__).resolve().parents[3]
FIRST, LAST = date(2010, 1, 4), date(2012, 12, 31)
SYMBOLS = ("AAA", "BBB")
PATIENCE_SECONDS = 60.0


def wait_for(condition: Callable[[], object], what: str) -> None:
    """Until the condition holds; a server that is just away counts as not yet."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            if condition():
                return
        except (psycopg.OperationalError, redis.RedisError):
            pass
        time.sleep(0.05)
    pytest.fail(f"waited {PATIENCE_SECONDS:.0f} s for {what}")


@dataclass
class Desk:
    """Private servers, and the feed that runs on them."""

    servers: EmbeddedServers
    environment: dict[str, str]
    log: Path
    feed: "subprocess.Popen[bytes] | None" = None

    def manage(self, *words: str) -> None:
        done = subprocess.run([sys.executable, "manage.py", *words], cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def query(self, sql: str) -> list[tuple]:
        with psycopg.connect(self.servers.postgres.url) as connection:
            return connection.execute(sql).fetchall()

    def start_feed(self) -> None:
        with self.log.open("ab") as log:
            words = [sys.executable, "manage.py", "run_feed", "--session-seconds", "0.04", "--no-progress"]
            self.feed = subprocess.Popen(words, cwd=ROOT, env=self.environment, stdout=log, stderr=log)

    def end_feed(self, number: signal.Signals) -> int:
        assert self.feed is not None
        self.feed.send_signal(number)
        return self.feed.wait(PATIENCE_SECONDS)

    def ticks(self) -> int:
        return self.query("select count(*) from marketdata_tick")[0][0]

    def moves_on(self) -> None:
        shown = self.ticks()
        wait_for(lambda: self.ticks() > shown + 20, f"more ticks than {shown}; the feed says: {self.log.read_text()[-1000:]}")

    def latest(self) -> dict[str, str]:
        with redis.Redis(unix_socket_path=str(self.servers.redis.socket), decode_responses=True) as client:
            return client.hgetall(LATEST)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    servers = EmbeddedServers(tmp_path, fast=True)
    environment = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    servers.start()
    desk = Desk(servers, {**environment, "DESK_VAR": str(tmp_path)}, tmp_path / "feed.log")
    try:
        desk.manage("migrate", "--verbosity", "0")
        yield desk
    finally:
        if desk.feed is not None:
            desk.feed.kill()
            desk.feed.wait()
        servers.stop()


def load_bars(desk: Desk, folder: Path) -> None:
    days = sessions("XNYS", FIRST, LAST)
    with psycopg.connect(desk.servers.postgres.url) as connection:
        for symbol in SYMBOLS:
            connection.execute(
                "insert into marketdata_instrument (symbol, name, asset_class, currency, calendar, tick_size, lot_size, tradable)"
                " values (%s, %s, 'stock', 'USD', 'XNYS', 0.01, 1, true)",
                [symbol, symbol],
            )
            rows = "".join(f"{day},{n + 10},{n + 12},{n + 9},{n + 11},100\n" for n, day in enumerate(days))
            (folder / f"{symbol}.csv").write_text("date,open,high,low,close,volume\n" + rows)
    desk.manage("import_bars", *(str(folder / f"{symbol}.csv") for symbol in SYMBOLS))


@pytest.mark.slow
def test_no_step_is_lost_or_repeated_whatever_is_killed(desk: Desk, tmp_path: Path) -> None:
    load_bars(desk, tmp_path)
    desk.start_feed()
    wait_for(lambda: desk.ticks() > 20, f"the first ticks; the feed says: {desk.log.read_text()[-1000:]}")

    assert desk.end_feed(signal.SIGKILL) == -signal.SIGKILL
    desk.start_feed()
    desk.moves_on()

    os.kill(desk.servers.redis.pid(), signal.SIGKILL)
    wait_for(lambda: not desk.servers.redis.running(), "Redis to be gone")
    desk.servers.redis.start()
    desk.moves_on()
    wait_for(lambda: set(desk.latest()) == set(SYMBOLS), "the latest prices in the new Redis")

    os.kill(desk.servers.postgres.pid(), signal.SIGKILL)
    wait_for(lambda: not desk.servers.postgres.running(), "PostgreSQL to be gone")
    desk.servers.postgres.start()
    desk.moves_on()

    assert desk.end_feed(signal.SIGTERM) == 0
    shown = desk.query("select instrument_id, market_time from marketdata_tick order by instrument_id, received_at")
    instruments = sorted({pk for pk, _ in shown})
    expected = [step_time("XNYS", day, step) for day in sessions("XNYS", FIRST, LAST) for step in Step]
    for pk in instruments:
        times = [moment for owner, moment in shown if owner == pk]
        assert times == expected[: len(times)]
    session, step = desk.query("select session, step from marketdata_feedstate")[0]
    assert len(instruments) == len(SYMBOLS)
    assert len(shown) == len(SYMBOLS) * (4 * sessions("XNYS", FIRST, LAST).index(session) + step)
