"""What a delivery says: the same facts as text for people and as JSON for machines."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from uuid import UUID

from apps.alerts.models import AlertDelivery, AlertDeliveryItem, AlertRoute
from apps.core.documents import document

VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One delivery, ready to be sent. Each attempt has the same `key`, `subject`, `text` and `body`."""

    route: AlertRoute
    key: UUID
    attempt: int
    subject: str
    text: str
    body: bytes


def message_of(*, delivery: AlertDelivery, items: Sequence[AlertDeliveryItem], attempt: int) -> Message:
    """Say what the delivery's alerts say, in the order in which they came."""
    return Message(
        route=delivery.route,
        key=delivery.key,
        attempt=attempt,
        subject=_subject(items),
        text="\n\n".join(_paragraph(item) for item in items) + "\n\nAcknowledge on the desk's page of alerts.\n",
        body=_body(delivery, items),
    )


def _subject(items: Sequence[AlertDeliveryItem]) -> str:
    """One line: a title may contain anything, and a header must not."""
    first = items[0].alert
    again = "Not acknowledged: " if items[0].round else ""
    words = f"[{first.severity}] {again}{first.title}" if len(items) == 1 else f"{len(items)} alerts, first: {first.title}"
    return " ".join(words.split())[:200]


def _paragraph(item: AlertDeliveryItem) -> str:
    alert = item.alert
    lines = [
        f"{alert.severity.upper()}  {alert.title}",
        alert.detail,
        f"Alert {alert.pk}, {alert.code}" + (f", about {alert.subject}" if alert.subject else ""),
        f"Market time {alert.occurred_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC, raised {alert.recorded_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC",
        f"Not acknowledged: escalation {item.round}" if item.round else "",
    ]
    return "\n".join(line for line in lines if line)


def _body(delivery: AlertDelivery, items: Sequence[AlertDeliveryItem]) -> bytes:
    alerts = [
        {
            "id": item.alert.pk,
            "escalation": item.round,
            "code": item.alert.code,
            "severity": str(item.alert.severity),
            "title": item.alert.title,
            "detail": item.alert.detail,
            "subject": item.alert.subject,
            "portfolio": item.alert.portfolio_id,
            "data": item.alert.data,
            "occurred_at": item.alert.occurred_at,
            "recorded_at": item.alert.recorded_at,
        }
        for item in items
    ]
    return document({"version": VERSION, "delivery": delivery.key, "route": delivery.route_id, "alerts": alerts}).encode()
