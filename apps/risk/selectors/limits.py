"""Limits in force. Of several at the same time the tightest counts; a portfolio's own stand in the place of the desk's."""

from collections.abc import Collection, Iterable
from datetime import datetime
from decimal import Decimal

from django.db import connection
from django.db.models import Q, QuerySet

from apps.risk.domain.limits import Limit, LimitAction, LimitKind
from apps.risk.models import RiskLimit

Row = tuple[str, Decimal | None, Decimal, str]

_STRICTNESS = {action: place for place, action in enumerate(LimitAction)}

_IN_FORCE = """
select kind, soft, hard, action, true from risk_risklimit
where portfolio_id = %(portfolio)s and active_from <= %(at)s and (active_to is null or active_to > %(at)s)
union all select kind, soft, hard, action, false from risk_desklimit
where active_from <= %(at)s and (active_to is null or active_to > %(at)s)
"""


def limits_active(at: datetime) -> QuerySet[RiskLimit]:
    """Rows in force at a moment of wall time."""
    return RiskLimit.objects.filter(Q(active_to__isnull=True) | Q(active_to__gt=at), active_from__lte=at)


def limits_in_force(portfolio_id: int, at: datetime) -> dict[LimitKind, Limit]:
    """What orders of the portfolio are held to, by kind: its own limits, and the desk's where it has none of the kind.

    One query, in SQL because each order asks it.
    """
    with connection.cursor() as cursor:
        cursor.execute(_IN_FORCE, {"portfolio": portfolio_id, "at": at})
        rows = cursor.fetchall()
    own = _tightest(row[:4] for row in rows if row[4])
    return _tightest(row[:4] for row in rows if not row[4]) | own


def limits_of_many(portfolio_ids: Collection[int], at: datetime) -> dict[int, dict[LimitKind, Limit]]:
    """The own limits of several portfolios. One query."""
    rows: dict[int, list[Row]] = {portfolio_id: [] for portfolio_id in portfolio_ids}
    found = limits_active(at).filter(portfolio_id__in=portfolio_ids)
    for portfolio_id, kind, soft, hard, action in found.values_list("portfolio_id", "kind", "soft", "hard", "action"):
        rows[portfolio_id].append((kind, soft, hard, action))
    return {portfolio_id: _tightest(own) for portfolio_id, own in rows.items()}


def _tightest(rows: Iterable[Row]) -> dict[LimitKind, Limit]:
    limits: dict[LimitKind, Limit] = {}
    for name, soft, hard, action in rows:
        limit = Limit(kind=LimitKind(name), hard=hard, soft=soft, action=LimitAction(action))
        limits[limit.kind] = _tighter(limits[limit.kind], limit) if limit.kind in limits else limit
    return limits


def _tighter(a: Limit, b: Limit) -> Limit:
    """Level by level, so that neither of two overlapping limits can be passed; of their actions the stricter."""
    hard = min(a.hard, b.hard)
    softs = [limit.soft for limit in (a, b) if limit.soft is not None]
    action = max(a.action, b.action, key=_STRICTNESS.__getitem__)
    return Limit(kind=a.kind, hard=hard, soft=min([*softs, hard]) if softs else None, action=action)
