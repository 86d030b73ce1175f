"""From the outbox to a real mail server and a real web server on loopback."""

import hashlib
import hmac
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, time, timedelta
from email import message_from_string

import pytest
from celery import current_app
from django.db import DatabaseError, connection, transaction

from apps.alerts.domain.answers import MOST_ATTEMPTS, Answer, Outcome
from apps.alerts.models import Alert, AlertDelivery, AlertDeliveryAttempt, AlertDeliveryItem, AlertRepeat, AlertRoute, DeliveryState
from apps.alerts.selectors import open_alerts
from apps.alerts.services import alert_acknowledge
from apps.alerts.services.delivery import (
    CLAIMED_FOR,
    claimed_message,
    deliveries_enqueue,
    delivery_attempt,
    delivery_claim,
    delivery_mark,
    delivery_retry,
)
from apps.alerts.services.routes import route_create, route_end, route_secret_renew, route_test
from apps.alerts.services.webhooks import webhook_secret, webhook_send
from apps.alerts.tests.factories import MOMENT, AlertFactory, UserFactory
from apps.alerts.tests.receivers import Hook, certificate, hook, mail_server
from apps.core.clock import now
from apps.core.errors import Conflict, NotFound
from apps.core.models import User

pytestmark = pytest.mark.django_db
LATER = MOMENT + timedelta(hours=2)


def at(moment: datetime) -> Callable[[], datetime]:
    return lambda: moment


def raised(user: User, **given) -> AlertDelivery:
    """The delivery of a new alert."""
    alert = AlertFactory(recipients=[user.pk], **given)
    return AlertDeliveryItem.objects.get(alert=alert).delivery


class TestWebhook:
    def test_it_arrives_signed_with_the_alert_in_it(self, user, webhook, web) -> None:
        delivery = raised(user, subject="portfolio:3", data={"used": "0.06"}, title="Größer als die Grenze")
        assert delivery_attempt(delivery_id=delivery.pk, clock=at(MOMENT)) == DeliveryState.SENT
        [(path, headers, body)] = web.requests
        assert path == "/desk?team=risk"
        assert headers["Idempotency-Key"] == str(delivery.key)
        assert headers["Desk-Timestamp"] == str(int(MOMENT.timestamp()))
        signed = f"{headers['Desk-Timestamp']}.{delivery.key}.".encode() + body
        assert headers["Desk-Signature"] == "v1=" + hmac.new(webhook_secret(webhook).encode(), signed, hashlib.sha256).hexdigest()
        [alert] = json.loads(body)["alerts"]
        assert (alert["title"], alert["portfolio"], alert["data"]) == ("Größer als die Grenze", 3, {"used": "0.06"})
        [attempt] = AlertDeliveryAttempt.objects.all()
        assert (attempt.outcome, attempt.status, attempt.number) == ("sent", 200, 1)

    def test_what_was_sent_is_not_sent_again(self, user, webhook, web) -> None:
        delivery = raised(user)
        delivery_attempt(delivery_id=delivery.pk, clock=at(MOMENT))
        assert delivery_attempt(delivery_id=delivery.pk, clock=at(LATER)) is None
        assert deliveries_enqueue(at=LATER) == 0
        assert len(web.requests) == 1

    def test_a_server_that_fails_is_asked_again_under_the_same_key_and_body(self, user, webhook, web) -> None:
        web.status = 500
        delivery = raised(user)
        assert delivery_attempt(delivery_id=delivery.pk, clock=at(MOMENT)) == DeliveryState.WAITING
        delivery.refresh_from_db()
        assert timedelta(seconds=24) <= delivery.due_at - MOMENT <= timedelta(seconds=36)
        assert delivery_attempt(delivery_id=delivery.pk, clock=at(delivery.due_at - timedelta(seconds=1))) is None
        web.status = 200
        assert delivery_attempt(delivery_id=delivery.pk, clock=at(delivery.due_at)) == DeliveryState.SENT
        (_, first, body), (_, second, again) = web.requests
        assert body == again
        assert first["Idempotency-Key"] == second["Idempotency-Key"]
        assert [first["Desk-Attempt"], second["Desk-Attempt"]] == ["1", "2"]
        assert [(one.number, one.outcome) for one in delivery.tries.order_by("number")] == [(1, "retry"), (2, "sent")]

    def test_too_many_requests_waits_as_long_as_asked(self, user, webhook, web) -> None:
        web.status, web.headers = 429, {"Retry-After": "600"}
        delivery = raised(user)
        delivery_attempt(delivery_id=delivery.pk, clock=at(MOMENT))
        delivery.refresh_from_db()
        assert (delivery.state, delivery.due_at) == (DeliveryState.WAITING, MOMENT + timedelta(seconds=600))

    def test_a_server_that_does_not_answer_is_left_after_the_time_out(self, user, webhook, web, settings) -> None:
        settings.ALERT_TIMEOUT_SECONDS = 0.2
        web.hang = threading.Event()
        delivery = raised(user)
        assert delivery_attempt(delivery_id=delivery.pk, clock=at(MOMENT)) == DeliveryState.WAITING
        web.hang.set()
        assert "ReadTimeout" in delivery.tries.get().detail

    def test_a_redirect_is_not_followed_and_ends_it(self, user, webhook, web) -> None:
        with hook() as elsewhere:
            web.status, web.headers = 307, {"Location": elsewhere.url}
            delivery = raised(user)
            assert delivery_attempt(delivery_id=delivery.pk, clock=at(MOMENT)) == DeliveryState.DEAD
            assert not elsewhere.requests

    @pytest.mark.parametrize(
        ("named", "trusted", "outcome"),
        [("localhost", True, Outcome.SENT), ("localhost", False, Outcome.RETRY), ("elsewhere.example", True, Outcome.RETRY)],
    )
    def test_over_tls_the_address_is_pinned_and_the_certificate_is_the_names(self, user, tmp_path, monkeypatch, named, trusted, outcome) -> None:
        import httpcore2

        file = certificate(tmp_path, named)
        if trusted:  # as if it were among the machine's authorities; everything else is the client's own
            monkeypatch.setattr(httpcore2, "default_ssl_context", lambda **_: ssl.create_default_context(cafile=file))
        with hook(tls=file) as web:
            route_create(user=user, channel="webhook", target=web.url, at=MOMENT)
            claim = delivery_claim(delivery_id=raised(user).pk, at=MOMENT)
            answer = webhook_send(message=claimed_message(claim), clock=at(MOMENT), resolve=lambda *_: ["127.0.0.1"])
            assert answer.outcome is outcome
            assert set(web.asked_for) == {"localhost"}  # not the number that was connected to
            assert len(web.requests) == (outcome is Outcome.SENT)
            assert outcome is Outcome.SENT or "CERTIFICATE_VERIFY_FAILED" in answer.detail
            assert all(headers["Host"] == web.url.split("/")[2] for _, headers, _ in web.requests)

    def test_a_name_that_leads_inside_is_not_asked(self, user, web) -> None:
        route = route_create(user=user, channel="webhook", target="https://hooks.example.org/desk", at=MOMENT)
        claim = delivery_claim(delivery_id=raised(user).pk, at=MOMENT)
        answer = webhook_send(message=claimed_message(claim), clock=at(MOMENT), resolve=lambda *_: ["127.0.0.1"])
        assert answer.outcome is Outcome.REFUSED
        assert "may not reach" in answer.detail
        assert route.target.startswith("https")
        assert not web.requests

    def test_a_name_without_an_address_is_tried_again(self, user, webhook) -> None:
        def fail(host: str, port: int) -> list[str]:
            raise OSError("no answer from the name server")

        claim = delivery_claim(delivery_id=raised(user).pk, at=MOMENT)
        assert webhook_send(message=claimed_message(claim), clock=at(MOMENT), resolve=fail).outcome is Outcome.RETRY

    def test_another_secret_signs_otherwise(self, user, webhook) -> None:
        before = webhook_secret(webhook)
        assert webhook_secret(route_secret_renew(user=user, route_id=webhook.pk)) != before


class TestMail:
    def test_it_arrives_with_the_same_id_in_each_attempt(self, user, email, mail) -> None:
        delivery = raised(user, title="Drawdown\r\nBcc: everybody@else.example", detail="Equity 1.00")
        mail.replies["DATA"] = "451 try later"
        assert delivery_attempt(delivery_id=delivery.pk, clock=at(MOMENT)) == DeliveryState.WAITING
        mail.replies.clear()
        assert delivery_attempt(delivery_id=delivery.pk, clock=at(LATER)) == DeliveryState.SENT
        [(_, recipients, text)] = mail.mails
        parsed = message_from_string(text)
        assert recipients == ["risk@desk.example"]
        assert parsed["Subject"] == "[warning] Drawdown Bcc: everybody@else.example"
        assert parsed["Bcc"] is None
        assert parsed["Message-ID"] == f"<{delivery.key}@localhost>"
        assert parsed["Idempotency-Key"] == str(delivery.key)
        assert "Equity 1.00" in parsed.get_payload()

    @pytest.mark.parametrize(
        ("replies", "state", "status"),
        [
            ({"RCPT": "550 no such user"}, DeliveryState.DEAD, 550),
            ({"RCPT": "450 busy"}, DeliveryState.WAITING, 450),
            ({"DATA": "554 no"}, DeliveryState.DEAD, 554),
            ({"CONNECT": "554 go away"}, DeliveryState.WAITING, 554),
        ],
    )
    def test_what_the_server_says_decides(self, user, email, mail, replies, state, status) -> None:
        mail.replies.update(replies)
        delivery = raised(user)
        assert delivery_attempt(delivery_id=delivery.pk, clock=at(MOMENT)) == state
        assert delivery.tries.get().status == status

    def test_a_server_that_is_away_is_tried_again(self, user, email, mail, settings) -> None:
        with mail_server() as gone:
            settings.EMAIL_PORT = gone.port
        delivery = raised(user)
        assert delivery_attempt(delivery_id=delivery.pk, clock=at(MOMENT)) == DeliveryState.WAITING
        assert "ConnectionRefusedError" in delivery.tries.get().detail

    def test_a_desk_without_a_mail_server_says_so(self, user, email) -> None:
        delivery = raised(user)
        assert delivery_attempt(delivery_id=delivery.pk, clock=at(MOMENT)) == DeliveryState.DEAD
        assert "no mail server" in delivery.tries.get().detail


class TestDead:
    @pytest.fixture
    def delivery(self, user, webhook, web) -> AlertDelivery:
        web.status = 500
        delivery = raised(user)
        moment = MOMENT
        for _ in range(MOST_ATTEMPTS):
            delivery_attempt(delivery_id=delivery.pk, clock=at(moment))
            delivery.refresh_from_db()
            moment = delivery.due_at
        return delivery

    def test_it_is_given_up_and_the_owner_sees_that_on_the_screen(self, user, delivery) -> None:
        assert (delivery.state, delivery.attempts) == (DeliveryState.DEAD, MOST_ATTEMPTS)
        assert "given up after 8 attempts" in delivery.detail
        newest = open_alerts(user)[0]
        assert (newest.code, newest.data["delivery"]) == ("ALERT_DELIVERY_DEAD", delivery.pk)
        assert AlertDelivery.objects.count() == 1  # what says that deliveries fail is not sent by a route

    def test_the_owner_tries_again_under_the_same_key(self, user, delivery, web) -> None:
        web.status = 200
        delivery_retry(user=user, delivery_id=delivery.pk, at=LATER)
        assert delivery_attempt(delivery_id=delivery.pk, clock=at(LATER)) == DeliveryState.SENT
        assert {headers["Idempotency-Key"] for _, headers, _ in web.requests} == {str(delivery.key)}

    def test_tried_again_it_begins_with_a_short_pause(self, user, delivery) -> None:
        delivery_retry(user=user, delivery_id=delivery.pk, at=LATER)
        delivery_attempt(delivery_id=delivery.pk, clock=at(LATER))
        delivery.refresh_from_db()
        assert (delivery.state, delivery.attempts) == (DeliveryState.WAITING, MOST_ATTEMPTS + 1)
        assert delivery.due_at - LATER <= timedelta(seconds=36)

    def test_only_the_owner_and_only_what_is_dead(self, user, delivery) -> None:
        with pytest.raises(NotFound):
            delivery_retry(user=UserFactory(), delivery_id=delivery.pk, at=LATER)
        delivery_retry(user=user, delivery_id=delivery.pk, at=LATER)
        with pytest.raises(Conflict):
            delivery_retry(user=user, delivery_id=delivery.pk, at=LATER)


class TestCrash:
    def test_a_process_that_dies_between_sending_and_marking_repeats_under_the_same_key(self, user, webhook, web) -> None:
        delivery = raised(user)
        claim = delivery_claim(delivery_id=delivery.pk, at=MOMENT)
        webhook_send(message=claimed_message(claim), clock=at(MOMENT))  # and here it is killed
        assert delivery_attempt(delivery_id=delivery.pk, clock=at(MOMENT + CLAIMED_FOR - timedelta(seconds=1))) is None
        assert delivery_attempt(delivery_id=delivery.pk, clock=at(MOMENT + CLAIMED_FOR)) == DeliveryState.SENT
        assert [headers["Idempotency-Key"] for _, headers, _ in web.requests] == [str(delivery.key)] * 2
        assert [one.number for one in delivery.tries.all()] == [2]

    def test_one_that_dies_each_time_is_dead_in_the_end(self, user, webhook) -> None:
        delivery, moment = raised(user), MOMENT
        for _ in range(MOST_ATTEMPTS):
            assert delivery_claim(delivery_id=delivery.pk, at=moment) is not None
            moment += CLAIMED_FOR
        assert delivery_claim(delivery_id=delivery.pk, at=moment) is None
        delivery.refresh_from_db()
        assert delivery.state == DeliveryState.DEAD

    def test_the_failure_of_an_attempt_that_was_overtaken_decides_nothing(self, user, webhook) -> None:
        delivery = raised(user)
        slow = delivery_claim(delivery_id=delivery.pk, at=MOMENT)
        quick = delivery_claim(delivery_id=delivery.pk, at=MOMENT + CLAIMED_FOR)
        refused = Answer(outcome=Outcome.REFUSED, detail="late")
        assert delivery_mark(claim=slow, answer=refused, at=LATER).state == DeliveryState.WAITING
        assert delivery_mark(claim=quick, answer=Answer(outcome=Outcome.SENT, detail="ok"), at=LATER).state == DeliveryState.SENT
        assert delivery.tries.count() == 2


class TestOutbox:
    def test_a_rollback_leaves_nothing_to_send(self, user, webhook) -> None:
        with transaction.atomic():
            raised(user)
            transaction.set_rollback(True)
        assert not Alert.objects.exists()
        assert not AlertDelivery.objects.exists()

    def test_it_goes_out_by_every_route_that_wants_it(self, user, webhook) -> None:
        route_create(user=user, channel="email", target="a@desk.example", minimum="critical", at=MOMENT)
        route_create(user=UserFactory(), channel="email", target="b@desk.example", at=MOMENT)
        assert raised(user).route == webhook

    def test_a_digest_collects_until_it_is_due_and_is_one_message(self, user, email, mail) -> None:
        AlertRoute.objects.filter(pk=email.pk).update(digest_minutes=30)
        first, second = raised(user), raised(user, recorded_at=MOMENT + timedelta(minutes=20))
        assert first == second
        assert delivery_attempt(delivery_id=first.pk, clock=at(MOMENT + timedelta(minutes=29))) is None
        assert delivery_attempt(delivery_id=first.pk, clock=at(MOMENT + timedelta(minutes=30))) == DeliveryState.SENT
        assert raised(user, recorded_at=MOMENT + timedelta(minutes=31)) != first
        [(_, _, text)] = mail.mails
        assert message_from_string(text)["Subject"].startswith("2 alerts, first: ")

    def test_what_is_critical_is_not_put_into_a_digest(self, user, email) -> None:
        AlertRoute.objects.filter(pk=email.pk).update(digest_minutes=30)
        digest, alone = raised(user), raised(user, severity="critical")
        assert digest != alone
        assert alone.due_at == MOMENT

    def test_quiet_hours_keep_it_back(self, user, email) -> None:
        AlertRoute.objects.filter(pk=email.pk).update(quiet_from=time(14), quiet_to=time(16))
        assert raised(user).due_at == MOMENT.replace(hour=16)
        assert raised(user, severity="critical").due_at == MOMENT

    def test_a_time_zone_that_is_gone_does_not_stop_the_alert(self, user, email, caplog) -> None:
        AlertRoute.objects.filter(pk=email.pk).update(quiet_from=time(14), quiet_to=time(16), time_zone="Gone/Zone")
        assert raised(user).due_at == MOMENT
        assert "Gone/Zone" in caplog.text

    def test_a_route_that_was_removed_sends_nothing_any_more(self, user, webhook, web) -> None:
        delivery = raised(user)
        route_end(user=user, route_id=webhook.pk, at=MOMENT)
        assert delivery_attempt(delivery_id=delivery.pk, clock=at(MOMENT)) is None
        delivery.refresh_from_db()
        assert delivery.state == DeliveryState.DROPPED
        assert not web.requests

    def test_a_trial_goes_by_one_route_whatever_it_wishes(self, user, webhook, web) -> None:
        AlertRoute.objects.filter(pk=webhook.pk).update(minimum="critical")
        delivery = route_test(user=user, route_id=webhook.pk, at=MOMENT)
        assert delivery_attempt(delivery_id=delivery.pk, clock=at(MOMENT)) == DeliveryState.SENT

    def test_attempts_and_items_are_facts(self, user, webhook) -> None:
        delivery_attempt(delivery_id=raised(user).pk, clock=at(MOMENT))
        for rows in (AlertDeliveryAttempt.objects.all(), AlertDeliveryItem.objects.all()):
            with pytest.raises(DatabaseError), transaction.atomic():
                rows.delete()


class TestTask:
    @pytest.fixture
    def eager(self) -> Iterator[None]:
        current_app.conf.task_always_eager = True
        yield
        current_app.conf.task_always_eager = False

    def test_the_commit_sends_what_is_due_and_the_sweep_what_comes_due(self, user, webhook, web, eager, django_capture_on_commit_callbacks) -> None:
        web.status = 503
        with django_capture_on_commit_callbacks(execute=True):
            delivery = raised(user, recorded_at=now())
            assert not web.requests
        assert len(web.requests) == 1
        web.status = 200
        delivery.refresh_from_db()
        with django_capture_on_commit_callbacks(execute=True):
            assert deliveries_enqueue(at=delivery.due_at - timedelta(seconds=1)) == 0
        AlertDelivery.objects.filter(pk=delivery.pk).update(due_at=now())
        with django_capture_on_commit_callbacks(execute=True):
            assert deliveries_enqueue(at=now()) == 1
        delivery.refresh_from_db()
        assert delivery.state == DeliveryState.SENT


class TestRepeats:
    KEY = {"key": "RISK_LIMIT_BREACH:3", "recorded_at": MOMENT}

    def test_the_same_again_is_counted_and_not_sent(self, user, webhook) -> None:
        first = AlertFactory(recipients=[user.pk], **self.KEY)
        again = AlertFactory(recipients=[user.pk], **self.KEY | {"recorded_at": MOMENT + timedelta(minutes=14)}, data={"used": "0.07"})
        assert again == first
        assert AlertRepeat.objects.get().data == {"used": "0.07"}
        assert AlertDelivery.objects.count() == len(open_alerts(user)) == 1

    @pytest.mark.parametrize(
        "changed",
        [{"key": ""}, {"key": "RISK_LIMIT_BREACH:4"}, {"severity": "critical"}, {"recorded_at": MOMENT + timedelta(minutes=15)}],
    )
    def test_another_key_or_severity_or_a_later_one_is_news(self, user, changed) -> None:
        AlertFactory(recipients=[user.pk], **self.KEY)
        AlertFactory(recipients=[user.pk], **self.KEY | changed)
        assert len(open_alerts(user)) == 2

    def test_what_comes_again_after_it_was_acknowledged_is_news(self, user) -> None:
        alert_acknowledge(user=user, alert_id=AlertFactory(recipients=[user.pk], **self.KEY).pk, at=MOMENT)
        AlertFactory(recipients=[user.pk], **self.KEY)
        assert len(open_alerts(user)) == 1

    def test_somebody_who_does_not_have_it_yet_is_told(self, user) -> None:
        AlertFactory(recipients=[user.pk], **self.KEY)
        other = UserFactory()
        AlertFactory(recipients=[user.pk, other.pk], **self.KEY)
        assert len(open_alerts(other)) == 1


@pytest.mark.django_db(transaction=True)
def test_two_processes_that_reach_for_one_delivery_send_it_once(web: Hook) -> None:
    user = UserFactory()
    route_create(user=user, channel="webhook", target=web.url, at=MOMENT)
    delivery, start, found = raised(user), threading.Barrier(4), []

    def work() -> None:
        try:
            start.wait()
            found.append(delivery_attempt(delivery_id=delivery.pk, clock=at(MOMENT)))
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, found)) == ["None", "None", "None", "sent"]
    assert len(web.requests) == 1
