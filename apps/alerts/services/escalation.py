"""Telling the next person about an alert that nobody acknowledges."""

import logging
from datetime import datetime
from functools import partial

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from apps.alerts.domain.escalation import REACH, Ladder, next_step
from apps.alerts.domain.wishes import wants
from apps.alerts.models import Alert, AlertEscalation, AlertReceipt, EscalationPolicy, EscalationStep
from apps.alerts.selectors.alerts import received
from apps.alerts.services.alerts import announce
from apps.alerts.services.outbox import deliveries_queue
from apps.core.models import User

logger = logging.getLogger(__name__)


def escalations_run(*, at: datetime) -> int:
    """Take every step that is due, one for each alert and policy. Returns how many."""
    policies = EscalationPolicy.objects.filter(Q(active_to__isnull=True) | Q(active_to__gt=at), active_from__lte=at).order_by("id")
    return sum(_policy_run(policy, at) for policy in policies.prefetch_related("steps__user"))


def _policy_run(policy: EscalationPolicy, at: datetime) -> int:
    steps = sorted(policy.steps.all(), key=lambda step: step.position)
    ladder = Ladder(waits=tuple(step.after_minutes for step in steps), repeat_minutes=policy.repeat_minutes)
    moments: dict[int, list[datetime]] = {}
    steps_taken = AlertEscalation.objects.filter(policy=policy, recorded_at__gte=at - REACH).order_by("number")
    for alert_id, moment in steps_taken.values_list("alert_id", "recorded_at"):
        moments.setdefault(alert_id, []).append(moment)
    taken = 0
    for alert in _open_alerts(policy, at):
        if not wants(policy.wishes, severity=alert.severity, code=alert.code, portfolio_id=alert.portfolio_id):
            continue
        position = next_step(ladder, raised_at=alert.recorded_at, taken=moments.get(alert.pk, ()), at=at)
        if position is not None:
            taken += _step_take(policy, steps[position], alert.pk, at)
    return taken


def _open_alerts(policy: EscalationPolicy, at: datetime) -> QuerySet[Alert]:
    """What was raised under this policy and was acknowledged by nobody."""
    seen = AlertReceipt.objects.filter(alert=OuterRef("pk"), acknowledged_at__isnull=False)
    fresh = Alert.objects.filter(recorded_at__gte=max(at - REACH, policy.active_from), recorded_at__lte=at)
    return fresh.exclude(Exists(seen)).order_by("id")


def _step_take(policy: EscalationPolicy, step: EscalationStep, alert_id: int, at: datetime) -> int:
    """Tell the step's people: on the screen, and by their routes. 0 when the alert was acknowledged in the meantime."""
    with transaction.atomic():
        alert = Alert.objects.select_for_update().get(pk=alert_id)
        receipts = AlertReceipt.objects.filter(alert=alert).select_for_update()
        before = {receipt.user_id: receipt for receipt in receipts}
        if any(receipt.acknowledged_at for receipt in before.values()):
            return 0
        people = sorted(_people(step))
        number = AlertEscalation.objects.filter(alert=alert).count() + 1
        AlertEscalation.objects.create(
            alert=alert, policy=policy, number=number, step=step.position, told=str(step)[:160], people=people, recorded_at=at
        )
        new = AlertReceipt.objects.bulk_create([AlertReceipt(alert=alert, user_id=user_id) for user_id in people if user_id not in before])
        told = (*(before[user_id] for user_id in people if user_id in before), *new)
        transaction.on_commit(partial(announce, {receipt.user_id: {"alert": received(receipt)} for receipt in told}))
        deliveries_queue(alert=alert, user_ids=people, at=at, round_number=number)
    if not people:
        logger.warning("alert %s is open, and step %s of %s (%s) has nobody", alert_id, step.position, policy, step)
    return 1


def _people(step: EscalationStep) -> set[int]:
    if step.user is not None:
        return {step.user.pk} if step.user.is_active else set()
    return set(User.objects.filter(is_active=True, groups__name=step.role).values_list("id", flat=True))
