"""The circuit breaker with a clock of the test's own; its state is in Redis, so two objects are two processes."""

import multiprocessing

import pytest

from apps.core.errors import Unavailable
from apps.marketdata.domain.pacing import BreakerRule
from apps.marketdata.selectors import store
from apps.marketdata.services.vendors.breaker import BreakerOpen, CircuitBreaker, Outcome, breaker_force, breaker_remind

RULE = BreakerRule(failures=3, window_seconds=100, cooldown_seconds=60, probe_seconds=30)
START = 1_800_000_000.0


class Times:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def times() -> Times:
    return Times()


def breaker(times: Times) -> CircuitBreaker:
    return CircuitBreaker("acme", rule=RULE, clock=times)


def fail(times: Times, count: int) -> list[str]:
    return [breaker(times).record(breaker(times).permit(), Outcome.BAD) for _ in range(count)]


def refused(times: Times) -> bool:
    try:
        breaker(times).permit()
    except BreakerOpen:
        return True
    return False


@pytest.fixture
def opened(times: Times) -> None:
    assert fail(times, 3) == ["", "", "opened"]


def test_failures_that_lie_apart_do_not_open_it(times: Times) -> None:
    for _ in range(10):
        assert fail(times, 2) == ["", ""]
        times.now += 101


def test_successes_between_do_not_hide_that_many_fail(times: Times) -> None:
    fail(times, 2)
    breaker(times).record(breaker(times).permit(), Outcome.GOOD)
    assert fail(times, 1) == ["opened"]


def test_open_refuses_and_says_how_long(times: Times, opened: None) -> None:
    times.now += 20
    with pytest.raises(BreakerOpen, match="in 40 s"):
        breaker(times).permit()


def test_one_probe_at_a_time_and_its_success_closes(times: Times, opened: None) -> None:
    times.now += 60
    probe = breaker(times).permit()
    assert probe.event == "probed"
    assert refused(times)
    assert breaker(times).record(probe, Outcome.GOOD) == "closed"
    assert breaker(times).permit().event == ""
    assert fail(times, 2) == ["", ""]  # the failures of before are forgotten


def test_a_failed_probe_opens_for_another_cooldown(times: Times, opened: None) -> None:
    times.now += 60
    assert breaker(times).record(breaker(times).permit(), Outcome.BAD) == "opened"
    times.now += 59
    assert refused(times)
    times.now += 1
    assert not refused(times)


def test_a_probe_that_was_not_made_leaves_its_place(times: Times, opened: None) -> None:
    times.now += 60
    breaker(times).record(breaker(times).permit(), Outcome.NONE)
    assert breaker(times).permit().event == "probed"


def test_the_place_of_a_prober_that_died_is_free_after_a_while(times: Times, opened: None) -> None:
    times.now += 60
    dead = breaker(times).permit()
    times.now += 30
    assert breaker(times).permit().event == "probed"
    assert breaker(times).record(dead, Outcome.GOOD) == ""  # it comes too late to speak for anybody


def test_answers_from_before_it_opened_change_nothing(times: Times) -> None:
    late = [breaker(times).permit() for _ in range(2)]
    fail(times, 3)
    assert [breaker(times).record(permit, outcome) for permit, outcome in zip(late, (Outcome.GOOD, Outcome.BAD), strict=True)] == ["", ""]
    assert refused(times)


def test_an_operators_word_goes_before(times: Times, opened: None) -> None:
    breaker_force("acme", "closed")
    assert fail(times, 5) == [""] * 5
    breaker_force("acme", "open")
    times.now += 1000
    with pytest.raises(BreakerOpen, match="operator"):
        breaker(times).permit()
    breaker_force("acme", "")
    assert breaker(times).permit().event == "probed"  # automatic again: it was open when the operator came


def test_a_redis_that_lost_everything_is_reminded_and_a_newer_word_stays(times: Times) -> None:
    breaker_remind("acme", "open")
    assert refused(times)
    breaker_force("acme", "")
    breaker_remind("acme", "open")
    assert not refused(times)


def _fail_in_child(count: int) -> list[str]:
    return fail(Times(), count)


def test_processes_share_it(times: Times) -> None:
    with multiprocessing.get_context("fork").Pool(2) as pool:
        events = [event for found in pool.map(_fail_in_child, [1, 1], chunksize=1) for event in found]
    assert events + fail(times, 1) == ["", "", "opened"]
    assert refused(times)


def test_without_redis_nothing_passes(times: Times, settings, tmp_path) -> None:
    settings.REDIS_URL = f"unix://{tmp_path}/none.sock"
    store.redis_client.cache_clear()
    try:
        with pytest.raises(Unavailable, match="Redis"):
            breaker(times).permit()
    finally:
        store.redis_client.cache_clear()
