"""Tells operators about data that is older than the calendar allows."""

import logging
from datetime import datetime
from typing import Any

from apps.alerts.selectors import alerts_about
from apps.alerts.services import alert_raise
from apps.core.models import User
from apps.core.roles import Role
from apps.marketdata.selectors.freshness import FreshnessReport, data_freshness

logger = logging.getLogger(__name__)

SUBJECT = "marketdata"
BARS_STALE = "DATA_STALE"
FEED_STOPPED = "FEED_STOPPED"
#: How far back an operator's alerts are looked through for one that already says the same.
LOOK_BACK = 100


def freshness_check(*, now: datetime) -> FreshnessReport:
    """Raise an alert for stale bars and one for a feed that stands still, unless the operator has an open one that says the same.

    Raises Unavailable when Redis does not answer.
    """
    report = data_freshness(now)
    stale = [item.symbol for item in report.stale]
    if stale:
        named = ", ".join(stale[:10]) + (f" and {len(stale) - 10} more" if len(stale) > 10 else "")
        _tell(
            BARS_STALE,
            f"Daily bars are missing for {len(stale)} instruments",
            f"Behind the exchange calendar: {named}.",
            {"symbols": stale},
            report,
            now,
        )
    if report.feed_stopped:
        which = f" ({', '.join(report.feeds_still)})" if report.feeds_still else ""
        _tell(
            FEED_STOPPED, "The price feed stands still", f"The market is open and no price has come for a minute{which}.", _feeds(report), report, now
        )
    return report


def _feeds(report: FreshnessReport) -> dict[str, Any]:
    return {"feeds": list(report.feeds_still)} if report.feeds_still else {}


def _tell(code: str, title: str, detail: str, data: dict[str, Any], report: FreshnessReport, now: datetime) -> None:
    operators = list(User.objects.filter(groups__name=Role.OPERATOR, is_active=True))
    if not operators:
        logger.warning("%s: %s (nobody has the role of an operator)", title, detail)
    recipients = [user.pk for user in operators if not _knows(user, code, data)]
    if recipients:
        alert_raise(
            code=code,
            severity="warning",
            title=title,
            detail=detail,
            subject=SUBJECT,
            data=data,
            recipients=recipients,
            occurred_at=report.market_time,
            recorded_at=now,
        )


def _knows(user: User, code: str, data: dict[str, Any]) -> bool:
    said = alerts_about(user, SUBJECT, limit=LOOK_BACK)
    return any(item.code == code and item.data == data and item.acknowledged_at is None for item in said)
