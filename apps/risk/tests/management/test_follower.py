"""The monitor's loop when servers go away: it waits longer each time, comes back, and never works without the lease."""

from contextlib import ExitStack
from datetime import timedelta

import pytest
from django.db import OperationalError, connection

from apps.core.errors import Conflict
from apps.core.locks import lease
from apps.risk.management.commands.run_risk_monitor import NAME, Follower
from apps.risk.tests.factories import NOW, Desk

pytestmark = pytest.mark.django_db


@pytest.fixture
def follower(monkeypatch):
    Desk()
    monkeypatch.setattr(connection, "close", lambda: None)  # the test's transaction lives on this connection
    with ExitStack() as stack:
        yield Follower(stack)


def at(seconds: float):
    return NOW + timedelta(seconds=seconds)


def test_it_waits_twice_as_long_each_time_and_then_goes_on(follower, monkeypatch) -> None:
    tried = []

    def away(now):
        tried.append((now - NOW).total_seconds())
        raise OperationalError("server closed the connection")

    with monkeypatch.context() as broken:
        broken.setattr(follower.monitor, "step", away)
        for tenths in range(200):
            follower.work(at(tenths / 10))
    assert tried == [0, 0.5, 1.5, 3.5, 7.5, 12.5, 17.5]
    follower.work(at(22.5))
    assert follower.frames == 1


def test_a_lost_lease_is_taken_again(follower) -> None:
    follower.work(at(0))
    follower._lease._session.close()
    follower.work(at(5))
    assert follower._lease is None
    follower.work(at(5.4))
    assert follower.frames == 1
    follower.work(at(5.5))
    assert follower.frames == 2
    with pytest.raises(Conflict), lease(NAME):
        pass


def test_it_gives_way_to_a_monitor_that_took_over(follower) -> None:
    follower.work(at(0))
    follower._lease._session.close()
    follower.work(at(5))
    with lease(NAME), pytest.raises(Conflict):
        follower.work(at(6))
