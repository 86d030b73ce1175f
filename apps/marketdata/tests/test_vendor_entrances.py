"""Vendors as people meet them: manage.py vendors, REST, the admin."""

import json
from datetime import UTC, datetime

import pytest
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from apps.core.roles import Role
from apps.core.tests.factories import UserFactory
from apps.marketdata.models import Subscription, SubscriptionRun, Vendor, VendorIncident
from apps.marketdata.selectors.vendors import breaker_state
from apps.marketdata.services.vendors import vendors_synchronise
from apps.marketdata.tests.factories import InstrumentFactory
from apps.marketdata.tests.test_commands import run

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def vendors() -> None:
    vendors_synchronise()


def state(name: str) -> str:
    return breaker_state(Vendor.objects.get(name=name))


class TestCommand:
    def test_lists_vendors_in_the_order_of_auto(self, capsys) -> None:
        code, out, _ = run(capsys, "vendors", "--json")
        assert code == 0
        assert [(item["name"], item["breaker"]) for item in json.loads(out)["vendors"]][:2] == [("polygon", "closed"), ("alpaca", "closed")]
        assert "polygon      closed, 0.0667 requests/s" in run(capsys, "vendors")[1]

    def test_forces_and_releases(self, capsys) -> None:
        for option, expected in (("--force-open", "forced_open"), ("--force-close", "forced_closed"), ("--release", "closed")):
            code, out, _ = run(capsys, "vendors", option, "yahoo", "--reason", "drill", "--json")
            assert code == 0
            assert next(item["breaker"] for item in json.loads(out)["vendors"] if item["name"] == "yahoo") == expected == state("yahoo")
        assert set(VendorIncident.objects.values_list("detail", flat=True)) == {"command:vendors: drill"}

    @pytest.mark.parametrize(("words", "field"), [(["--force-open", "acme", "--reason", "x"], "provider"), (["--release", "yahoo"], "reason")])
    def test_bad_options_are_usage(self, capsys, words, field) -> None:
        code, out, _ = run(capsys, "vendors", *words, "--json")
        assert (code, json.loads(out)["error"]["field"]) == (2, field)


class TestRest:
    def test_shows_breakers_to_operators_and_quants(self, capsys) -> None:
        run(capsys, "vendors", "--force-open", "yahoo", "--reason", "drill")
        for role in (Role.OPERATOR, Role.QUANT):
            client = APIClient()
            client.force_authenticate(UserFactory(role=role))
            found = {row["name"]: row for row in client.get("/api/v1/data/vendors/").json()}
            assert (found["yahoo"]["breaker"], found["yahoo"]["reason"]) == ("forced_open", "drill")
            assert found["yahoo"]["last_incident"] == "breaker forced open"
        assert client.get("/api/v1/data/vendors/?name=yahoo").status_code == 400

    def test_others_do_not_see_them(self) -> None:
        client = APIClient()
        assert client.get("/api/v1/data/vendors/").status_code == 401
        client.force_authenticate(UserFactory(role=Role.TRADER))
        assert client.get("/api/v1/data/vendors/").status_code == 403


class TestAdmin:
    def client(self, role: Role) -> Client:
        client = Client()
        client.force_login(UserFactory(role=role, is_staff=True))
        return client

    def act(self, client: Client, action: str, reason: str):
        chosen = {"action": action, "_selected_action": [Vendor.objects.get(name="yahoo").pk], "reason": reason}
        return client.post(reverse("admin:marketdata_vendor_changelist"), chosen, follow=True)

    def test_an_operator_forces_with_a_reason(self) -> None:
        client = self.client(Role.OPERATOR)
        assert "say why" in self.act(client, "force_open", "").content.decode()
        assert state("yahoo") == "closed"
        assert "forced open" in self.act(client, "force_open", "maintenance").content.decode()
        assert state("yahoo") == "forced_open"
        self.act(client, "release", "done")
        assert state("yahoo") == "closed"
        assert client.get(reverse("admin:marketdata_vendorincident_changelist")).status_code == 200

    def test_an_auditor_looks_and_cannot(self) -> None:
        client = self.client(Role.AUDITOR)
        assert "forced" not in client.get(reverse("admin:marketdata_vendor_changelist")).content.decode().lower()
        self.act(client, "force_open", "maintenance")
        assert state("yahoo") == "closed"
        assert not VendorIncident.objects.exists()

    def test_a_changed_pace_keeps_its_history(self) -> None:
        vendor = Vendor.objects.get(name="yahoo")
        values = {"rate": "0.25", "burst": "2", "priority": "30", "enabled": "on", "reason": "they asked us to"}
        answer = self.client(Role.OPERATOR).post(reverse("admin:marketdata_vendor_change", args=[vendor.pk]), values)
        assert answer.status_code == 302
        assert (vendor.history.first().rate, vendor.history.first().history_change_reason) == (0.25, "they asked us to")


class TestSubscriptionsInTheAdmin:
    VALUES = {
        "name": "daily", "provider": "auto", "symbols": "AAA, BBB", "timeframe": "1440", "lookback_days": "30",
        "schedule": "after_close", "minutes": "45", "calendar": "XNYS", "enabled": "on", "reason": "closes for the desk",
    }  # fmt: skip

    @pytest.fixture
    def client(self) -> Client:
        InstrumentFactory(symbol="AAA")
        InstrumentFactory(symbol="BBB")
        client = Client()
        client.force_login(UserFactory(role=Role.OPERATOR, is_staff=True))
        return client

    def add(self, client: Client, **changes: str):
        return client.post(reverse("admin:marketdata_subscription_add"), {**self.VALUES, **changes})

    def test_an_operator_makes_one_and_sees_how_it_goes(self, client) -> None:
        assert self.add(client).status_code == 302
        item = Subscription.objects.get()
        assert (item.symbols, item.history.get().history_change_reason) == (["AAA", "BBB"], "closes for the desk")
        page = client.get(reverse("admin:marketdata_subscription_changelist")).content.decode()
        assert "never" in page
        moment = datetime(2026, 2, 6, 21, 45, tzinfo=UTC)
        SubscriptionRun.objects.create(
            subscription=item, slot=moment, started_at=moment, finished_at=moment, outcome="partial", inserted=7, revised=1, failed=["BBB"]
        )
        page = client.get(reverse("admin:marketdata_subscription_changelist")).content.decode()
        assert "partial for 2026-02-06 21:45: 7 new, 1 revised" in page
        assert client.get(reverse("admin:marketdata_subscriptionrun_changelist")).status_code == 200

    @pytest.mark.parametrize(
        ("field", "value"), [("provider", "acme"), ("symbols", "AAA,ZZZ"), ("calendar", "NOPE"), ("minutes", "0"), ("reason", "")]
    )
    def test_what_the_desk_does_not_know_is_refused_at_once(self, client, field: str, value: str) -> None:
        answer = self.add(client, **{field: value})
        assert answer.status_code == 200
        assert answer.context["adminform"].form.errors
        assert not Subscription.objects.exists()


class TestRunFeed:
    def refused(self, capsys, provider: str) -> tuple[int, dict]:
        code, out, _ = run(capsys, "run_feed", "--provider", provider, "--symbols", "AAA", "--json")
        return code, json.loads(out)["error"]

    def test_a_disabled_vendor_is_refused(self, capsys) -> None:
        Vendor.objects.filter(name="coinbase").update(enabled=False)
        code, error = self.refused(capsys, "coinbase")
        assert (code, error["field"]) == (4, "provider")
        assert "not enabled" in error["detail"]

    def test_a_feed_has_one_vendor(self, capsys) -> None:
        assert [self.refused(capsys, name)[0] for name in ("auto", "acme")] == [2, 2]
