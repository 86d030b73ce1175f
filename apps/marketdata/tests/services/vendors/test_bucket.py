"""The pace that all processes of the desk keep together, against a real Redis and a clock of the test's own."""

import multiprocessing
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.marketdata.selectors.store import redis_client
from apps.marketdata.services.vendors.bucket import TokenBucket

START = 1_800_000_000.0


def bucket(clock=lambda: START, *, rate: float = 2.0, burst: int = 5, vendor: str = "acme") -> TokenBucket:
    return TokenBucket(vendor, rate=rate, burst=burst, clock=clock)


def test_begins_full_and_says_how_long_the_next_token_takes() -> None:
    full = bucket()
    assert [full.take() for _ in range(6)] == [0, 0, 0, 0, 0, pytest.approx(0.5)]
    assert full.take() == pytest.approx(0.5)  # nobody stands in a queue: a token is taken, never promised
    assert bucket(lambda: START + 0.5).take() == 0
    assert bucket(lambda: START + 0.5).take() > 0


def test_each_vendor_has_its_own() -> None:
    assert bucket(burst=1).take() == 0
    assert bucket(burst=1).take() > 0
    assert bucket(burst=1, vendor="other").take() == 0


def test_a_pause_holds_for_everybody_and_the_longer_one_counts() -> None:
    bucket().pause(30)
    bucket().pause(10)
    assert bucket().take() == pytest.approx(30)
    assert bucket(lambda: START + 29).take() == pytest.approx(1)
    assert bucket(lambda: START + 30).take() == 0


def test_a_clock_that_goes_back_makes_no_tokens() -> None:
    for _ in range(5):
        bucket(lambda: START + 100).take()
    assert bucket(lambda: START).take() > 0
    assert bucket(lambda: START + 100).take() > 0


def test_without_a_clock_the_time_is_that_of_redis_and_the_key_does_not_stay() -> None:
    real = TokenBucket("acme", rate=0.001, burst=1)
    assert real.take() == 0
    assert 0 < real.take() <= 1000
    assert 0 < redis_client().ttl("marketdata:vendor:acme:bucket") <= 1060


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rate=st.floats(0.05, 50), burst=st.integers(1, 8), gaps=st.lists(st.floats(0, 3), min_size=1, max_size=40))
def test_no_stretch_of_time_sees_more_than_burst_and_rate_allow(rate: float, burst: int, gaps: list[float]) -> None:
    redis_client().delete("marketdata:vendor:acme:bucket")
    moment, granted = START, []
    for gap in gaps:
        moment += gap
        if bucket(lambda moment=moment: moment, rate=rate, burst=burst).take() == 0:
            granted.append(moment)
    for first, begun in enumerate(granted):
        for last in range(first, len(granted)):
            assert last - first + 1 <= burst + rate * (granted[last] - begun) + 1e-3  # times are kept to the microsecond


def _greedy(seconds: float, tries: int) -> int:
    """Tokens that four threads of one process get."""
    mine = bucket(lambda: START + seconds, rate=3.0, burst=7)
    with ThreadPoolExecutor(4) as pool:
        return sum(pool.map(lambda _: mine.take() == 0, range(tries)))


def test_many_processes_and_threads_get_exactly_what_there_is() -> None:
    with multiprocessing.get_context("fork").Pool(4) as pool:
        assert sum(pool.starmap(_greedy, [(0.0, 25)] * 4)) == 7
        assert sum(pool.starmap(_greedy, [(2.0, 25)] * 4)) == 6
        assert sum(pool.starmap(_greedy, [(900.0, 25)] * 4)) == 7
