"""Raising an alert, and saying that it was seen."""

import logging
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import transaction

from apps.alerts.models import Alert, AlertReceipt, Severity
from apps.alerts.selectors.alerts import ReceivedAlert, open_alert_count, received, user_channel
from apps.core.documents import plain
from apps.core.errors import InvalidInput, NotFound
from apps.core.streams import publish

if TYPE_CHECKING:
    from apps.core.models import User

logger = logging.getLogger(__name__)

NOTE_LENGTH = 500


def alert_raise(
    *,
    code: str,
    severity: str,
    title: str,
    detail: str = "",
    subject: str = "",
    data: Mapping[str, Any] | None = None,
    recipients: Iterable[int],
    occurred_at: datetime,
    recorded_at: datetime,
) -> Alert:
    """Store an alert with a receipt for each recipient (user ids), and show it on their screens after commit.

    Every call makes an alert: whether a state is worth another one is the caller's business. `data` holds the numbers behind
    it; Decimals are stored as strings. Without recipients the alert is stored all the same, and logged.
    Raises InvalidInput (severity, empty code or title).
    """
    if severity not in Severity.values:
        raise InvalidInput(f"{severity!r} is no severity ({', '.join(Severity.values)})", field="severity")
    if not code or not title:
        raise InvalidInput("an alert has a code and a title", field="title" if code else "code")
    users = sorted(set(recipients))
    with transaction.atomic():
        alert = Alert.objects.create(
            code=code,
            severity=severity,
            title=title[:200],  # the whole text is in the detail
            detail=detail or ("" if len(title) <= 200 else title),
            subject=subject,
            data=plain(data or {}),
            occurred_at=occurred_at,
            recorded_at=recorded_at,
        )
        for receipt in AlertReceipt.objects.bulk_create([AlertReceipt(alert=alert, user_id=user_id) for user_id in users]):
            transaction.on_commit(partial(_announce, receipt.user_id, {"alert": received(receipt)}))
    if not users:
        logger.warning("alert %s %s has no recipient: %s", alert.pk, code, title)
    return alert


def alert_acknowledge(*, user: "User", alert_id: int, note: str = "", at: datetime) -> ReceivedAlert:
    """Say that the user has seen the alert, with a note. The first acknowledgement stands: another one changes nothing.

    Raises NotFound (no such alert, or not the user's), InvalidInput (note too long).
    """
    if len(note) > NOTE_LENGTH:
        raise InvalidInput(f"the note has {len(note)} characters, but at most {NOTE_LENGTH} are kept", field="note")
    with transaction.atomic():
        receipt = AlertReceipt.objects.select_for_update(of=("self",)).select_related("alert").filter(alert_id=alert_id, user=user).first()
        if receipt is None:
            raise NotFound(f"no alert {alert_id}")
        if receipt.acknowledged_at is None:
            receipt.acknowledged_at, receipt.note = at, note
            receipt.save(update_fields=["acknowledged_at", "note"])
            transaction.on_commit(partial(_announce, user.pk, {"acknowledged_id": alert_id}))
        return received(receipt)


def _announce(user_id: int, content: dict[str, Any]) -> None:
    """Tell the user's screens, with the number for the bell as it is after the commit."""
    publish(user_channel(user_id), {**content, "open": open_alert_count(user_id)})
