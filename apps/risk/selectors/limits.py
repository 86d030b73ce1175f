"""Limits in force. Of several at the same time the tightest counts."""

from collections.abc import Collection
from datetime import datetime

from django.db.models import Q, QuerySet

from apps.risk.domain.limits import Limit, LimitKind
from apps.risk.models import RiskLimit


def limits_active(at: datetime) -> QuerySet[RiskLimit]:
    """Rows in force at a moment of wall time."""
    return RiskLimit.objects.filter(Q(active_to__isnull=True) | Q(active_to__gt=at), active_from__lte=at)


def limits_in_force(portfolio_id: int, at: datetime) -> dict[LimitKind, Limit]:
    """The portfolio's limits by kind. One query."""
    return limits_of_many([portfolio_id], at)[portfolio_id]


def limits_of_many(portfolio_ids: Collection[int], at: datetime) -> dict[int, dict[LimitKind, Limit]]:
    """Limits of several portfolios. One query."""
    result: dict[int, dict[LimitKind, Limit]] = {portfolio_id: {} for portfolio_id in portfolio_ids}
    rows = limits_active(at).filter(portfolio_id__in=portfolio_ids).values_list("portfolio_id", "kind", "soft", "hard")
    for portfolio_id, name, soft, hard in rows:
        limit, limits = Limit(kind=LimitKind(name), hard=hard, soft=soft), result[portfolio_id]
        limits[limit.kind] = _tighter(limits[limit.kind], limit) if limit.kind in limits else limit
    return result


def _tighter(a: Limit, b: Limit) -> Limit:
    """Level by level, so that neither of two overlapping limits can be passed."""
    hard = min(a.hard, b.hard)
    softs = [limit.soft for limit in (a, b) if limit.soft is not None]
    return Limit(kind=a.kind, hard=hard, soft=min([*softs, hard]) if softs else None)
