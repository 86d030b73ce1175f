"""When standing orders run, how often, and who hears of it when they fail."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace

import pytest
from django.contrib.auth.models import Group
from django.db import DatabaseError, IntegrityError, connection, transaction

from apps.alerts.selectors import open_alerts
from apps.core.errors import Unavailable
from apps.core.jobs import NullProgress
from apps.core.models import JobRun, JournalEntry, User
from apps.core.roles import Role
from apps.core.schedule import periodic_jobs
from apps.marketdata.domain import calendars
from apps.marketdata.domain.pacing import RetryRule
from apps.marketdata.models import Bar, Subscription, SubscriptionRun, Vendor
from apps.marketdata.selectors import store
from apps.marketdata.services.subscriptions import subscriptions_run
from apps.marketdata.services.vendors import VendorGuard
from apps.marketdata.tasks import subscriptions
from apps.marketdata.tests.factories import InstrumentFactory
from apps.marketdata.tests.services.loopback import LoopbackProvider, LoopbackVendor, loopback_vendor

pytestmark = pytest.mark.django_db
#: Friday, three quarters of an hour after the close in New York.
SLOT = datetime(2026, 2, 6, 21, 45, tzinfo=UTC)


@pytest.fixture(scope="module")
def server() -> Iterator[LoopbackVendor]:
    with loopback_vendor() as vendor:
        yield vendor


@pytest.fixture
def desk(server: LoopbackVendor) -> SimpleNamespace:
    Vendor.objects.all().delete()
    Vendor.objects.create(name="acme", rate=1000, burst=1000)
    closes = dict.fromkeys(calendars.sessions("XNYS", date(2026, 1, 5), date(2026, 3, 31)), 100.0)
    server.closes, server.faults, server.requests, server.actions, server.action_faults = {"AAA": closes, "BBB": closes}, [], [], [], []
    InstrumentFactory(symbol="AAA")
    InstrumentFactory(symbol="BBB")
    operator = User.objects.create_user("olga")
    operator.groups.add(Group.objects.get_or_create(name=Role.OPERATOR)[0])
    return SimpleNamespace(server=server, operator=operator)


def subscribe(**values) -> Subscription:
    return Subscription.objects.create(**{"name": "daily", "provider": "acme", "symbols": ["AAA"], "lookback_days": 9, "reason": "a test", **values})


def look(desk: SimpleNamespace, now: datetime = SLOT, progress=None) -> list[tuple]:
    def make(vendor: Vendor, guard: VendorGuard) -> LoopbackProvider:
        guard._retry = RetryRule(attempts=1)
        return LoopbackProvider(vendor.name, desk.server, guard)

    runs = subscriptions_run(clock=lambda: now, make=make, progress=progress)
    return [(run.subscription.name, run.slot, run.attempt, run.outcome, run.inserted) for run in runs]


def test_runs_once_for_each_slot(desk) -> None:
    subscribe()
    monday = datetime(2026, 2, 9, 21, 45, tzinfo=UTC)
    assert look(desk) == [("daily", SLOT, 1, "succeeded", 8)]
    assert look(desk, SLOT + timedelta(minutes=1)) == look(desk, monday - timedelta(minutes=1)) == []
    assert look(desk, monday) == [("daily", monday, 1, "succeeded", 1)]
    assert not open_alerts(desk.operator)


def test_what_is_not_enabled_does_not_run(desk) -> None:
    subscribe(enabled=False)
    assert look(desk) == []


def test_no_symbols_means_all_that_may_be_traded(desk) -> None:
    InstrumentFactory(symbol="OLD", tradable=False)
    subscribe(symbols=[])
    assert look(desk) == [("daily", SLOT, 1, "succeeded", 16)]


def test_the_longest_waiting_comes_first_and_a_failure_stops_no_other(desk) -> None:
    subscribe(name="broken", symbols=["ZZZ"], schedule="every", minutes=60)
    subscribe()
    assert [run[0::3] for run in look(desk)] == [("broken", "failed"), ("daily", "succeeded")]


def test_what_did_not_come_is_tried_again_later_and_only_that(desk) -> None:
    subscribe(symbols=["AAA", "BBB"])
    bars = desk.server.closes.pop("BBB")
    assert look(desk) == [("daily", SLOT, 1, "partial", 8)]
    assert look(desk, SLOT + timedelta(minutes=29)) == []
    desk.server.closes["BBB"] = bars
    desk.server.requests.clear()
    assert look(desk, SLOT + timedelta(minutes=30)) == [("daily", SLOT, 2, "succeeded", 8)]
    assert {symbol for symbol, _, _ in desk.server.requests} == {"BBB"}


def test_after_four_tries_it_waits_for_the_next_slot_and_operators_heard_of_it_once(desk) -> None:
    subscribe(symbols=["ZZZ"])
    found = [look(desk, SLOT + timedelta(minutes=31 * n)) for n in range(6)]
    assert [[run[2] for run in runs] for runs in found] == [[1], [2], [3], [4], [], []]
    (alert,) = open_alerts(desk.operator)
    assert (alert.code, alert.data["subscription"]) == ("SUBSCRIPTION_FAILED", "daily")
    assert "'ZZZ'" in alert.detail


def test_a_run_that_was_killed_or_stopped_is_made_again(desk) -> None:
    class Stopping(NullProgress):
        def cancelled(self) -> bool:
            return Bar.objects.exists()

    subscribe(symbols=["AAA", "BBB"])
    assert look(desk, progress=Stopping()) == []
    assert not SubscriptionRun.objects.exists()
    desk.server.requests.clear()
    assert look(desk) == [("daily", SLOT, 1, "succeeded", 8)]
    assert {symbol for symbol, _, _ in desk.server.requests} == {"BBB"}


def test_without_redis_it_is_not_taken_for_done(desk, settings, tmp_path) -> None:
    subscribe()
    url, settings.REDIS_URL = settings.REDIS_URL, f"unix://{tmp_path}/none.sock"
    store.redis_client.cache_clear()
    try:
        with pytest.raises(Unavailable):
            look(desk)
    finally:
        settings.REDIS_URL = url
        store.redis_client.cache_clear()
    assert look(desk) == [("daily", SLOT, 1, "succeeded", 8)]


def test_the_beat_job_looks_every_minute_on_the_data_queue() -> None:
    (job,) = [job for job in periodic_jobs() if job.task == "marketdata.subscriptions"]
    assert (job.queue, job.every) == ("data", timedelta(minutes=1))


@pytest.mark.django_db(transaction=True)
def test_the_beat_job_runs_what_is_due_and_says_so(desk) -> None:
    subscribe(symbols=["ZZZ"])
    subscriptions.apply()
    assert JobRun.objects.get().result["runs"][0]["outcome"] == "failed"
    assert SubscriptionRun.objects.count() == 1


def test_subscriptions_are_journalled_and_runs_only_added(desk) -> None:
    item = subscribe()
    look(desk)
    Subscription.objects.filter(pk=item.pk).update(minutes=60)
    written = JournalEntry.objects.filter(table_name="marketdata_subscription", row_id=str(item.pk))
    assert list(written.order_by("pk").values_list("operation", flat=True)) == ["insert", "update"]
    with pytest.raises(DatabaseError, match="rows are facts"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("update marketdata_subscriptionrun set inserted = 0")
    run = SubscriptionRun.objects.get()
    run.pk = None
    with pytest.raises(IntegrityError, match="subscription_run_once"), transaction.atomic():
        run.save(force_insert=True)
