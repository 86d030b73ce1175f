"""Which instruments are restricted or watched."""

from datetime import datetime

from django.db.models import Q, QuerySet

from apps.compliance.models import Restriction


def restrictions_active(at: datetime) -> QuerySet[Restriction]:
    """Restrictions in force at a moment of wall time."""
    return Restriction.objects.filter(Q(active_to__isnull=True) | Q(active_to__gt=at), active_from__lte=at)


def restrictions_for(*, instrument_id: int, portfolio_id: int, at: datetime) -> list[tuple[str, str]]:
    """(level, reason) of each restriction that concerns orders of the portfolio in the instrument. One query."""
    rows = restrictions_active(at).filter(Q(portfolio__isnull=True) | Q(portfolio_id=portfolio_id), instrument_id=instrument_id)
    return list(rows.order_by("id").values_list("level", "reason"))
