"""The alert centre: a user's alerts, narrowed, with what became of each."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.models import Q, QuerySet

from apps.alerts.models import AlertDeliveryItem, AlertEscalation, AlertReceipt, AlertRepeat
from apps.alerts.selectors.links import AlertLink, alert_link
from apps.alerts.selectors.routes import delivery_items

if TYPE_CHECKING:
    from apps.core.models import User


@dataclass(frozen=True, slots=True, kw_only=True)
class CentreRow:
    """A user's copy of an alert; how often it was repeated; to whom it was escalated; in what messages it went out to this user."""

    receipt: AlertReceipt
    repeats: int
    escalations: tuple[AlertEscalation, ...]
    deliveries: tuple[AlertDeliveryItem, ...]

    @property
    def link(self) -> AlertLink | None:
        """The page of what it is about."""
        return alert_link(code=self.receipt.alert.code, subject=self.receipt.alert.subject)


def receipts_wanted(rows: QuerySet[AlertReceipt], *, q: str = "", severity: str = "", portfolio: str = "") -> QuerySet[AlertReceipt]:
    """Narrow receipts: words in title, code or subject; a severity; a portfolio's id. What is empty narrows nothing."""
    if q:
        rows = rows.filter(Q(alert__title__icontains=q) | Q(alert__code__icontains=q) | Q(alert__subject__icontains=q))
    if severity:
        rows = rows.filter(alert__severity=severity)
    if portfolio:
        known = portfolio.isascii() and portfolio.isdecimal() and len(portfolio) <= 18
        rows = rows.filter(alert__portfolio_id=int(portfolio)) if known else rows.none()
    return rows


def centre_rows(user: "User", receipts: Sequence[AlertReceipt]) -> tuple[CentreRow, ...]:
    """The receipts with what became of their alerts: three queries, whatever their number."""
    ids = [receipt.alert_id for receipt in receipts]
    repeats = Counter(AlertRepeat.objects.filter(alert_id__in=ids).values_list("alert_id", flat=True))
    escalations: dict[int, list[AlertEscalation]] = {}
    for one in AlertEscalation.objects.filter(alert_id__in=ids).order_by("number"):
        escalations.setdefault(one.alert_id, []).append(one)
    sent = delivery_items(user, ids)
    return tuple(
        CentreRow(
            receipt=receipt,
            repeats=repeats[receipt.alert_id],
            escalations=tuple(escalations.get(receipt.alert_id, ())),
            deliveries=tuple(sent.get(receipt.alert_id, ())),
        )
        for receipt in receipts
    )
