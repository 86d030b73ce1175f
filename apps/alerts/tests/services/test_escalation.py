from datetime import datetime, timedelta

import pytest
from django.contrib.auth.models import Group
from django.db import DatabaseError, transaction

from apps.alerts.models import AlertDeliveryItem, AlertEscalation, AlertReceipt, EscalationPolicy
from apps.alerts.selectors import open_alerts
from apps.alerts.services import alert_acknowledge
from apps.alerts.services.escalation import escalations_run
from apps.alerts.services.policies import policy_ensure
from apps.alerts.services.routes import route_create
from apps.alerts.tests.factories import MOMENT, AlertFactory, UserFactory
from apps.core.models import User
from apps.core.roles import Role

pytestmark = pytest.mark.django_db


def minutes(count: float) -> datetime:
    return MOMENT + timedelta(minutes=count)


@pytest.fixture
def trader() -> User:
    return UserFactory()


@pytest.fixture
def officer() -> User:
    user = UserFactory()
    user.groups.add(Group.objects.get(name=Role.RISK.value))
    return user


@pytest.fixture
def head() -> User:
    return UserFactory()


@pytest.fixture
def policy(officer: User, head: User) -> EscalationPolicy:
    """After 5 minutes the risk managers, 10 later the head, whom it tells again every half hour."""
    steps = [(5, Role.RISK), (10, head)]
    return policy_ensure(name="Critical", minimum="critical", steps=steps, repeat_minutes=30, active_from=MOMENT, reason="The desk's rule")


@pytest.fixture
def alert(policy: EscalationPolicy, trader: User):
    return AlertFactory(recipients=[trader.pk], severity="critical")


def told(user: User) -> int:
    return len(open_alerts(user))


def test_nobody_acknowledges_so_the_next_one_is_told_until_somebody_does(alert, trader, officer, head) -> None:
    route_create(user=head, channel="email", target="head@desk.example", at=MOMENT)
    assert escalations_run(at=minutes(4)) == 0
    assert escalations_run(at=minutes(5)) == 1
    assert (told(officer), told(head)) == (1, 0)
    assert escalations_run(at=minutes(6)) == 0
    assert escalations_run(at=minutes(15)) == 1
    assert escalations_run(at=minutes(45)) == 1
    assert told(head) == 1
    assert [item.round for item in AlertDeliveryItem.objects.order_by("id")] == [2, 3]  # each escalation is a message of its own
    alert_acknowledge(user=officer, alert_id=alert.pk, note="mine", at=minutes(46))
    assert escalations_run(at=minutes(80)) == 0
    assert [(one.number, one.told, one.people) for one in AlertEscalation.objects.order_by("number")] == [
        (1, "risk", [officer.pk]),
        (2, head.username, [head.pk]),
        (3, head.username, [head.pk]),
    ]


def test_after_a_long_pause_of_the_desk_one_step_is_taken_and_not_all(alert, officer, head) -> None:
    assert escalations_run(at=minutes(300)) == 1
    assert escalations_run(at=minutes(300)) == 0
    assert (told(officer), told(head)) == (1, 0)


@pytest.mark.parametrize(
    "given", [{"severity": "warning"}, {"severity": "critical", "recorded_at": minutes(-1)}, {"severity": "critical", "recorded_at": minutes(6)}]
)
def test_what_is_not_for_this_policy_stays_where_it_is(policy, trader, given) -> None:
    AlertFactory(recipients=[trader.pk], **given)
    assert escalations_run(at=minutes(10)) == 0


def test_a_policy_that_has_ended_tells_nobody(policy, alert) -> None:
    policy.active_to = minutes(5)
    policy.save()
    assert escalations_run(at=minutes(5)) == 0


def test_an_alert_without_recipients_is_for_somebody_in_the_end(policy, officer) -> None:
    AlertFactory(recipients=[], severity="critical")
    assert escalations_run(at=minutes(5)) == 1
    assert told(officer) == 1


def test_a_step_without_people_is_recorded_and_the_next_one_comes(alert, officer, head, caplog) -> None:
    officer.is_active = False
    officer.save()
    assert escalations_run(at=minutes(5)) == 1
    assert "has nobody" in caplog.text
    assert escalations_run(at=minutes(15)) == 1
    assert told(head) == 1


def test_who_had_it_is_told_again_by_their_route_and_keeps_one_copy(policy, officer) -> None:
    route_create(user=officer, channel="email", target="risk@desk.example", at=MOMENT)
    AlertFactory(recipients=[officer.pk], severity="critical")
    escalations_run(at=minutes(5))
    assert AlertReceipt.objects.count() == 1
    assert [item.round for item in AlertDeliveryItem.objects.order_by("id")] == [0, 1]


def test_what_was_done_is_a_fact(alert) -> None:
    escalations_run(at=minutes(5))
    with pytest.raises(DatabaseError), transaction.atomic():
        AlertEscalation.objects.all().delete()
    assert AlertEscalation.objects.exists()
