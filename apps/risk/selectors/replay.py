"""What a change of a limit would have done to the orders of the last days, before anybody approves it."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from django.db.models import Q

from apps.core.errors import InvalidInput
from apps.core.money import ZERO
from apps.risk.domain.limits import Limit, LimitKind, ScopedLimit
from apps.risk.domain.replay import JudgedOrder, Replay, StandingLimit, code_of, replay
from apps.risk.models import DeskLimit, LimitChange, RiskLimit

DAYS = 30
LONGEST = 366

#: Risk never sees an order: execution tells it what risk itself has said about orders. Arguments: code of a check, id of a portfolio (None: of all),
#: since when and until when.
Judged = Callable[[str, int | None, datetime, datetime], Iterable[JudgedOrder]]
_judged: list[Judged] = []


def register_judged_orders(source: Judged) -> None:
    """Called once, by the app that keeps the decisions."""
    _judged[:] = [source]


def limit_replay(change: LimitChange, *, now: datetime, days: int = DAYS) -> Replay | None:
    """Decisions of the last `days` held to the change; None for kinds that no order has a number of. Raises InvalidInput (days)."""
    if not 1 <= days <= LONGEST:
        raise InvalidInput(f"from 1 to {LONGEST} days are replayed", field="days")
    kind = LimitKind(change.kind)
    code = code_of(kind, of_book=change.book_id is not None)
    if code is None:
        return None
    proposed = ScopedLimit(
        limit=Limit(kind=kind, hard=change.hard or ZERO, soft=change.soft),
        own=change.portfolio_id is not None,
        book_id=change.book_id,
        instrument_id=change.instrument_id,
        sector=change.sector,
    )
    orders = [order for source in _judged for order in source(code, change.portfolio_id, now - timedelta(days=days), now)]
    return replay(proposed, portfolio_id=change.portfolio_id, standing=_standing(kind, now), orders=orders, ends=change.hard is None)


def _standing(kind: LimitKind, now: datetime) -> list[StandingLimit]:
    """Every limit of the kind in force now, of all scopes."""
    active = Q(active_to__isnull=True) | Q(active_to__gt=now)
    own = RiskLimit.objects.filter(active, kind=kind, active_from__lte=now).values_list("portfolio_id", "book_id", "instrument_id", "sector")
    desk = DeskLimit.objects.filter(active, kind=kind, active_from__lte=now).values_list("instrument_id", "sector")
    rows = [*own, *((None, None, instrument_id, sector) for instrument_id, sector in desk)]
    return [
        StandingLimit(kind=kind, portfolio_id=portfolio_id, book_id=book_id, instrument_id=instrument_id, sector=sector)
        for portfolio_id, book_id, instrument_id, sector in rows
    ]
