"""The alert inbox."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.alerts.models import Alert, AlertDelivery, AlertReceipt, AlertRoute, EscalationPolicy
from apps.alerts.selectors.routes import routes_of
from apps.alerts.services import alert_raise
from apps.alerts.services.delivery import delivery_attempt
from apps.alerts.services.escalation import escalations_run
from apps.alerts.services.policies import policy_ensure
from apps.alerts.services.routes import route_create
from apps.alerts.services.webhooks import webhook_secret
from apps.core.clock import now
from apps.core.models import User
from apps.core.roles import Role


@pytest.fixture
def user(db: None) -> User:
    return User.objects.create_user(username="trader")


@pytest.fixture
def client(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def send(user: User, title: str = "Drawdown passes its limit", **given: str) -> Alert:
    at = now()
    return alert_raise(code="RISK_LIMIT_BREACH", severity="critical", title=title, recipients=[user.pk], occurred_at=at, recorded_at=at, **given)


def test_empty_inbox_says_what_would_be_here(client: Client) -> None:
    assert "No open alerts" in client.get("/alerts").content.decode()


def test_acknowledging_with_a_note_closes_the_alert_and_keeps_it(client: Client, user: User) -> None:
    alert = send(user)
    assert "Drawdown passes its limit" in client.get("/alerts").content.decode()
    client.post(f"/alerts/{alert.pk}/acknowledge", {"note": " looked into it "})
    assert AlertReceipt.objects.get().note == "looked into it"
    assert "No open alerts" in client.get("/alerts").content.decode()
    assert "looked into it" in client.get("/alerts?tab=all").content.decode()


def test_alerts_of_others_are_neither_seen_nor_closed(client: Client) -> None:
    alert = send(User.objects.create_user(username="other"), title="not for you")
    assert "not for you" not in client.get("/alerts?tab=all").content.decode()
    html = client.post(f"/alerts/{alert.pk}/acknowledge", follow=True).content.decode()
    assert f"Alert {alert.pk} was not acknowledged" in html
    assert AlertReceipt.objects.get().acknowledged_at is None


def test_a_title_cannot_bring_markup_in(client: Client, user: User) -> None:
    send(user, title="<script>alert(1)</script>")
    assert "<script>alert(1)" not in client.get("/alerts").content.decode()


def route(user: User, **given: str) -> AlertRoute:
    return route_create(user=user, channel="email", target="me@desk.example", at=now(), **given)


class TestCentre:
    def test_filters_narrow_what_is_shown_and_say_when_nothing_fits(self, client: Client, user: User) -> None:
        send(user, title="Drawdown", subject="portfolio:3")
        send(user, title="Broker away")
        for query, shown, hidden in (
            ("q=draw", "Drawdown", "Broker away"),
            ("portfolio=3", "Drawdown", "Broker away"),
            ("q=away", "Broker away", "Drawdown"),
        ):
            html = client.get(f"/alerts?{query}").content.decode()
            assert shown in html
            assert hidden not in html
        for query in ("severity=info", "portfolio=x", "portfolio=99"):
            assert "No alert fits" in client.get(f"/alerts?{query}").content.decode()

    def test_it_says_how_often_to_whom_and_what_became_of_the_delivery(self, client: Client, user: User) -> None:
        route(user)
        for _ in range(2):
            alert = send(user, key="drawdown")
        delivery_attempt(delivery_id=AlertDelivery.objects.get().pk, clock=now)  # this desk has no mail server
        policy = policy_ensure(name="p", minimum="info", steps=[(1, Role.RISK)], repeat_minutes=None, active_from=alert.recorded_at, reason="r")
        escalations_run(at=alert.recorded_at + timedelta(minutes=1))
        html = client.get("/alerts").content.decode()
        assert policy.steps.count() == 1
        for words in ("2 times", "Escalated to risk, who are nobody", ">dead</span>"):
            assert words in html

    def test_one_alert_more_costs_no_query_more(self, client: Client, user: User, django_assert_num_queries) -> None:
        route(user)
        send(user)
        with CaptureQueriesContext(connection) as first:
            client.get("/alerts")
        send(user)
        with django_assert_num_queries(len(first)):
            client.get("/alerts")


WISHES = {
    "minimum": "warning",
    "kinds": "risk_, TRADING_",
    "quiet_from": "22:00",
    "quiet_to": "07:00",
    "time_zone": "America/New_York",
    "digest_minutes": "30",
}


class TestDelivery:
    def test_a_route_is_added_changed_tried_and_removed(self, client: Client) -> None:
        client.post(
            "/alerts/delivery", {"action": "create", "channel": "webhook", "target": "https://hooks.example.org/d", "portfolios": ["3"], **WISHES}
        )
        made = AlertRoute.objects.get()
        assert (made.kinds, made.portfolios, str(made.quiet_from), made.digest_minutes) == (["RISK_", "TRADING_"], [3], "22:00:00", 30)
        html = client.get("/alerts/delivery").content.decode()
        assert webhook_secret(made) in html
        assert "a digest of 30 minutes" in html
        client.post("/alerts/delivery", {"action": "change", "route": made.pk, "target": made.target, **WISHES, "digest_minutes": "0"})
        made.refresh_from_db()
        assert (made.digest_minutes, made.portfolios) == (0, [])
        client.post("/alerts/delivery", {"action": "secret", "route": made.pk})
        client.post("/alerts/delivery", {"action": "test", "route": made.pk})
        assert "Trial of alerts by webhook" in client.get("/alerts/delivery").content.decode()
        client.post("/alerts/delivery", {"action": "remove", "route": made.pk})
        assert not routes_of(made.user).exists()

    @pytest.mark.parametrize(
        ("changed", "said"),
        [
            ({"target": "http://hooks.example.org/"}, "a webhook uses https"),
            ({"quiet_from": "25:00"}, "&#x27;25:00&#x27; is no time of day"),
            ({"digest_minutes": "soon"}, "is no whole number"),
            ({"time_zone": "Mars"}, "is no time zone"),
            ({"action": "explode"}, "create, change, remove, secret or test"),
        ],
    )
    def test_bad_input_is_told_and_makes_nothing(self, client: Client, changed: dict[str, str], said: str) -> None:
        given = {"action": "create", "channel": "webhook", "target": "https://hooks.example.org/d", **WISHES, **changed}
        assert said in client.post("/alerts/delivery", given, follow=True).content.decode()
        assert not AlertRoute.objects.exists()

    def test_a_dead_delivery_is_shown_with_its_attempts_and_tried_again(self, client: Client, user: User) -> None:
        route(user)
        send(user)
        delivery = AlertDelivery.objects.get()
        delivery_attempt(delivery_id=delivery.pk, clock=now)
        html = client.get("/alerts/delivery?state=dead").content.decode()
        assert "this desk has no mail server (EMAIL_URL)" in html
        assert "Nothing was sent yet" not in html
        assert "No delivery is sent" in client.get("/alerts/delivery?state=sent").content.decode()
        client.post(f"/alerts/deliveries/{delivery.pk}/retry")
        delivery.refresh_from_db()
        assert delivery.state == "waiting"
        assert "is not tried again" in client.post(f"/alerts/deliveries/{delivery.pk}/retry", follow=True).content.decode()


class TestAdmin:
    @pytest.fixture
    def officer(self, db: None) -> Client:
        user = User.objects.create_user(username="officer", is_staff=True)
        user.groups.add(Group.objects.get(name=Role.RISK.value))
        client = Client()
        client.force_login(user)
        return client

    FORM = {
        "name": "Critical",
        "minimum": "critical",
        "kinds": "risk_",
        "portfolios": "",
        "repeat_minutes": "30",
        "reason": "as agreed",
        "active_from_0": "2024-01-02",
        "active_from_1": "00:00",
        "active_to_0": "",
        "active_to_1": "",
        "steps-TOTAL_FORMS": "1",
        "steps-INITIAL_FORMS": "0",
        "steps-0-position": "1",
        "steps-0-after_minutes": "5",
        "steps-0-role": "risk",
    }

    def test_an_officer_keeps_the_ladders_with_a_history(self, officer: Client) -> None:
        officer.post("/admin/alerts/escalationpolicy/add/", self.FORM)
        policy = EscalationPolicy.objects.get()
        assert (policy.kinds, policy.steps.get().role) == (["RISK_"], "risk")
        assert policy.history.get().history_change_reason == "as agreed"
        assert "as agreed" in officer.get(f"/admin/alerts/escalationpolicy/{policy.pk}/history/").content.decode()

    @pytest.mark.parametrize(
        "changed",
        [{"kinds": "risk-"}, {"steps-0-role": ""}, {"steps-TOTAL_FORMS": "0"}, {"reason": ""}, {"active_to_0": "2024-01-01", "active_to_1": "00:00"}],
    )
    def test_a_ladder_that_makes_no_sense_is_refused(self, officer: Client, changed: dict[str, str]) -> None:
        assert officer.post("/admin/alerts/escalationpolicy/add/", self.FORM | changed).status_code == 200
        assert not EscalationPolicy.objects.exists()

    def test_routes_and_deliveries_are_shown_and_not_changed(self, user: User) -> None:
        made = route(user)
        send(user)
        admin = Client()
        admin.force_login(User.objects.create_superuser(username="admin"))
        assert "me@desk.example" in admin.get("/admin/alerts/alertroute/").content.decode()
        assert admin.get(f"/admin/alerts/alertroute/{made.pk}/history/").status_code == 200
        assert admin.get(f"/admin/alerts/alertdelivery/{AlertDelivery.objects.get().pk}/change/").status_code == 200
        assert admin.post(f"/admin/alerts/alertroute/{made.pk}/change/", {"target": "other@desk.example"}).status_code == 403
