"""Alerts of market data for the operators. One that says the same and is still open is not raised again."""

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from apps.alerts.selectors import alerts_about
from apps.alerts.services import alert_raise
from apps.core.documents import plain
from apps.core.models import User
from apps.core.roles import Role

logger = logging.getLogger(__name__)

SUBJECT = "marketdata"
#: How far back an operator's alerts are looked through for one that already says the same.
LOOK_BACK = 100


def operators_tell(*, code: str, title: str, detail: str, data: Mapping[str, Any], occurred_at: datetime, recorded_at: datetime) -> None:
    """Raise a warning for every operator who has no open one with the same code and data. Without operators it is only logged."""
    operators = list(User.objects.filter(groups__name=Role.OPERATOR, is_active=True))
    if not operators:
        logger.warning("%s: %s (nobody has the role of an operator)", title, detail)
    recipients = [user.pk for user in operators if not _knows(user, code, plain(data))]
    if recipients:
        alert_raise(
            code=code,
            severity="warning",
            title=title,
            detail=detail,
            subject=SUBJECT,
            data=data,
            recipients=recipients,
            occurred_at=occurred_at,
            recorded_at=recorded_at,
        )


def _knows(user: User, code: str, data: Any) -> bool:
    said = alerts_about(user, SUBJECT, limit=LOOK_BACK)
    return any(item.code == code and item.data == data and item.acknowledged_at is None for item in said)
