"""Two risk monitors as processes of their own while everything around them dies: no breach is missed, and none is raised twice."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

import pytest

from tests.feeds.desk import ROOT, Desk, desk_running, wait_for

pytestmark = pytest.mark.slow

NAMES = ("KILLED", "HUNG", "REDIS", "POSTGRES", "SILENT")


@dataclass
class Watched:
    """A desk with a market, portfolios by name, and two monitors of which one stands by."""

    desk: Desk
    market: "subprocess.Popen[str]"
    portfolios: dict[str, int] = field(default_factory=dict)
    monitors: "list[subprocess.Popen[bytes]]" = field(default_factory=list)

    def start_monitor(self) -> None:
        with self.desk.log.open("ab") as log:
            command = [sys.executable, "manage.py", "run_risk_monitor", "--no-progress"]
            self.monitors.append(subprocess.Popen(command, cwd=ROOT, env=self.desk.environment, stdout=log, stderr=log))

    def show(self, name: str, price: str) -> None:
        """Publish a price, as often as it takes."""

        def published() -> bool:
            self.market.stdin.write(f"{name} {price}\n")
            self.market.stdin.flush()
            return self.market.stdout.readline() == "ok\n"

        wait_for(published, f"{name} at {price}", self.desk)

    def state(self) -> tuple[str, datetime] | None:
        """Process id of the holder, and when it had computed everything last."""
        found = self.desk.query("select split_part(holder, ':', 2), computed_at from risk_monitorstate where computed_at > taken_at")
        return found[0] if found else None

    def beats(self, since: datetime | None = None, *, but: int | None = None) -> None:
        """Wait for a heartbeat after `since`, of another process than `but`."""
        if since is None:
            since = self.desk.query("select now()")[0][0]

        def beaten() -> bool:
            state = self.state()
            return state is not None and state[1] > since and state[0] != str(but)

        wait_for(beaten, "a heartbeat", self.desk)

    @property
    def holder(self) -> "subprocess.Popen[bytes]":
        pid = self.state()[0]
        return next(one for one in self.monitors if str(one.pid) == pid)

    def raised(self, name: str) -> list[tuple[str, str]]:
        return self.desk.query(f"select level, change from risk_limitevent where portfolio_id = {self.portfolios[name]} order by id")

    def told(self, name: str) -> list[str]:
        """Codes of what the monitor has told, in order; a halt tells for itself."""
        about = f"subject = 'portfolio:{self.portfolios[name]}' and code in ('RISK_LIMIT_WARNING', 'RISK_LIMIT_BREACH', 'TRADING_HALTED')"
        return [code for (code,) in self.desk.query(f"select code from alerts_alert where {about} order by id")]

    def warned(self, name: str) -> None:
        """Bring the portfolio to its warning level."""
        self.show(name, "100")
        self.show(name, "115")
        wait_for(lambda: self.raised(name) == [("soft", "raised")], f"the warning of {name}", self.desk)

    def broken_once(self, name: str) -> None:
        """Everything that one breach after one warning leaves, and nothing more."""
        wait_for(lambda: ("hard", "raised") in self.raised(name), f"the breach of {name}", self.desk)
        self.beats()
        self.beats()
        assert self.raised(name) == [("soft", "raised"), ("hard", "raised")]
        assert self.told(name) == ["RISK_LIMIT_WARNING", "RISK_LIMIT_BREACH", "TRADING_HALTED"]
        states = self.desk.query(f"select state from risk_tradingstatechange where portfolio_id = {self.portfolios[name]}")
        assert states == [("halted",)]


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with desk_running(tmp_path_factory.mktemp("monitored"), durable=True) as desk:
        words = [sys.executable, "-m", "tests.recovery.market", *NAMES]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        running = Watched(desk, subprocess.Popen(words, cwd=ROOT, env=desk.environment, **pipes))
        try:
            running.portfolios |= json.loads(running.market.stdout.readline())
            running.start_monitor()
            running.start_monitor()
            yield running
        finally:
            for process in (*running.monitors, running.market):
                process.kill()
                process.wait()


def test_a_standby_goes_on_where_a_killed_monitor_stopped(watched: Watched) -> None:
    watched.beats()
    watched.warned("KILLED")
    victim = watched.holder
    victim.kill()
    victim.wait()
    watched.show("KILLED", "125")
    watched.beats(but=victim.pid)
    watched.start_monitor()
    watched.broken_once("KILLED")


def test_a_hanging_monitor_is_replaced_and_raises_nothing_when_it_wakes_up(watched: Watched) -> None:
    watched.beats()
    watched.warned("HUNG")
    victim = watched.holder
    os.kill(victim.pid, signal.SIGSTOP)
    try:
        watched.show("HUNG", "125")
        watched.beats(but=victim.pid)
        wait_for(lambda: ("hard", "raised") in watched.raised("HUNG"), "the breach", watched.desk)
    finally:
        os.kill(victim.pid, signal.SIGCONT)
    watched.broken_once("HUNG")
    assert watched.holder is not victim
    assert victim.poll() is None  # it stands by


def test_a_restarted_redis_crosses_no_level(watched: Watched) -> None:
    watched.beats()
    watched.warned("REDIS")
    watched.desk.restart_redis()
    watched.beats()
    assert watched.raised("REDIS") == [("soft", "raised")]
    watched.show("REDIS", "125")
    watched.broken_once("REDIS")


def test_a_price_that_comes_while_the_database_is_away_is_a_breach_when_it_is_back(watched: Watched) -> None:
    watched.beats()
    watched.warned("POSTGRES")
    os.kill(watched.desk.servers.postgres.pid(), signal.SIGKILL)
    wait_for(lambda: not watched.desk.servers.postgres.running(), "PostgreSQL to be gone")
    watched.show("POSTGRES", "125")
    watched.desk.servers.postgres.start()
    watched.broken_once("POSTGRES")


def test_a_silent_feed_raises_and_clears_nothing(watched: Watched) -> None:
    watched.beats()
    watched.warned("SILENT")
    for _ in range(3):
        watched.beats()
    assert watched.raised("SILENT") == [("soft", "raised")]
    watched.show("SILENT", "125")
    watched.broken_once("SILENT")
