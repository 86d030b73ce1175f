"""What went wrong with vendors, as rows; and operators are told when a breaker opens."""

import logging
from datetime import datetime

from apps.marketdata.models import IncidentKind, VendorIncident
from apps.marketdata.services.operators import operators_tell

logger = logging.getLogger(__name__)

ALERT = "VENDOR_BREAKER_OPEN"


def incident_record(
    *, vendor: str, kind: IncidentKind, detail: str, symbol: str = "", occurred_at: datetime, recorded_at: datetime
) -> VendorIncident:
    """Store what happened. When a breaker opens, operators get an alert, unless they have an open one about this vendor."""
    logger.warning("%s %s %s: %s", vendor, kind.label, symbol, detail)
    incident = VendorIncident.objects.create(
        vendor=vendor, kind=kind, symbol=symbol[:20], detail=detail, occurred_at=occurred_at, recorded_at=recorded_at
    )
    if kind == IncidentKind.OPENED:
        operators_tell(
            code=ALERT,
            title=f"{vendor} fails: it is not asked for a while",
            detail=detail,
            data={"vendor": vendor},
            occurred_at=occurred_at,
            recorded_at=recorded_at,
        )
    return incident
