"""The history of a portfolio's risk."""

from datetime import datetime

from apps.risk.models import RiskSnapshot

#: Snapshots in one answer.
MOST = 5000


def risk_history(portfolio_id: int, *, start: datetime | None = None, end: datetime | None = None, most: int = MOST) -> list[RiskSnapshot]:
    """Snapshots from `start` to `end` of the market's time, both included, oldest first; of more than `most` the latest."""
    rows = RiskSnapshot.objects.filter(portfolio_id=portfolio_id)
    if start is not None:
        rows = rows.filter(ts__gte=start)
    if end is not None:
        rows = rows.filter(ts__lte=end)
    return list(rows.order_by("-ts")[:most])[::-1]
