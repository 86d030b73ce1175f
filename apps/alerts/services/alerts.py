"""Raising an alert, and saying that it was seen."""

import logging
import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import transaction

from apps.alerts.models import Alert, AlertReceipt, AlertRepeat, Severity
from apps.alerts.selectors.alerts import ReceivedAlert, open_alert_counts, received, user_channel
from apps.alerts.services.outbox import deliveries_queue
from apps.core.documents import plain
from apps.core.errors import InvalidInput, NotFound
from apps.core.streams import publish_many

if TYPE_CHECKING:
    from apps.core.models import User

logger = logging.getLogger(__name__)

NOTE_LENGTH = 500
#: An alert of the same key within this time, while nobody has acknowledged the first, is a repetition of it.
REPEATED_WITHIN = timedelta(minutes=15)
ABOUT_PORTFOLIO = re.compile(r"portfolio:([0-9]{1,18})")


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
    key: str = "",
    portfolio_id: int | None = None,
    deliver: bool = True,
    lasting: bool = False,
) -> Alert:
    """Store an alert with a receipt for each recipient (user ids), show it on their screens and send it by their routes after commit.

    `key` says what is the same: while nobody has acknowledged an alert of that key, severity and audience that is not older than
    REPEATED_WITHIN, another one is counted as its repetition, and the first is returned. Without a key every call makes an alert:
    whether a state is worth another one is the caller's business. Two transactions at once may both make one; none waits for the other.
    `lasting` is for a key that names one state from its beginning to its end: it is told once, and counted however old that is and whoever
    has acknowledged it.
    `data` holds the numbers behind it; Decimals are stored as strings. `portfolio_id` is taken from a subject like "portfolio:3".
    `deliver` False keeps it to the screen. Without recipients the alert is stored all the same, and logged.
    Raises InvalidInput (severity, empty code or title, key of more than 120 characters).
    """
    if severity not in Severity.values:
        raise InvalidInput(f"{severity!r} is no severity ({', '.join(Severity.values)})", field="severity")
    if not code or not title:
        raise InvalidInput("an alert has a code and a title", field="title" if code else "code")
    if len(key) > 120:
        raise InvalidInput("a key has at most 120 characters", field="key")
    users = sorted(set(recipients))
    about = ABOUT_PORTFOLIO.fullmatch(subject)
    said = {
        "title": title[:200],  # the whole text is in the detail
        "detail": detail or ("" if len(title) <= 200 else title),
        "data": plain(data or {}),
        "occurred_at": occurred_at,
        "recorded_at": recorded_at,
    }
    with transaction.atomic():
        if key and (before := _same_before(key, severity, users, recorded_at, lasting=lasting)):
            AlertRepeat.objects.create(alert=before, **said)
            return before
        alert = Alert.objects.create(
            code=code,
            severity=severity,
            subject=subject,
            portfolio_id=int(about[1]) if about and portfolio_id is None else portfolio_id,
            key=key,
            **said,
        )
        receipts = AlertReceipt.objects.bulk_create([AlertReceipt(alert=alert, user_id=user_id) for user_id in users])
        transaction.on_commit(partial(announce, {receipt.user_id: {"alert": received(receipt)} for receipt in receipts}))
        if deliver and users:
            deliveries_queue(alert=alert, user_ids=users, at=recorded_at)
    if not users:
        logger.warning("alert %s %s has no recipient: %s", alert.pk, code, title)
    return alert


def _same_before(key: str, severity: str, users: list[int], at: datetime, *, lasting: bool) -> Alert | None:
    """The alert of which another one would be a repetition: everybody concerned has it, and unless it is `lasting` nobody has acknowledged it."""
    rows = Alert.objects.filter(key=key, severity=severity, recorded_at__lte=at)
    if not lasting:
        rows = rows.filter(recorded_at__gt=at - REPEATED_WITHIN)
    alert = rows.order_by("-recorded_at", "-id").first()
    if alert is None:
        return None
    receipts = dict(alert.receipts.values_list("user_id", "acknowledged_at"))
    return alert if set(users) <= set(receipts) and (lasting or not any(receipts.values())) else None


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
            transaction.on_commit(partial(announce, {user.pk: {"acknowledged_id": alert_id}}))
        return received(receipt)


def announce(contents: Mapping[int, dict[str, Any]]) -> None:
    """Tell each user's screens, with the number for the bell as it is after the commit."""
    if contents:
        counts = open_alert_counts(list(contents))
        publish_many({user_channel(user_id): {**content, "open": counts[user_id]} for user_id, content in contents.items()})
