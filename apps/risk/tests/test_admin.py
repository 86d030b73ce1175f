"""Limits in the admin: by the risk manager, with a reason each time, and a history that stays."""

from decimal import Decimal

import pytest
from django.test import Client
from django.urls import reverse

from apps.core.roles import Role
from apps.risk.models import RiskLimit
from apps.risk.tests.factories import RiskLimitFactory, person

pytestmark = pytest.mark.django_db


@pytest.fixture
def limit() -> RiskLimit:
    return RiskLimitFactory()


def client_of(role: Role) -> Client:
    client = Client()
    client.force_login(person(role, is_staff=True))
    return client


def change(client: Client, limit: RiskLimit, **fields):
    form = {"soft": "", "hard": "40000", "active_from_0": "2026-10-21", "active_from_1": "15:00:00", "active_to_0": "", "active_to_1": ""}
    return client.post(reverse("admin:risk_risklimit_change", args=[limit.pk]), form | fields)


def test_a_change_with_a_reason_is_kept_in_the_history(limit) -> None:
    client = client_of(Role.RISK)
    assert change(client, limit, reason="Less risk").status_code == 302
    limit.refresh_from_db()
    newest = limit.history.first()
    assert (limit.hard, newest.history_change_reason, newest.history_user.username[:4]) == (Decimal(40_000), "Less risk", "risk")
    assert b"Less risk" in client.get(reverse("admin:risk_risklimit_history", args=[limit.pk])).content


def test_without_a_reason_nothing_changes(limit) -> None:
    assert change(client_of(Role.RISK), limit, reason="").status_code == 200
    limit.refresh_from_db()
    assert limit.hard == 50_000


@pytest.mark.parametrize("role", [Role.TRADER, Role.AUDITOR])
def test_others_do_not_change_limits(limit, role) -> None:
    assert change(client_of(role), limit, reason="More risk").status_code == 403
    limit.refresh_from_db()
    assert limit.hard == 50_000


@pytest.mark.parametrize("model", ["risklimit", "tradingstatechange", "releaserequest", "limitevent"])
def test_the_auditor_reads_everything_and_adds_nothing(limit, model) -> None:
    client = client_of(Role.AUDITOR)
    assert client.get(reverse(f"admin:risk_{model}_changelist")).status_code == 200
    assert client.get(reverse(f"admin:risk_{model}_add")).status_code == 403
