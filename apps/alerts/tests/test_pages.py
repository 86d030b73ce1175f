"""The alert inbox."""

import pytest
from django.test import Client

from apps.alerts.models import AlertReceipt
from apps.alerts.services import alert_raise
from apps.core.clock import now
from apps.core.models import User


@pytest.fixture
def user(db: None) -> User:
    return User.objects.create_user(username="trader")


@pytest.fixture
def client(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def send(user: User, title: str = "Drawdown passes its limit"):
    at = now()
    return alert_raise(code="RISK_LIMIT_BREACH", severity="critical", title=title, recipients=[user.pk], occurred_at=at, recorded_at=at)


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
