"""Vendors as rows, and an operator's hand on a breaker."""

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from apps.core.errors import InvalidInput, NotFound, Unavailable
from apps.core.models import JournalEntry, User
from apps.marketdata.models import Forced, Vendor, VendorIncident
from apps.marketdata.selectors import store
from apps.marketdata.selectors.vendors import vendor_get, vendor_states, vendors_in_order
from apps.marketdata.services.vendors import BreakerOpen, vendor_force, vendor_guard, vendors_synchronise
from apps.marketdata.tests.factories import RECORDED_AT

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("vendors")]


def force(forced: Forced, name: str = "yahoo", reason: str = "maintenance", user: User | None = None) -> Vendor:
    return vendor_force(name=name, forced=forced, reason=reason, by="user:olga", user=user, at=RECORDED_AT)


def state(name: str = "yahoo") -> str:
    return next(item.breaker for item in vendor_states() if item.name == name)


def test_rows_come_by_themselves_and_stay_as_people_left_them() -> None:
    Vendor.objects.filter(name="yahoo").update(rate=0.1)
    Vendor.objects.get(name="polygon").delete()
    vendors_synchronise()
    assert Vendor.objects.get(name="yahoo").rate == 0.1
    assert Vendor.objects.filter(name="polygon").exists()


def test_order_of_auto_leaves_out_who_is_not_enabled() -> None:
    Vendor.objects.filter(name="alpaca").update(enabled=False)
    Vendor.objects.filter(name="yahoo").update(priority=1)
    assert [item.name for item in vendors_in_order()] == ["yahoo", "polygon", "finnhub", "coinbase", "files", "tradingview"]


def test_an_unknown_vendor_is_answered_with_the_known_ones() -> None:
    with pytest.raises(NotFound, match="'acme'; known are alpaca, coinbase, files, finnhub, polygon, tradingview, yahoo"):
        vendor_get("acme")


def test_forced_open_nobody_asks_until_it_is_released(operator: User) -> None:
    guard = vendor_guard(vendor_get("yahoo"))
    force(Forced.OPEN, user=operator)
    with pytest.raises(BreakerOpen, match="operator"):
        guard.call(lambda: "bars")
    assert state() == "forced_open"
    force(Forced.NO, reason="they are back")
    assert guard.call(lambda: "bars") == "bars"
    assert state() == "closed"


def test_who_why_and_when_are_kept(operator: User) -> None:
    vendor = force(Forced.CLOSED, user=operator)
    assert [(item.kind, item.detail, item.occurred_at) for item in VendorIncident.objects.all()] == [
        ("forced_closed", "user:olga: maintenance", RECORDED_AT)
    ]
    newest = vendor.history.first()
    assert (newest.history_user, newest.history_change_reason, newest.forced) == (operator, "maintenance", "closed")
    assert JournalEntry.objects.filter(table_name="marketdata_vendor", row_id=str(vendor.pk), operation="update").exists()


def test_a_decision_needs_a_reason_and_a_vendor() -> None:
    with pytest.raises(InvalidInput) as refused:
        force(Forced.OPEN, reason=" ")
    assert refused.value.field == "reason"
    with pytest.raises(NotFound):
        force(Forced.OPEN, name="acme")
    assert not VendorIncident.objects.exists()


def test_a_redis_that_was_restarted_empty_still_follows_the_row() -> None:
    force(Forced.OPEN)
    store.redis_client().flushall()
    with pytest.raises(BreakerOpen):
        vendor_guard(vendor_get("yahoo")).call(lambda: "bars")


def test_without_redis_nothing_is_decided_and_the_state_is_unknown(settings, tmp_path) -> None:
    settings.REDIS_URL = f"unix://{tmp_path}/none.sock"
    store.redis_client.cache_clear()
    try:
        with pytest.raises(Unavailable):
            force(Forced.OPEN)
        assert state() == "unknown"
    finally:
        store.redis_client.cache_clear()
    assert Vendor.objects.get(name="yahoo").forced == ""
    assert not VendorIncident.objects.exists()


@pytest.mark.parametrize("bad", [{"rate": 0}, {"rate": float("nan")}, {"burst": 0}, {"forced": "ajar"}], ids=str)
def test_the_database_refuses_a_pace_that_is_none(bad: dict) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Vendor.objects.filter(name="yahoo").update(**bad)


@pytest.mark.parametrize("statement", ["update marketdata_vendorincident set detail = ''", "delete from marketdata_vendorincident"])
def test_incidents_are_only_added(statement: str) -> None:
    force(Forced.OPEN)
    with pytest.raises(DatabaseError, match="rows are facts"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
