"""A feed as a process of its own, on servers of its own, for tests that kill both."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
import redis

from apps.core.errors import Unavailable
from apps.core.servers import EmbeddedServers
from apps.marketdata.selectors.store import LATEST
from tests.migrated import cluster_put

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 300.0


def wait_for(condition: Callable[[], object], what: str, desk: "Desk | None" = None) -> None:
    """Until the condition holds; a server that is just away, or a line that is just being written, counts as not yet. A failure shows what
    the desk's feeds say."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            if condition():
                return
        except (psycopg.OperationalError, redis.RedisError, Unavailable):
            pass
        time.sleep(0.05)
    pytest.fail(f"waited {PATIENCE_SECONDS:.0f} s for {what}; {desk.said if desk else ''}")


@dataclass
class Desk:
    """Private servers, and the feed that runs on them."""

    servers: EmbeddedServers
    environment: dict[str, str]
    log: Path
    feeds: "list[subprocess.Popen[bytes]]" = field(default_factory=list)

    @property
    def said(self) -> str:
        """The end of what the feeds have logged."""
        return self.log.read_text()[-3000:] if self.log.exists() else ""

    def manage(self, *words: str) -> None:
        done = subprocess.run([sys.executable, "manage.py", *words], cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def query(self, sql: str) -> list[tuple]:
        with psycopg.connect(self.servers.postgres.url) as connection:
            return connection.execute(sql).fetchall()

    def start_feed(self, *words: str) -> "subprocess.Popen[bytes]":
        with self.log.open("ab") as log:
            command = [sys.executable, "manage.py", "run_feed", *words, "--no-progress"]
            feed = subprocess.Popen(command, cwd=ROOT, env=self.environment, stdout=log, stderr=log)
        self.feeds.append(feed)
        return feed

    def end_feed(self, number: signal.Signals) -> int:
        """End the feed that was started last."""
        self.feeds[-1].send_signal(number)
        return self.feeds[-1].wait(PATIENCE_SECONDS)

    def restart_redis(self) -> None:
        """kill -9, then start again: empty."""
        os.kill(self.servers.redis.pid(), signal.SIGKILL)
        wait_for(lambda: not self.servers.redis.running(), "Redis to be gone")
        self.servers.redis.start()

    def restart_postgres(self) -> None:
        """kill -9, then start again."""
        os.kill(self.servers.postgres.pid(), signal.SIGKILL)
        wait_for(lambda: not self.servers.postgres.running(), "PostgreSQL to be gone")
        self.servers.postgres.start()

    def latest(self) -> dict[str, str]:
        with redis.Redis(unix_socket_path=str(self.servers.redis.socket), decode_responses=True) as client:
            return client.hgetall(LATEST)


@contextmanager
def desk_running(folder: Path, *, durable: bool, **environment: str) -> Iterator[Desk]:
    """Servers and a migrated database; everything ends with the block. `durable` as a real desk is, else quicker."""
    inherited = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    cluster_put(folder)
    servers = EmbeddedServers(folder, fast=not durable)
    servers.start()
    desk = Desk(servers, {**inherited, "DESK_VAR": str(folder), **environment}, folder / "feed.log")
    try:
        yield desk
    finally:
        for feed in desk.feeds:
            feed.kill()
            feed.wait()
        servers.stop()
