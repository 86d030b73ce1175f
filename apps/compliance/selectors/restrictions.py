"""Which instruments are restricted or watched."""

from datetime import datetime

from django.db import connection
from django.db.models import Q, QuerySet

from apps.compliance.models import Restriction


def restrictions_active(at: datetime) -> QuerySet[Restriction]:
    """Restrictions in force at a moment of wall time."""
    return Restriction.objects.filter(Q(active_to__isnull=True) | Q(active_to__gt=at), active_from__lte=at)


def restrictions_for(*, instrument_id: int, portfolio_id: int, at: datetime) -> list[tuple[str, str]]:
    """(level, reason) of each restriction that concerns orders of the portfolio in the instrument. One query, in SQL because each order asks it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select level, reason from compliance_restriction where instrument_id = %s and (portfolio_id is null or portfolio_id = %s) "
            "and active_from <= %s and (active_to is null or active_to > %s) order by id",
            [instrument_id, portfolio_id, at, at],
        )
        return list(cursor.fetchall())
