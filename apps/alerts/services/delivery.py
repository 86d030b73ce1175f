"""Sending what the outbox holds: claim, send, keep what came of it. A crash in between sends it again, under the same key."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.db import transaction

from apps.alerts.domain.answers import MOST_ATTEMPTS, Answer, Outcome, wait_seconds
from apps.alerts.models import UNDER_WAY, AlertDelivery, AlertDeliveryAttempt, Channel, DeliveryState
from apps.alerts.services.alerts import alert_raise
from apps.alerts.services.mail import mail_send
from apps.alerts.services.messages import Message, message_of
from apps.alerts.services.outbox import QUEUE, TASK
from apps.alerts.services.webhooks import webhook_send
from apps.core.errors import Conflict, NotFound
from apps.core.tasks import enqueue_on_commit

if TYPE_CHECKING:
    from apps.core.models import User

#: So long an attempt may take before another process takes the delivery up: far longer than the longest that ends by itself.
CLAIMED_FOR = timedelta(minutes=3)
#: So many due deliveries are queued in one pass; the rest waits for the next one.
PASS = 200

Send = Callable[..., Answer]
SENDERS: dict[str, Send] = {Channel.EMAIL: mail_send, Channel.WEBHOOK: webhook_send}


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A delivery that this process alone attempts now. `attempt` counts from 1."""

    delivery: AlertDelivery
    attempt: int
    started_at: datetime


def deliveries_enqueue(*, at: datetime) -> int:
    """Queue what is due: its time has come, its retry is due, or the process that attempted it died. Returns how many."""
    due = AlertDelivery.objects.filter(state__in=UNDER_WAY, due_at__lte=at).order_by("due_at", "id")
    found = list(due.values_list("id", flat=True)[:PASS])
    for delivery_id in found:
        enqueue_on_commit(TASK, queue=QUEUE, delivery_id=delivery_id)
    return len(found)


def delivery_attempt(*, delivery_id: int, clock: Callable[[], datetime]) -> DeliveryState | None:
    """Make one attempt at a delivery that is due; its state afterwards. None when there was nothing to do: not due, or in other hands."""
    claim = delivery_claim(delivery_id=delivery_id, at=clock())
    if claim is None:
        return None
    answer = SENDERS[claim.delivery.route.channel](message=claimed_message(claim), clock=clock)
    return DeliveryState(delivery_mark(claim=claim, answer=answer, at=clock()).state)


def claimed_message(claim: Claim) -> Message:
    """What the delivery that was claimed says."""
    items = claim.delivery.items.select_related("alert").order_by("id")
    return message_of(delivery=claim.delivery, items=list(items), attempt=claim.attempt)


def delivery_claim(*, delivery_id: int, at: datetime) -> Claim | None:
    """Take a due delivery for one attempt. None when it is not due, is held by another process, or has come to its end here."""
    with transaction.atomic():
        rows = AlertDelivery.objects.select_for_update(skip_locked=True, of=("self",)).select_related("route__user")
        delivery = rows.filter(pk=delivery_id, state__in=UNDER_WAY, due_at__lte=at).first()
        if delivery is None:
            return None
        if delivery.route.ended_at is not None or not delivery.route.user.is_active:
            _finish(delivery, DeliveryState.DROPPED, at, "the route was removed, or its owner has left")
            return None
        if delivery.attempts >= delivery.attempts_allowed:
            _dead(delivery, at, f"given up after {delivery.attempts} attempts; the last one did not end")
            return None
        delivery.state, delivery.attempts, delivery.due_at = DeliveryState.WAITING, delivery.attempts + 1, at + CLAIMED_FOR
        delivery.save(update_fields=["state", "attempts", "due_at"])
    return Claim(delivery=delivery, attempt=delivery.attempts, started_at=at)


def delivery_mark(*, claim: Claim, answer: Answer, at: datetime) -> AlertDelivery:
    """Keep what came of an attempt. When another attempt has begun meanwhile, a failure of this one decides nothing."""
    with transaction.atomic():
        rows = AlertDelivery.objects.select_for_update(of=("self",)).select_related("route")
        delivery = rows.get(pk=claim.delivery.pk)
        AlertDeliveryAttempt.objects.create(
            delivery=delivery,
            number=claim.attempt,
            started_at=claim.started_at,
            finished_at=at,
            outcome=answer.outcome,
            status=answer.status,
            detail=answer.detail[:300],
        )
        if delivery.state != DeliveryState.WAITING:
            return delivery
        if answer.outcome is Outcome.SENT:
            _finish(delivery, DeliveryState.SENT, at, answer.detail)
        elif delivery.attempts == claim.attempt:
            _failed(delivery, answer, at)
    return delivery


def _failed(delivery: AlertDelivery, answer: Answer, at: datetime) -> None:
    if answer.outcome is Outcome.REFUSED:
        _dead(delivery, at, answer.detail)
    elif delivery.attempts >= delivery.attempts_allowed:
        _dead(delivery, at, f"given up after {delivery.attempts} attempts: {answer.detail}")
    else:
        failures = delivery.attempts - (delivery.attempts_allowed - MOST_ATTEMPTS)
        wait = wait_seconds(attempt=failures, key=delivery.key, asked=answer.retry_after)
        delivery.due_at, delivery.detail = at + timedelta(seconds=wait), answer.detail[:300]
        delivery.save(update_fields=["due_at", "detail"])


def _finish(delivery: AlertDelivery, state: DeliveryState, at: datetime, detail: str) -> None:
    delivery.state, delivery.finished_at, delivery.detail = state, at, detail[:300]
    delivery.save(update_fields=["state", "finished_at", "detail"])


def _dead(delivery: AlertDelivery, at: datetime, detail: str) -> None:
    """Give up, and say so on the owner's screen, which is the way that is left."""
    _finish(delivery, DeliveryState.DEAD, at, detail)
    alert_raise(
        code="ALERT_DELIVERY_DEAD",
        severity="warning",
        title=f"Alerts do not arrive: {delivery.route}",
        detail=f"{delivery.detail}. The delivery can be tried again on the page of alert deliveries.",
        subject=f"delivery:{delivery.pk}",
        data={"delivery": delivery.pk, "attempts": delivery.attempts},
        recipients=[delivery.route.user_id],
        occurred_at=at,
        recorded_at=at,
        key=f"ALERT_DELIVERY_DEAD:{delivery.route_id}",
        deliver=False,
    )


def delivery_retry(*, user: "User", delivery_id: int, at: datetime) -> AlertDelivery:
    """Try a dead delivery of one's own again, with as many attempts as at first, under the same key.

    Raises NotFound (no such delivery, or not the user's), Conflict (not dead, or its route was removed).
    """
    with transaction.atomic():
        rows = AlertDelivery.objects.select_for_update(of=("self",)).select_related("route")
        delivery = rows.filter(pk=delivery_id, route__user=user).first()
        if delivery is None:
            raise NotFound(f"no delivery {delivery_id}")
        if delivery.state != DeliveryState.DEAD or delivery.route.ended_at is not None:
            raise Conflict(f"delivery {delivery_id} is {delivery.state}, and only a dead one of a route in use is tried again")
        delivery.state, delivery.due_at, delivery.finished_at = DeliveryState.WAITING, at, None
        delivery.attempts_allowed = delivery.attempts + MOST_ATTEMPTS
        delivery.save(update_fields=["state", "due_at", "finished_at", "attempts_allowed"])
        enqueue_on_commit(TASK, queue=QUEUE, delivery_id=delivery.pk)
    return delivery
