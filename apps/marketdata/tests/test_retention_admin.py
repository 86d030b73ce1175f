"""Retention policies in the admin: operators set days with a reason, others look or see nothing."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse

from apps.core.roles import Role
from apps.core.tests.factories import UserFactory
from apps.marketdata.models import RetentionPolicy
from apps.marketdata.services.archives import retention_run

pytestmark = pytest.mark.django_db

AT = datetime(2026, 2, 6, 3, tzinfo=UTC)
LIST = reverse("admin:marketdata_retentionpolicy_changelist")


def client_of(role: Role) -> Client:
    client = Client()
    client.force_login(UserFactory(role=role, is_staff=True))
    return client


@pytest.fixture
def policy() -> RetentionPolicy:
    return RetentionPolicy.objects.get_or_create(table="bars")[0]


def change(client: Client, policy: RetentionPolicy, **values: str):
    return client.post(reverse("admin:marketdata_retentionpolicy_change", args=[policy.pk]), values)


def test_an_operator_sets_days_and_the_nightly_archive_follows(policy, tmp_path: Path) -> None:
    operator = client_of(Role.OPERATOR)
    assert "for ever" in operator.get(LIST).content.decode()
    assert change(operator, policy, keep_days="400", reason="the disk is full").status_code == 302
    assert "400 days" in operator.get(LIST).content.decode()
    newest = policy.history.first()
    assert (newest.keep_days, newest.history_change_reason, newest.history_user.groups.get().name) == (400, "the disk is full", "operator")
    assert "bars" in retention_run(folder=tmp_path, at=AT)
    assert change(operator, policy, keep_days="", reason="a new disk").status_code == 302
    assert "bars" not in retention_run(folder=tmp_path, at=AT)
    assert "the disk is full" in operator.get(reverse("admin:marketdata_retentionpolicy_history", args=[policy.pk])).content.decode()


@pytest.mark.parametrize("values", [{"keep_days": "400"}, {"keep_days": "0", "reason": "x"}, {"keep_days": "-1", "reason": "x"}])
def test_no_reason_and_no_days_are_refused(policy, values: dict[str, str]) -> None:
    answer = change(client_of(Role.OPERATOR), policy, **values)
    assert answer.status_code == 200
    assert answer.context["adminform"].form.errors
    policy.refresh_from_db()
    assert policy.keep_days is None


@pytest.mark.parametrize(("role", "sees"), [(Role.AUDITOR, 200), (Role.RISK, 403)])
def test_others_do_not_change_them(policy, role: Role, sees: int) -> None:
    client = client_of(role)
    assert client.get(LIST).status_code == sees
    assert change(client, policy, keep_days="1", reason="x").status_code == 403
    policy.refresh_from_db()
    assert policy.keep_days is None


def test_nobody_adds_or_deletes_one(policy) -> None:
    operator = client_of(Role.OPERATOR)
    assert operator.get(reverse("admin:marketdata_retentionpolicy_add")).status_code == 403
    assert operator.get(reverse("admin:marketdata_retentionpolicy_delete", args=[policy.pk])).status_code == 403
