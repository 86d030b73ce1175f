"""The outbox: what is to be sent is stored with the alert, in its transaction, and sent by a task after the commit."""

import logging
from collections.abc import Iterable
from datetime import datetime
from uuid import uuid4

from apps.alerts.domain.answers import MOST_ATTEMPTS
from apps.alerts.domain.wishes import due_at, wants
from apps.alerts.models import Alert, AlertDelivery, AlertDeliveryItem, AlertRoute, DeliveryState
from apps.core.errors import InvalidInput
from apps.core.tasks import enqueue_on_commit

logger = logging.getLogger(__name__)

TASK, QUEUE = "alerts.deliver", "alerts"


def deliveries_queue(*, alert: Alert, user_ids: Iterable[int], at: datetime, round_number: int = 0) -> None:
    """Put the alert into the outbox for every route of these users that wants it. Call it in the transaction that stores the alert.

    A digest that already collects takes it up; the others wait for their time, and what is due is sent after the commit.
    """
    routes = AlertRoute.objects.filter(user_id__in=list(user_ids), user__is_active=True, ended_at__isnull=True).order_by("id")
    for route in routes:
        wishes = route.wishes
        if not wants(wishes, severity=alert.severity, code=alert.code, portfolio_id=alert.portfolio_id):
            continue
        due = _due(route, alert, at)
        digest = bool(wishes.digest_minutes) and due > at  # what is critical is due at once, and no part of a digest
        delivery = (_collecting(route) if digest else None) or _create(route, collecting=digest, due=due, at=at)
        AlertDeliveryItem.objects.create(delivery=delivery, route=route, alert=alert, round=round_number)
        if delivery.due_at <= at:
            enqueue_on_commit(TASK, queue=QUEUE, delivery_id=delivery.pk)


def _due(route: AlertRoute, alert: Alert, at: datetime) -> datetime:
    """A time zone that is no longer known must not stop whoever raises the alert, which may be a halt: it is sent at once."""
    try:
        return due_at(route.wishes, severity=alert.severity, at=at)
    except InvalidInput as error:
        logger.error("route %s: %s", route.pk, error)
        return at


def delivery_queue_one(*, alert: Alert, route: AlertRoute, at: datetime) -> AlertDelivery:
    """Put the alert into the outbox for one route, at once, whatever its owner wishes."""
    delivery = _create(route, collecting=False, due=at, at=at)
    AlertDeliveryItem.objects.create(delivery=delivery, route=route, alert=alert)
    enqueue_on_commit(TASK, queue=QUEUE, delivery_id=delivery.pk)
    return delivery


def _create(route: AlertRoute, *, collecting: bool, due: datetime, at: datetime) -> AlertDelivery:
    state = DeliveryState.COLLECTING if collecting else DeliveryState.WAITING
    return AlertDelivery.objects.create(route=route, key=uuid4(), state=state, due_at=due, attempts_allowed=MOST_ATTEMPTS, created_at=at)


def _collecting(route: AlertRoute) -> AlertDelivery | None:
    """The digest that the route collects now. One that another transaction holds is left alone: two digests are better than a wait."""
    rows = AlertDelivery.objects.select_for_update(skip_locked=True, of=("self",))
    return rows.filter(route=route, state=DeliveryState.COLLECTING).order_by("id").first()
