"""The restricted list over REST, and in the admin: for those who may see it."""

from datetime import timedelta

import pytest
import time_machine
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from apps.compliance.models import Restriction
from apps.compliance.tests.factories import NOW, RestrictionFactory
from apps.core.roles import Role
from apps.portfolios.tests.factories import UserFactory

pytestmark = pytest.mark.django_db


def person(role: Role):
    user = UserFactory(is_staff=True)
    user.groups.add(Group.objects.get(name=role.value))
    return user


def get(role: Role, path: str):
    client = APIClient()
    client.force_authenticate(person(role))
    with time_machine.travel(NOW, tick=False):
        return client.get(f"/api/v1/{path}")


def test_officers_see_what_is_in_force_and_traders_do_not() -> None:
    entry = RestrictionFactory()
    RestrictionFactory(active_to=NOW - timedelta(hours=1))
    answer = get(Role.COMPLIANCE, "restrictions/")
    assert [(row["id"], row["symbol"], row["level"]) for row in answer.json()["results"]] == [(entry.pk, entry.instrument.symbol, "restricted")]
    assert get(Role.TRADER, "restrictions/").status_code == 403
    assert get(Role.COMPLIANCE, "restrictions/?lvl=watch").status_code == 400


def test_the_admin_asks_a_reason_for_each_change_and_keeps_it() -> None:
    entry, client = RestrictionFactory(), Client()
    client.force_login(person(Role.COMPLIANCE))
    form = {"level": "watch", "active_from_0": "2026-11-19", "active_from_1": "15:00:00", "active_to_0": "", "active_to_1": ""}
    path = reverse("admin:compliance_restriction_change", args=[entry.pk])
    assert client.post(path, form | {"reason": ""}).status_code == 200
    assert Restriction.objects.get().level == "restricted"
    assert client.post(path, form | {"reason": "Published"}).status_code == 302
    assert (Restriction.objects.get().level, entry.history.first().history_change_reason) == ("watch", "Published")
    assert client.get(reverse("admin:compliance_restriction_delete", args=[entry.pk])).status_code == 403
