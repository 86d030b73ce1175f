"""The monitor's loop when servers go away and when there are two of it: it waits, comes back, stands by, and never works without the lease."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta

import pytest
from django.db import OperationalError, connection

from apps.core.errors import Conflict
from apps.core.locks import LeaseSet, lease
from apps.core.roles import Role
from apps.risk.management.commands.run_risk_monitor import NAME, Follower
from apps.risk.models import LimitEvent, MonitorState
from apps.risk.selectors.facts import risk_facts
from apps.risk.services import monitor as monitors
from apps.risk.tests.factories import NOW, Desk, person

pytestmark = pytest.mark.django_db


@pytest.fixture
def desk(monkeypatch) -> Desk:
    monkeypatch.setattr(connection, "close", lambda: None)  # the test's transaction lives on this connection
    person(Role.RISK)
    desk = Desk()
    desk.trade(400, 100)
    return desk


@pytest.fixture
def follower(desk) -> Iterator[Follower]:
    with ExitStack() as stack:
        yield Follower(stack, lambda: NOW)


@pytest.fixture
def standby(desk) -> Iterator[Follower]:
    with ExitStack() as stack:
        yield Follower(stack, lambda: NOW)


def lose_lease(follower: Follower) -> None:
    """The connection ends, as with kill -9; the server notices in its own time."""
    follower._lease._session.close()
    leases = LeaseSet(application="test")
    deadline = time.monotonic() + 60
    while leases.taken([NAME]):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    leases.close()


def at(seconds: float):
    return NOW + timedelta(seconds=seconds)


def test_it_waits_twice_as_long_each_time_and_then_goes_on(follower, monkeypatch) -> None:
    follower.work(at(0))
    tried = []

    def away(now):
        tried.append((now - NOW).total_seconds())
        raise OperationalError("server closed the connection")

    with monkeypatch.context() as broken:
        broken.setattr(follower.monitor, "step", away)
        for tenths in range(10, 100):
            follower.work(at(tenths / 10))
    assert tried == [1, 1.5, 2.5, 4.5, 6.5, 8.5]
    before = follower.frames
    follower.work(at(10.5))
    assert follower.frames > before


def test_a_lost_lease_is_taken_again_under_a_new_token(follower) -> None:
    follower.work(at(0))
    token = follower.monitor.token
    lose_lease(follower)
    follower.work(at(5))
    assert follower._lease is None
    follower.work(at(5.4))
    assert follower._lease is None
    follower.work(at(5.5))
    assert follower.monitor.token == token + 1
    with pytest.raises(Conflict), lease(NAME):
        pass


def test_it_stands_by_while_another_runs_and_takes_over_when_it_is_gone(follower, standby) -> None:
    follower.work(at(0))
    standby.work(at(0.1))
    assert (standby.monitor, standby.frames) == (None, 0)
    lose_lease(follower)
    standby.work(at(0.3))
    assert standby.monitor is None
    standby.work(at(0.6))
    assert standby.frames > 0
    follower.work(at(1))
    assert follower._lease is None
    follower.work(at(2))
    assert follower.monitor is None  # the first one is the standby now
    state = MonitorState.objects.get()
    assert (state.token, state.computed_at) == (standby.monitor.token, at(0.6))


def test_a_hanging_monitor_loses_the_desk_and_what_it_still_wants_to_write_is_refused(desk, follower, standby) -> None:
    follower.work(at(0))
    standby.work(at(3))
    assert standby.monitor is None  # 3 s are no proof
    deadline, moment = time.monotonic() + 60, 3.6
    while standby.monitor is None:  # the server takes its time to end the hanging one's connection
        assert time.monotonic() < deadline
        standby.work(at(moment))
        moment += 0.5
        time.sleep(0.01)
    desk.price("92", at=at(moment))
    standby.work(at(moment + 6))
    assert LimitEvent.objects.filter(kind="daily_loss", level="hard").count() == 1

    follower._checked_at = at(moment + 7)  # it wakes up and believes that it holds the lease
    follower.work(at(moment + 7))
    assert follower.monitor is None
    assert LimitEvent.objects.filter(kind="daily_loss", level="hard").count() == 1


class Slow:
    """A follower whose reading of each portfolio takes so many seconds, while a standby tries every now and then."""

    def __init__(self, standby: Follower, monkeypatch, *, seconds: float) -> None:
        self.seconds, self.standby, self.seen = 0.0, standby, list[bool]()
        self._each = seconds
        monkeypatch.setattr(monitors, "READ_AT_ONCE", 1)
        monkeypatch.setattr(monitors, "risk_facts", self._facts)

    def now(self):
        return at(self.seconds)

    def _facts(self, portfolio_ids, **given):
        if self.standby.monitor is None:  # once it has taken over, it reads too
            self.seconds += self._each
            self.standby.work(self.now())
            self.seen.append(self.standby.monitor is not None)
        return risk_facts(portfolio_ids, **given)


def test_a_monitor_that_reads_many_portfolios_says_that_it_goes_on_and_is_not_taken_for_hung(desk, standby, monkeypatch) -> None:
    for _ in range(3):
        Desk()
    slow = Slow(standby, monkeypatch, seconds=3)
    with ExitStack() as stack:
        follower = Follower(stack, slow.now)
        follower.work(at(0))
        assert slow.seen == [False] * 4  # twelve seconds, and never 3.5 without a word
        state = MonitorState.objects.get()
        assert (state.token, state.portfolios) == (follower.monitor.token, 4)
        assert follower._lease is not None
        follower._lease.check()


def test_a_monitor_that_hangs_in_one_part_of_its_load_loses_the_desk(desk, standby, monkeypatch) -> None:
    Desk()
    slow = Slow(standby, monkeypatch, seconds=4)
    with ExitStack() as stack:
        follower = Follower(stack, slow.now)
        follower.work(at(0))
        deadline = time.monotonic() + 60
        while standby.monitor is None:  # the server takes its time to end the hanging one's connection
            assert time.monotonic() < deadline
            slow.seconds += 0.5
            standby.work(slow.now())
            time.sleep(0.01)
        follower.work(slow.now())
        assert (follower._lease, follower.monitor) == (None, None)
        assert MonitorState.objects.get().token == standby.monitor.token
