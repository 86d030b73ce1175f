import pytest
from django.contrib.auth.models import Group, Permission

from apps.core.models import JournalEntry
from apps.core.roles import PERMISSIONS, Role, roles_synchronise
from apps.core.tests.factories import UserFactory

pytestmark = pytest.mark.django_db


def test_every_role_is_a_group() -> None:
    assert set(Group.objects.values_list("name", flat=True)) >= {role.value for role in Role}
    assert set(PERMISSIONS) == set(Role)


def test_every_permission_of_the_table_exists() -> None:
    existing = {f"{label}.{codename}" for label, codename in Permission.objects.values_list("content_type__app_label", "codename")}
    named = {name for names in PERMISSIONS.values() for name in names if not name.startswith("*") and not name.endswith(".*")}
    assert named - existing == set()


@pytest.mark.parametrize(
    ("role", "may", "may_not"),
    [
        (Role.TRADER, "execution.add_order", "risk.change_risklimit"),
        (Role.QUANT, "strategies.add_backtestrun", "execution.add_order"),
        (Role.RISK, "risk.release_trading", "execution.add_order"),
        (Role.COMPLIANCE, "compliance.add_restriction", "execution.add_order"),
        (Role.OPERATOR, "core.change_jobrun", "portfolios.view_all_portfolios"),
        (Role.AUDITOR, "core.view_journalentry", "compliance.change_restriction"),
    ],
)
def test_a_role_may_do_its_work_and_no_others(role: Role, may: str, may_not: str) -> None:
    user = UserFactory(role=role)
    assert user.has_perm(may)
    assert not user.has_perm(may_not)


def test_the_auditor_can_look_at_everything_and_change_nothing() -> None:
    held = set(Group.objects.get(name="auditor").permissions.values_list("codename", flat=True))
    assert {codename for codename in held if not codename.startswith("view_")} == {"verify_journal"}
    assert held >= set(Permission.objects.filter(codename__startswith="view_").values_list("codename", flat=True))


def test_what_somebody_changed_by_hand_is_set_right_and_the_second_time_nothing_is_written() -> None:
    trader = Group.objects.get(name="trader")
    trader.permissions.add(Permission.objects.get(codename="release_trading"))
    roles_synchronise()
    assert not trader.permissions.filter(codename="release_trading").exists()
    before = JournalEntry.objects.count()
    roles_synchronise()
    assert JournalEntry.objects.count() == before
