from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import DatabaseError, transaction

from apps.alerts.models import Alert, AlertReceipt
from apps.alerts.selectors import open_alert_count, open_alerts
from apps.alerts.services import alert_acknowledge, alerts
from apps.alerts.tests.factories import MOMENT, AlertFactory, UserFactory
from apps.core.errors import InvalidInput, NotFound
from apps.core.streams import current_seq, stream_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def user():
    return UserFactory()


@pytest.fixture
def published(monkeypatch):
    """What goes to the live channels, as it is sent."""
    sent = []
    monkeypatch.setattr(alerts, "publish_many", lambda data: sent.extend(data.items()))
    return sent


class TestRaise:
    def test_each_recipient_has_a_copy(self, user):
        other = UserFactory()
        alert = AlertFactory(recipients=[user.pk, other.pk, user.pk], data={"limit": Decimal("10.50"), "codes": ["A"]})
        assert alert.data == {"limit": "10.50", "codes": ["A"]}
        assert AlertReceipt.objects.count() == 2
        assert [seen.id for seen in open_alerts(user)] == [alert.pk]

    def test_screens_hear_of_it_after_commit(self, user, published, django_capture_on_commit_callbacks):
        with django_capture_on_commit_callbacks(execute=True):
            alert = AlertFactory(recipients=[user.pk])
            assert not published
        [(channel, data)] = published
        assert channel == f"alerts:{user.pk}"
        assert (data["open"], data["alert"].id) == (1, alert.pk)

    def test_the_channel_carries_it(self, user, django_capture_on_commit_callbacks):
        with django_capture_on_commit_callbacks(execute=True):
            AlertFactory(recipients=[user.pk])
        assert current_seq(f"alerts:{user.pk}") == 1

    def test_it_is_stored_without_recipients(self, caplog):
        AlertFactory(recipients=[], title="Nobody listens")
        assert "Nobody listens" in caplog.text
        assert Alert.objects.count() == 1

    @pytest.mark.parametrize(("field", "value"), [("severity", "loud"), ("code", ""), ("title", "")])
    def test_bad_input_names_its_field(self, field, value):
        with pytest.raises(InvalidInput) as caught:
            AlertFactory(**{field: value})
        assert caught.value.field == field
        assert not Alert.objects.exists()

    def test_the_database_keeps_it_as_it_was(self):
        alert = AlertFactory()
        for change in (lambda: Alert.objects.filter(pk=alert.pk).update(title="x"), lambda: Alert.objects.filter(pk=alert.pk).delete()):
            with pytest.raises(DatabaseError), transaction.atomic():
                change()


class TestAcknowledge:
    @pytest.fixture
    def alert(self, user):
        return AlertFactory(recipients=[user.pk])

    def test_it_leaves_the_open_ones(self, user, alert, published, django_capture_on_commit_callbacks):
        with django_capture_on_commit_callbacks(execute=True):
            seen = alert_acknowledge(user=user, alert_id=alert.pk, note="known", at=MOMENT)
        assert (seen.acknowledged_at, seen.note) == (MOMENT, "known")
        assert open_alert_count(user.pk) == 0
        assert published[-1] == (f"alerts:{user.pk}", {"acknowledged_id": alert.pk, "open": 0})

    def test_the_first_one_stands(self, user, alert):
        alert_acknowledge(user=user, alert_id=alert.pk, note="first", at=MOMENT)
        again = alert_acknowledge(user=user, alert_id=alert.pk, note="second", at=MOMENT + timedelta(hours=1))
        assert (again.acknowledged_at, again.note) == (MOMENT, "first")

    def test_others_do_not_find_it(self, alert):
        with pytest.raises(NotFound):
            alert_acknowledge(user=UserFactory(), alert_id=alert.pk, at=MOMENT)

    def test_a_long_note_is_refused(self, user, alert):
        with pytest.raises(InvalidInput) as caught:
            alert_acknowledge(user=user, alert_id=alert.pk, note="x" * 501, at=MOMENT)
        assert caught.value.field == "note"
        assert open_alert_count(user.pk) == 1


class TestStream:
    def test_a_user_subscribes_to_their_own_only(self, user):
        stream, key = stream_of(f"alerts:{user.pk}")
        assert stream.allowed(user, key)
        assert not stream.allowed(UserFactory(), key)
        assert not stream.allowed(user, "")

    def test_the_snapshot_holds_what_is_open(self, user):
        AlertFactory(recipients=[user.pk])
        stream, key = stream_of(f"alerts:{user.pk}")
        snapshot = stream.snapshot(user, key)
        assert snapshot["open"] == len(snapshot["alerts"]) == 1
