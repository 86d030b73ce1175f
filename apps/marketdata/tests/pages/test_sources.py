"""The panels of vendors and live feeds on the page "Data": what they say, who may force a breaker, what they cost."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.core.clock import now
from apps.core.models import User
from apps.core.roles import Role
from apps.marketdata.models import FeedFault, FeedHealth, IncidentKind, Vendor, VendorIncident
from apps.marketdata.selectors.store import redis_client
from apps.marketdata.selectors.vendors import breaker_state
from apps.marketdata.services.vendors import vendors_synchronise
from apps.marketdata.tests.pages.test_quality_pages import client_of

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def vendors() -> None:
    redis_client().flushall()
    vendors_synchronise()


def panel(client: Client, name: str) -> str:
    """The text of one panel, without its tags' line breaks."""
    html = client.get("/data").content.decode()
    return html.split(f'aria-label="{name}"')[1].split("</section>")[0]


def row(client: Client, vendor: str) -> str:
    return panel(client, "Vendors").split(f'<th scope="row">{vendor}</th>')[1].split("</tr>")[0]


def decide(client: Client, decision: str, reason: str = "maintenance", vendor: str = "yahoo") -> str:
    return client.post("/data/vendor", {"vendor": vendor, "decision": decision, "reason": reason}, follow=True).content.decode()


class TestVendors:
    def test_an_operator_forces_and_releases_with_a_reason(self) -> None:
        operator = client_of(Role.OPERATOR)
        assert ">closed</span>" in row(operator, "yahoo")
        assert "30 a minute, 5 at once" in row(operator, "yahoo")
        for decision, word, incident in (
            ("force_open", "forced open", IncidentKind.FORCED_OPEN),
            ("force_close", "forced closed", IncidentKind.FORCED_CLOSED),
            ("release", "closed", IncidentKind.RELEASED),
        ):
            decide(operator, decision)
            shown, newest = row(operator, "yahoo"), VendorIncident.objects.order_by("-pk").first()
            assert f">{word}</span>" in shown
            assert (newest.kind, newest.detail) == (incident, "user:user-operator: maintenance")
            assert shown.count(f"{newest.occurred_at:%Y-%m-%d %H:%M}") >= 2  # since, and the last incident
            assert "maintenance" in shown
        assert Vendor.objects.get(name="yahoo").history.first().history_user.username == "user-operator"

    @pytest.mark.parametrize(
        ("values", "told"), [({"reason": " "}, "say why"), ({"vendor": "acme"}, "no vendor"), ({"decision": "explode"}, "none of force_open")]
    )
    def test_what_makes_no_sense_changes_nothing(self, values: dict[str, str], told: str) -> None:
        assert told in decide(client_of(Role.OPERATOR), **{"decision": "force_open", **values})
        assert not VendorIncident.objects.exists()

    @pytest.mark.parametrize("role", [Role.QUANT, Role.AUDITOR])
    def test_others_look(self, role: Role) -> None:
        client = client_of(role)
        assert "Force open" not in panel(client, "Vendors")
        assert client.post("/data/vendor", {"vendor": "yahoo", "decision": "force_open", "reason": "x"}).status_code == 403
        assert breaker_state(Vendor.objects.get(name="yahoo")) == "closed"

    def test_a_trader_sees_feeds_and_no_vendors(self) -> None:
        html = client_of(Role.TRADER).get("/data").content.decode()
        assert 'aria-label="Vendors"' not in html
        assert "No live feed has run within a day" in html

    def test_a_breaker_that_opened_and_a_vendor_out_of_use(self) -> None:
        at = now() - timedelta(minutes=5)
        redis_client().hset("marketdata:vendor:alpaca:breaker", mapping={"state": "open", "opened_at": repr(at.timestamp())})
        VendorIncident.objects.create(vendor="alpaca", kind=IncidentKind.OPENED, occurred_at=at, recorded_at=at)
        Vendor.objects.filter(name="polygon").update(enabled=False)
        client = client_of(Role.QUANT)
        assert '"tag bad">open</span>' in row(client, "alpaca")
        assert f"{at:%Y-%m-%d %H:%M}" in row(client, "alpaca")
        assert "not enabled" in row(client, "polygon")


class TestFeeds:
    def feed(self, name: str, **changes: object) -> None:
        at = now()
        counters = {"received": 12_345, "coalesced": 678, "spool_ticks": 90, "overflow": 3, "reconnects": 2}
        values = {"provider": "coinbase", "host": "h", "process": 7, "started_at": at, "updated_at": at, "symbols": 4, "counters": counters}
        FeedHealth.objects.create(**{"instance": name, "feed": name, "last_tick_at": at - timedelta(seconds=5), **values, **changes})

    def test_health_and_faults(self) -> None:
        self.feed("live")
        self.feed("us", updated_at=now() - timedelta(minutes=2), last_tick_at=None)
        at = now()
        FeedFault.objects.create(
            feed="live", instance="live", kind="disconnected", from_at=at, to_at=at, count=4, detail="the vendor hung up", recorded_at=at
        )
        shown = panel(client_of(Role.OPERATOR), "Live feeds")
        for text in ("12,345", ">678<", ">90<", "s ago", '"tag good">running', '"tag bad">lost', "No tick has come yet", "the vendor hung up"):
            assert text in shown

    def test_costs_the_same_for_many(self) -> None:
        client = client_of(Role.OPERATOR)
        client.get("/data")
        for count in (1, 20):
            for number in range(count):
                self.feed(f"feed-{count}-{number}")
            with CaptureQueriesContext(
                connection,
            ) as queries:
                client.get("/data")
            assert len(queries) <= 21
        assert User.objects.count() == 1
