"""What the guard does with each kind of answer. Time is the test's: sleeping moves it."""

from collections.abc import Callable

import pytest

from apps.alerts.selectors import open_alerts
from apps.core.errors import Unavailable
from apps.core.models import User
from apps.marketdata.domain.pacing import BreakerRule, RetryRule
from apps.marketdata.models import VendorIncident
from apps.marketdata.providers.protocol import RateLimited, UnknownVendorSymbol, VendorNonsense, VendorRefused, VendorUnavailable
from apps.marketdata.selectors import store
from apps.marketdata.services.vendors import BreakerOpen, VendorGuard
from apps.marketdata.services.vendors.guard import TooSoon

pytestmark = pytest.mark.django_db
START = 1_800_000_000.0


class Line:
    """A guard on a clock that only sleeping moves, and a vendor that gives its answers in order."""

    def __init__(self, *answers: Exception | str, rate: float = 100.0, burst: int = 100, **rules: float) -> None:
        self.now, self.slept, self.asked = START, [], 0
        self.answers = list(answers)
        self.guard = VendorGuard(
            "acme",
            rate=rate,
            burst=burst,
            retry=RetryRule(attempts=4, first_seconds=1, most_seconds=8, total_seconds=rules.get("total", 60)),
            breaker=BreakerRule(failures=int(rules.get("failures", 5)), window_seconds=100, cooldown_seconds=30, probe_seconds=30),
            clock=lambda: self.now,
            monotonic=lambda: self.now,
            sleep=self._sleep,
            chance=lambda: 0.5,
        )
        self.guard.symbol = "AAA"

    def _sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 6))
        self.now += seconds

    def _request(self) -> str:
        self.asked += 1
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def ask(self) -> str:
        return self.guard.call(self._request)


def kinds() -> list[str]:
    return list(VendorIncident.objects.order_by("pk").values_list("kind", flat=True))


AWAY = [VendorUnavailable("500") for _ in range(8)]


def test_an_answer_passes_at_once() -> None:
    line = Line("bars")
    assert line.ask() == "bars"
    assert (line.asked, line.slept, kinds()) == (1, [], [])


def test_a_vendor_that_is_away_is_asked_again_after_growing_pauses() -> None:
    line = Line(*AWAY[:3], "bars")
    assert line.ask() == "bars"
    assert line.slept == [0.5, 1, 2]
    assert kinds() == []


def test_it_is_given_up_after_the_last_try_and_recorded_once() -> None:
    line = Line(*AWAY)
    with pytest.raises(VendorUnavailable, match="500"):
        line.ask()
    assert (line.asked, kinds()) == (4, ["unavailable"])
    incident = VendorIncident.objects.get()
    assert (incident.vendor, incident.symbol, incident.detail) == ("acme", "AAA", "given up after 4 tries: 500")


def test_it_is_given_up_when_the_time_is_over() -> None:
    line = Line(*AWAY, total=1.4)
    with pytest.raises(VendorUnavailable):
        line.ask()
    assert (line.asked, line.slept) == (2, [0.5])


def test_retry_after_is_kept_by_this_caller_and_by_all_others() -> None:
    line, other = Line(RateLimited("429", retry_after=20), "bars"), Line("bars")
    assert line.ask() == "bars"
    assert line.slept == [20.5]
    assert other.ask() == "bars"
    assert other.slept == [20]


def test_a_retry_after_beyond_the_time_that_there_is_ends_it_at_once() -> None:
    line = Line(RateLimited("429", retry_after=3600))
    with pytest.raises(RateLimited, match="429"):
        line.ask()
    assert (line.asked, line.slept, kinds()) == (1, [], ["rate_limited"])


def test_too_many_requests_is_an_answer_and_opens_no_breaker() -> None:
    line = Line(*[RateLimited("429") for _ in range(4)], "bars", failures=1)
    with pytest.raises(RateLimited):
        line.ask()
    assert line.ask() == "bars"


@pytest.mark.parametrize(
    ("error", "recorded"),
    [
        (VendorNonsense("half a document"), ["nonsense"]),
        (VendorRefused("401"), ["refused"]),
        (UnknownVendorSymbol("no AAA"), []),
        (KeyError("a fault of ours"), []),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_does_not_help_is_not_repeated(error: Exception, recorded: list[str]) -> None:
    line = Line(error)
    with pytest.raises(type(error)):
        line.ask()
    assert (line.asked, line.slept, kinds()) == (1, [], recorded)


def test_requests_wait_for_their_turn() -> None:
    line = Line("1", "2", "3", rate=0.1, burst=1)
    assert [line.ask() for _ in range(3)] == ["1", "2", "3"]
    assert line.slept == [10, 10]


def test_a_turn_that_comes_too_late_is_not_waited_for() -> None:
    line = Line("1", "2", rate=0.001, burst=1)
    line.ask()
    with pytest.raises(TooSoon, match="acme may not be asked for another 1000 s"):
        line.ask()
    assert (line.asked, line.slept, kinds()) == (1, [], [])


def test_failures_open_the_breaker_for_everybody_and_the_operators_are_told(operator: User) -> None:
    line, other = Line(*AWAY, failures=3), Line("bars")
    with pytest.raises(BreakerOpen) as refused:
        line.ask()
    assert (line.asked, refused.value.extra["retry_after"]) == (
        3,
        28,
    )  # 2 of the 30 seconds pass before the fourth try
    with pytest.raises(BreakerOpen):
        other.ask()
    assert other.asked == 0
    assert kinds() == ["opened"]
    assert [(alert.code, alert.data) for alert in open_alerts(operator)] == [("VENDOR_BREAKER_OPEN", {"vendor": "acme"})]


def test_a_probe_closes_it_again(operator: User) -> None:
    line = Line(*AWAY[:3], "bars", "more", failures=3)
    with pytest.raises(BreakerOpen):
        line.ask()
    line.now += 30
    assert [line.ask(), line.ask()] == ["bars", "more"]
    assert kinds() == ["opened", "probed", "closed"]


def test_a_vendor_that_stays_away_is_one_alert_until_somebody_has_seen_it(operator: User) -> None:
    line = Line(*AWAY, failures=3)
    for _ in range(4):
        with pytest.raises(BreakerOpen):
            line.ask()
        line.now += 30
    assert kinds() == ["opened", "probed", "opened", "probed", "opened", "probed", "opened"]
    assert len(open_alerts(operator)) == 1


def test_nonsense_that_shows_later_counts_once(operator: User) -> None:
    line = Line("half a document", failures=2)
    line.ask()
    error = VendorNonsense("not JSON")
    line.guard.report(error)
    line.guard.report(error)
    assert kinds() == ["nonsense"]
    line.guard.report(VendorNonsense("again"))
    assert kinds() == ["nonsense", "nonsense", "opened"]


def test_what_the_guard_counted_is_not_counted_again() -> None:
    line = Line(VendorNonsense("half"), failures=2)
    with pytest.raises(VendorNonsense) as raised:
        line.ask()
    line.guard.report(raised.value)
    assert kinds() == ["nonsense"]


@pytest.fixture
def no_redis(settings, tmp_path):
    settings.REDIS_URL = f"unix://{tmp_path}/none.sock"
    store.redis_client.cache_clear()
    yield
    store.redis_client.cache_clear()


def test_without_redis_nobody_is_asked(no_redis: Callable) -> None:
    line = Line("bars")
    with pytest.raises(Unavailable, match="Redis does not answer"):
        line.ask()
    assert line.asked == 0
