import pytest
from django.test import Client
from django.urls import reverse

from apps.core.models import JobRun, JournalEntry, User
from apps.core.roles import Role
from apps.core.tests.factories import UserFactory
from apps.core.tests.journalling import seal_all, write_entries

pytestmark = pytest.mark.django_db(transaction=True)

CHANGELIST = "admin:core_journalentry_changelist"


def client_of(role: Role) -> Client:
    client = Client()
    client.force_login(UserFactory(role=role, is_staff=True))
    return client


def test_an_auditor_reads_the_journal_and_verifies_it() -> None:
    auditor = client_of(Role.AUDITOR)
    write_entries(2)
    seal_all()
    page = auditor.get(reverse(CHANGELIST))
    assert page.status_code == 200
    assert b"Verify now" in page.content
    assert b"sealed entries" in page.content
    answer = auditor.post(reverse("admin:core_journalentry_verify"), follow=True)
    assert b"Clean:" in answer.content


def test_tampering_is_shown(tamper) -> None:
    auditor = client_of(Role.AUDITOR)
    ids = write_entries(2)
    seal_all()
    tamper("update core_journalentry set actor = 'x' where id = %s", ids[0])
    assert b"Broken: altered" in auditor.post(reverse("admin:core_journalentry_verify"), follow=True).content


def test_nobody_writes_the_journal_or_jobs_by_the_admin() -> None:
    admin = Client()
    admin.force_login(User.objects.create_superuser("root", password="x"))
    entry = JournalEntry.objects.first()
    for model in (JournalEntry, JobRun):
        assert admin.get(reverse(f"admin:core_{model._meta.model_name}_add")).status_code == 403
    assert admin.post(reverse("admin:core_journalentry_change", args=[entry.pk]), {"actor": "x"}).status_code == 403
    assert admin.post(reverse("admin:core_journalentry_delete", args=[entry.pk]), {"post": "yes"}).status_code == 403


def test_verifying_needs_the_permission_and_a_post() -> None:
    assert client_of(Role.OPERATOR).post(reverse("admin:core_journalentry_verify")).status_code == 403
    assert client_of(Role.AUDITOR).get(reverse("admin:core_journalentry_verify")).status_code == 405


def test_users_are_listed_with_their_roles() -> None:
    admin = Client()
    admin.force_login(User.objects.create_superuser("root", password="x"))
    UserFactory(username="rita", role=Role.RISK)
    page = admin.get(reverse("admin:core_user_changelist")).content.decode()
    assert "rita" in page
    assert "risk" in page
