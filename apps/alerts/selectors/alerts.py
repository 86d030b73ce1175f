"""Which alerts a user has."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db.models import Count, QuerySet

from apps.alerts.models import Alert, AlertReceipt
from apps.alerts.selectors.links import AlertLink, alert_link

if TYPE_CHECKING:
    from apps.core.models import User

#: How many open alerts a screen is given at once; the list page has all.
SHOWN = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedAlert:
    """One user's copy of an alert. `id` is the alert's, `acknowledged_at` is None while it is open, `link` where its subject has no page."""

    id: int
    code: str
    severity: str
    title: str
    detail: str
    subject: str
    data: dict[str, Any]
    occurred_at: datetime
    recorded_at: datetime
    acknowledged_at: datetime | None
    note: str
    link: AlertLink | None


def received(receipt: AlertReceipt) -> ReceivedAlert:
    alert = receipt.alert
    return ReceivedAlert(
        id=alert.pk,
        code=alert.code,
        severity=str(alert.severity),
        title=alert.title,
        detail=alert.detail,
        subject=alert.subject,
        data=alert.data,
        occurred_at=alert.occurred_at,
        recorded_at=alert.recorded_at,
        acknowledged_at=receipt.acknowledged_at,
        note=receipt.note,
        link=alert_link(code=alert.code, subject=alert.subject),
    )


def receipts(user: "User", *, only_open: bool = True) -> QuerySet[AlertReceipt]:
    """The user's receipts with their alerts, newest first."""
    rows = AlertReceipt.objects.filter(user=user).select_related("alert").order_by("-alert_id")
    return rows.filter(acknowledged_at__isnull=True) if only_open else rows


def open_alerts(user: "User", limit: int = SHOWN) -> tuple[ReceivedAlert, ...]:
    """What the user has not acknowledged, newest first."""
    return tuple(received(receipt) for receipt in receipts(user)[:limit])


def open_alert_count(user_id: int) -> int:
    """Number on the user's bell."""
    return AlertReceipt.objects.filter(user_id=user_id, acknowledged_at__isnull=True).count()


def open_alert_counts(user_ids: Collection[int]) -> dict[int, int]:
    """The same for several users by one query."""
    rows = AlertReceipt.objects.filter(user_id__in=user_ids, acknowledged_at__isnull=True).order_by("user_id").values_list("user_id")
    return dict.fromkeys(user_ids, 0) | dict(rows.annotate(count=Count("pk")))


def user_channel(user_id: int) -> str:
    """The live channel of a user's alerts."""
    return f"alerts:{user_id}"


def alerts_about(user: "User", subject: str, *, limit: int) -> tuple[ReceivedAlert, ...]:
    """The user's alerts about one thing, e.g. "portfolio:3", acknowledged ones included, newest first."""
    return tuple(received(receipt) for receipt in receipts(user, only_open=False).filter(alert__subject=subject)[:limit])


def alert_last(*, portfolio_id: int, codes: Collection[str], since: datetime) -> Alert | None:
    """The newest alert of these codes about the portfolio, whoever has it."""
    return Alert.objects.filter(portfolio_id=portfolio_id, code__in=codes, recorded_at__gte=since).order_by("-id").first()


def alert_raised(key: str) -> bool:
    """Whether an alert of this key (not empty) was ever raised: for facts of which people are told once."""
    return Alert.objects.filter(key=key).exists()
