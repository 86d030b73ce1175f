"""Changing the restricted list: by officers, with a reason, and nothing is forgotten."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.db import DatabaseError, connection, transaction

from apps.compliance.services.restrictions import restriction_add, restriction_end
from apps.compliance.tests.factories import NOW
from apps.core.errors import Conflict, InvalidInput, NotFound, NotPermitted
from apps.core.models import JournalEntry
from apps.core.roles import Role
from apps.portfolios.tests.factories import InstrumentFactory, UserFactory

pytestmark = pytest.mark.django_db


def person(role: Role):
    user = UserFactory()
    user.groups.add(Group.objects.get(name=role.value))
    return user


@pytest.fixture
def given():
    return {
        "instrument_id": InstrumentFactory().pk,
        "level": "restricted",
        "reason": "Inside information",
        "user": person(Role.COMPLIANCE),
        "active_from": NOW,
    }


def test_an_entry_is_added_and_ended_with_who_and_why(given) -> None:
    entry = restriction_add(**given)
    restriction_end(restriction_id=entry.pk, reason="Published", user=given["user"], at=NOW + timedelta(days=1))
    newest, first = entry.history.all()
    assert (first.history_user, first.history_change_reason) == (given["user"], "Inside information")
    assert (newest.history_user, newest.history_change_reason) == (given["user"], "Published")
    assert JournalEntry.objects.filter(table_name="compliance_restriction", row_id=str(entry.pk)).count() == 2
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("delete from compliance_historicalrestriction")


@pytest.mark.parametrize(
    ("changes", "error", "field"),
    [
        ({"level": "maybe"}, InvalidInput, "level"),
        ({"reason": ""}, InvalidInput, "reason"),
        ({"active_to": NOW}, InvalidInput, "active_to"),
        ({}, Conflict, "instrument"),
    ],
)
def test_bad_input_is_named(given, changes, error, field) -> None:
    restriction_add(**given)
    with pytest.raises(error) as caught:
        restriction_add(**(given | changes))
    assert caught.value.field == field


def test_only_officers_change_the_list(given) -> None:
    with pytest.raises(NotPermitted):
        restriction_add(**(given | {"user": person(Role.TRADER)}))
    entry = restriction_add(**given)
    with pytest.raises(NotPermitted):
        restriction_end(restriction_id=entry.pk, reason="x", user=person(Role.RISK), at=NOW + timedelta(days=1))
    with pytest.raises(NotFound):
        restriction_end(restriction_id=0, reason="x", user=given["user"], at=NOW)


def test_an_ended_entry_is_not_ended_again(given) -> None:
    entry = restriction_add(**given)
    restriction_end(restriction_id=entry.pk, reason="x", user=given["user"], at=NOW + timedelta(days=1))
    with pytest.raises(Conflict):
        restriction_end(restriction_id=entry.pk, reason="x", user=given["user"], at=NOW + timedelta(days=2))
