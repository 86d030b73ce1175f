"""Limits in force. Of several of one scope the tightest counts; how the scopes combine says `limits_met`."""

from collections.abc import Collection
from datetime import datetime
from functools import lru_cache
from typing import Any

from django.db import connection
from django.db.models import Q, QuerySet

from apps.core.postgres.rows import fetch
from apps.risk.domain.limits import PER_ORDER_KINDS, Limit, LimitAction, LimitKind, LimitScope, LimitsMet, ScopedLimit, limits_met, tightest
from apps.risk.models import RiskLimit

#: Losses that the monitor watches and that stop new risk in the gate while their hard level stands broken.
LOSSES = (LimitKind.DAILY_LOSS, LimitKind.DRAWDOWN)
_IN_FORCE = """
select l.kind, l.soft, l.hard, l.action, true as own, l.book_id, b.name, l.instrument_id, l.sector from risk_risklimit l
left join portfolios_book b on b.id = l.book_id
where l.portfolio_id = %(portfolio)s and l.active_from <= %(at)s and (l.active_to is null or l.active_to > %(at)s)
    and (l.book_id is null or l.book_id = %(book)s) and (l.instrument_id is null or l.instrument_id = %(instrument)s)
    and (l.sector = '' or l.sector = (select sector from marketdata_instrument where id = %(instrument)s))
union all select l.kind, l.soft, l.hard, l.action, false, null, null, l.instrument_id, l.sector from risk_desklimit l
where l.active_from <= %(at)s and (l.active_to is null or l.active_to > %(at)s)
    and (l.instrument_id is null or l.instrument_id = %(instrument)s)
    and (l.sector = '' or l.sector = (select sector from marketdata_instrument where id = %(instrument)s))
"""
# The newest event of each loss says whether its hard level is broken. The losses are named in the text: of a parameter PostgreSQL expects ten,
# and plans each order anew.
_BROKEN = f"""
select k.kind, null, e.used, '', null, null, null, null, '' from (values {", ".join(f"('{kind}')" for kind in LOSSES)}) k (kind)
cross join lateral (
    select used, change from risk_limitevent
    where portfolio_id = %(portfolio)s and kind = k.kind and level = 'hard' order by id desc limit 1) e
where e.change = 'raised'
"""  # noqa: S608 - the list is that above
#: Nine columns a limit in force, and a loss that stands broken: in SQL, because each order asks it.
LIMITS_MET = f"{_IN_FORCE} union all {_BROKEN}"
_OF_MANY = """
select portfolio_id, kind, soft, hard, action from risk_risklimit
where portfolio_id = any(%(portfolios)s) and active_from <= %(at)s and (active_to is null or active_to > %(at)s)
    and book_id is null and instrument_id is null and sector = ''
union all select null, kind, soft, hard, action from risk_desklimit
where active_from <= %(at)s and (active_to is null or active_to > %(at)s) and kind <> all(%(per_order)s)
    and instrument_id is null and sector = ''
"""


def limits_active(at: datetime) -> QuerySet[RiskLimit]:
    """Rows in force at a moment of wall time."""
    return RiskLimit.objects.filter(Q(active_to__isnull=True) | Q(active_to__gt=at), active_from__lte=at)


def limits_in_force(portfolio_id: int, at: datetime) -> dict[LimitKind, Limit]:
    """What every order of the portfolio is held to, by kind: its own limits, and the desk's where it has none of the kind. One query."""
    return dict(order_limits(portfolio_id, at, book_id=None, instrument_id=None).limits)


def order_limits(portfolio_id: int, at: datetime, *, book_id: int | None, instrument_id: int | None) -> LimitsMet:
    """What an order of the book in the instrument is held to, and which losses stand broken. One query."""
    return met_by(tuple(fetch(LIMITS_MET, {"portfolio": portfolio_id, "at": at, "book": book_id, "instrument": instrument_id})))


@lru_cache(maxsize=256)
def met_by(rows: tuple[tuple[Any, ...], ...]) -> LimitsMet:
    """What the rows of `LIMITS_MET` say. Nothing but the rows counts, so the same rows need no second reading; nobody changes the answer."""
    limits, broken = [], {}
    for row in rows:
        if row[4] is None:
            broken[LimitKind(row[0])] = row[2]
        else:
            limits.append(_scoped(row))
    return limits_met(limits, broken)


def _scoped(row: tuple[Any, ...]) -> ScopedLimit:
    kind, soft, hard, action, own, book_id, book, instrument_id, sector = row
    if book_id is not None:
        scope = LimitScope.BOOK
    elif instrument_id is not None:
        scope = LimitScope.INSTRUMENT
    elif sector:
        scope = LimitScope.SECTOR
    else:
        scope = LimitScope.PORTFOLIO if own else LimitScope.DESK
    limit = Limit(kind=LimitKind(kind), hard=hard, soft=soft, action=LimitAction(action), scope=scope, subject=book or sector)
    return ScopedLimit(limit=limit, own=own, book_id=book_id, instrument_id=instrument_id, sector=sector)


def limits_of_many(portfolio_ids: Collection[int], at: datetime) -> dict[int, dict[LimitKind, Limit]]:
    """Limits of several whole portfolios: their own, and the desk's of what is used between two orders, where one has none of the kind.

    One query.
    """
    own: dict[int, list[Limit]] = {portfolio_id: [] for portfolio_id in portfolio_ids}
    desk: list[Limit] = []
    with connection.cursor() as cursor:
        cursor.execute(_OF_MANY, {"portfolios": list(own), "at": at, "per_order": [kind.value for kind in PER_ORDER_KINDS]})
        rows = cursor.fetchall()
    for portfolio_id, kind, soft, hard, action in rows:
        scope = LimitScope.DESK if portfolio_id is None else LimitScope.PORTFOLIO
        limit = Limit(kind=LimitKind(kind), hard=hard, soft=soft, action=LimitAction(action), scope=scope)
        (desk if portfolio_id is None else own[portfolio_id]).append(limit)
    return {portfolio_id: tightest(desk) | tightest(limits) for portfolio_id, limits in own.items()}
