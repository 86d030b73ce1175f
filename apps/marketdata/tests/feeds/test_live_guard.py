"""The live feed behind its vendor's guard: what an operator decides holds for the line too, and waiting never holds up the end."""

import threading

import pytest
import redis

from apps.core.clock import now
from apps.core.errors import InvalidInput, NotFound, RuleRefused
from apps.marketdata.models import FeedFault, Forced
from apps.marketdata.models import Vendor as VendorRow
from apps.marketdata.providers.protocol import VendorSettings
from apps.marketdata.selectors.quotes import latest_quotes
from apps.marketdata.selectors.store import redis_client
from apps.marketdata.services.feeds import line
from apps.marketdata.services.feeds.vendor import feed_provider
from apps.marketdata.services.vendors import breaker, vendor_force, vendors_synchronise
from apps.marketdata.tests.feeds.test_live import SYMBOLS, eventually, feeding, instruments, vendor  # noqa: F401  (fixtures)
from apps.marketdata.tests.feeds.vendor import Vendor

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("instruments")]

NAME = "coinbase"


@pytest.fixture(autouse=True)
def rows(vendor: tuple[Vendor, str], settings) -> None:  # noqa: F811
    vendors_synchronise()
    redis_client().flushall()
    settings.VENDORS = VendorSettings(values={"COINBASE_STREAM_URL": vendor[1]}, timeout_seconds=60)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The failures before each pause of the line, which is short here."""
    made: list[int] = []

    def pause(failures: int, _chance: float) -> float:
        made.append(failures)
        return 0.02

    monkeypatch.setattr(line, "reconnect_pause", pause)
    return made


def force(forced: Forced) -> None:
    vendor_force(name=NAME, forced=forced, reason="drill", by="a test", at=now())


def enable(enabled: bool) -> None:
    VendorRow.objects.filter(name=NAME).update(enabled=enabled)


def open_again(vendor: Vendor, connections: int) -> bool:  # noqa: F811
    return vendor.connections == connections and set(vendor.symbols()) == set(SYMBOLS)


@pytest.mark.parametrize(
    ("stop", "release"),
    [(lambda: force(Forced.OPEN), lambda: force(Forced.NO)), (lambda: enable(False), lambda: enable(True))],
    ids=["forced", "disabled"],
)
def test_a_vendor_that_an_operator_stops_is_not_called_again_until_he_lets_it(vendor, tmp_path, pauses, stop, release) -> None:  # noqa: F811
    with feeding(vendor, tmp_path, provider=feed_provider(NAME)):
        vendor[0].trade("AAA", 10.0)
        eventually(lambda: "AAA" in latest_quotes(), "the first tick")
        stop()
        redis_client().flushall()  # a Redis that starts again empty does not forget the operator
        vendor[0].hang_up()
        eventually(lambda: len(pauses) >= 4, "the tries")
        assert vendor[0].connections == 1
        assert pauses[:4] == [1, 2, 3, 4]  # each pause is longer than the one before
        release()
        eventually(lambda: open_again(vendor[0], 2), "the line again")
        vendor[0].trade("AAA", 11.0)
        eventually(lambda: FeedFault.objects.filter(kind="disconnected").exists(), "the gap")


def test_the_feed_keeps_the_vendors_pace_and_ends_at_once_while_it_waits(vendor, tmp_path, pauses) -> None:  # noqa: F811
    VendorRow.objects.filter(name=NAME).update(rate=0.01, burst=1)
    with feeding(vendor, tmp_path, provider=feed_provider(NAME)) as feed:
        vendor[0].hang_up()
        eventually(lambda: len(pauses) >= 2, "a turn that does not come")
        assert vendor[0].connections == 1
        assert set(pauses) == {1}  # waiting for one's turn is no failure
        feed.stop()
    assert f"line to {NAME}" not in {thread.name for thread in threading.enumerate()}


def test_without_redis_nobody_calls_and_the_feed_lives_on(vendor, tmp_path, pauses, monkeypatch) -> None:  # noqa: F811
    with feeding(vendor, tmp_path, provider=feed_provider(NAME)):
        with monkeypatch.context() as away:
            nobody = redis.Redis(port=9, socket_connect_timeout=0.5, retry=None)
            away.setattr(breaker, "redis_client", lambda: nobody)
            vendor[0].hang_up()
            eventually(lambda: len(pauses) >= 3, "the tries")
            assert vendor[0].connections == 1
        eventually(lambda: open_again(vendor[0], 2), "the line again")


def test_a_vendor_that_may_not_be_asked_is_refused_at_the_start() -> None:
    with pytest.raises(InvalidInput, match="auto"):
        feed_provider("auto")
    with pytest.raises(NotFound, match="acme"):
        feed_provider("acme")
    enable(False)
    with pytest.raises(RuleRefused, match="not enabled"):
        feed_provider(NAME)
