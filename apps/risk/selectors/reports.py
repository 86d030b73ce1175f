"""Daily reports that were made."""

from dataclasses import dataclass
from datetime import date, datetime

from django.db.models.functions import Length

from apps.core.errors import NotFound
from apps.risk.models import RiskReport


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredReport:
    """One form of one session's report, without its content: `size` in bytes."""

    session: date
    form: str
    sha256: str
    size: int
    market_time: datetime
    recorded_at: datetime


def reports_stored(portfolio_id: int, *, last: int = 50) -> tuple[StoredReport, ...]:
    """The newest first, HTML before PDF."""
    rows = RiskReport.objects.filter(portfolio_id=portfolio_id).order_by("-session", "form").annotate(size=Length("content"))[:last]
    names = ("session", "form", "sha256", "size", "market_time", "recorded_at")
    return tuple(StoredReport(**dict(zip(names, row, strict=True))) for row in rows.values_list(*names))


def report_content(portfolio_id: int, session: date, form: str) -> tuple[bytes, str]:
    """Content and fingerprint. Raises NotFound."""
    row = RiskReport.objects.filter(portfolio_id=portfolio_id, session=session, form=form).first()
    if row is None:
        raise NotFound(f"there is no {form} report of {session}")
    return bytes(row.content), row.sha256
