"""Delivery of alerts, after the commit that raised them and again when a retry is due."""

from datetime import datetime
from typing import Any

from celery import shared_task

from apps.core.clock import now
from apps.core.schedule import scheduled_task


@shared_task(name="alerts.deliver", ignore_result=True)
def deliver(*, delivery_id: int, **_: Any) -> None:
    """Attempt one delivery. A second message for the same one finds nothing to do."""
    from apps.alerts.services.delivery import delivery_attempt

    delivery_attempt(delivery_id=delivery_id, clock=now)


@scheduled_task("alerts.sweep")
def sweep(*, at: datetime, **_: object) -> dict[str, Any]:
    """Tell the next person of what nobody acknowledges, and queue what is due: retries, digests, ends of quiet hours, what a dead process left."""
    from apps.alerts.services.delivery import deliveries_enqueue
    from apps.alerts.services.escalation import escalations_run

    return {"escalated": escalations_run(at=at), "queued": deliveries_enqueue(at=at)}
