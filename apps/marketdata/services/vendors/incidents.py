"""What went wrong with vendors, as rows; and operators are told when a breaker opens."""

import logging
from datetime import datetime

from apps.alerts.services import alert_raise
from apps.core.models import User
from apps.core.roles import Role
from apps.marketdata.models import IncidentKind, VendorIncident

logger = logging.getLogger(__name__)

ALERT = "VENDOR_BREAKER_OPEN"
SUBJECT = "marketdata"


def incident_record(
    *, vendor: str, kind: IncidentKind, detail: str, symbol: str = "", occurred_at: datetime, recorded_at: datetime
) -> VendorIncident:
    """Store what happened. When a breaker opens, the operators get an alert."""
    logger.warning("%s %s %s: %s", vendor, kind.label, symbol, detail)
    incident = VendorIncident.objects.create(
        vendor=vendor, kind=kind, symbol=symbol[:20], detail=detail, occurred_at=occurred_at, recorded_at=recorded_at
    )
    if kind == IncidentKind.OPENED:
        alert_raise(
            code=ALERT,
            severity="warning",
            title=f"{vendor} fails: it is not asked for a while",
            detail=detail,
            subject=SUBJECT,
            data={"vendor": vendor, "symbol": symbol},
            recipients=User.objects.filter(groups__name=Role.OPERATOR, is_active=True).values_list("pk", flat=True),
            occurred_at=occurred_at,
            recorded_at=recorded_at,
        )
    return incident
