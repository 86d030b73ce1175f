"""Which instruments are restricted or watched."""

from datetime import datetime

from django.db.models import Q, QuerySet

from apps.compliance.models import Restriction


def restrictions_active(at: datetime) -> QuerySet[Restriction]:
    """Restrictions in force at a moment of wall time."""
    return Restriction.objects.filter(Q(active_to__isnull=True) | Q(active_to__gt=at), active_from__lte=at)
