"""Limits in the admin: read by who may, edited by nobody."""

import pytest
from django.test import Client
from django.urls import reverse

from apps.core.roles import Role
from apps.risk.models import LimitChange, RiskLimit
from apps.risk.tests.factories import RiskLimitFactory, person

pytestmark = pytest.mark.django_db


@pytest.fixture
def limit() -> RiskLimit:
    return RiskLimitFactory()


def client_of(role: Role) -> Client:
    client = Client()
    client.force_login(person(role, is_staff=True))
    return client


@pytest.mark.parametrize("role", [Role.RISK, Role.TRADER, Role.AUDITOR])
def test_nobody_edits_a_limit_by_hand(limit, role) -> None:
    client = client_of(role)
    form = {"hard": "40000", "reason": "Less risk"}
    assert client.post(reverse("admin:risk_risklimit_change", args=[limit.pk]), form).status_code == 403
    limit.refresh_from_db()
    assert limit.hard == 50_000


@pytest.mark.parametrize("model", ["risklimit", "desklimit", "limitchange", "tradingstatechange", "releaserequest", "limitevent"])
def test_the_auditor_reads_everything_and_adds_nothing(limit, model) -> None:
    client = client_of(Role.AUDITOR)
    assert client.get(reverse(f"admin:risk_{model}_changelist")).status_code == 200
    assert client.get(reverse(f"admin:risk_{model}_add")).status_code == 403


REQUEST = {
    "portfolio": "", "kind": "position_value", "book": "", "instrument": "", "sector": "", "soft": "", "hard": "40000", "action": "warn",
    "active_from_0": "", "active_from_1": "", "active_to_0": "", "active_to_1": "", "reason": "Less risk",
}  # fmt: skip


def ask(client: Client, limit: RiskLimit, **fields: str):
    return client.post(reverse("admin:risk_limitchange_add"), REQUEST | {"portfolio": str(limit.portfolio_id)} | fields)


def decide(client: Client, change: LimitChange, button: str, note: str = "") -> LimitChange:
    client.post(reverse("admin:risk_limitchange_change", args=[change.pk]), {button: "1", "decision_note": note})
    change.refresh_from_db()
    return change


def test_one_officer_asks_sees_no_button_and_another_approves(limit) -> None:
    first, second = client_of(Role.RISK), client_of(Role.COMPLIANCE)
    assert ask(first, limit).status_code == 302
    change = LimitChange.objects.get(portfolio_id=limit.portfolio_id, state="pending")
    pages = [client.get(reverse("admin:risk_limitchange_change", args=[change.pk])).content.decode() for client in (first, second)]
    assert ["Of 0 decisions of risk that it concerns" in page for page in pages] == [True, True]
    assert ["_approve" in page for page in pages] == [False, True]
    assert all(str(change.requested_by) in page for page in pages)
    assert decide(first, change, "_approve").state == "pending"
    assert decide(second, change, "_reject").state == "pending"  # it has no note
    assert decide(second, change, "_approve").state == "approved"
    limit.refresh_from_db()
    assert (limit.hard, limit.ended_by) == (50_000, change)
    assert RiskLimit.objects.get(portfolio_id=limit.portfolio_id, active_to=None).hard == 40_000


def test_what_the_service_refuses_is_said_beside_the_field(limit) -> None:
    answer = ask(client_of(Role.RISK), limit, soft="50000")
    assert answer.status_code == 200
    assert "the soft level" in str(answer.context["adminform"].form.errors["soft"])
    assert ask(client_of(Role.AUDITOR), limit).status_code == 403
    assert not LimitChange.objects.filter(portfolio_id=limit.portfolio_id, state="pending").exists()


def test_a_request_is_withdrawn_by_who_made_it(limit) -> None:
    first = client_of(Role.RISK)
    ask(first, limit)
    change = LimitChange.objects.get(portfolio_id=limit.portfolio_id, state="pending")
    assert decide(client_of(Role.RISK), change, "_withdraw").state == "pending"
    assert decide(first, change, "_withdraw").state == "withdrawn"
