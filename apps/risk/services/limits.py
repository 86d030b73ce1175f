"""Setting limits. A new value ends the old row and begins a new one, so that what was in force on any day can be read."""

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import Q

from apps.core.errors import Conflict, InvalidInput, NotPermitted
from apps.core.locks import lock_transaction
from apps.core.money import exact
from apps.portfolios.selectors.portfolios import portfolio_get
from apps.risk.domain.limits import LONGEST_WINDOW, LimitAction, LimitKind
from apps.risk.models import DeskLimit, RiskLimit

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from apps.core.models import User

PLACES = 6
DIGITS = 20


def limit_set(
    *,
    portfolio_id: int,
    kind: str,
    hard: Decimal | str | int,
    soft: Decimal | str | int | None = None,
    action: str = LimitAction.WARN,
    reason: str,
    user: "User",
    active_from: datetime,
) -> RiskLimit:
    """The portfolio's limit of this kind from `active_from` on, until it is set again. `action`: what the monitor does on a breach.

    Raises NotPermitted, NotFound (portfolio), InvalidInput (unknown kind or action, level not positive or with too many places, soft above
    hard, no reason) and Conflict when a later change is already there.
    """
    values = _checked(kind=kind, hard=hard, soft=soft, action=action, reason=reason, user=user)
    portfolio_get(user=user, portfolio_id=portfolio_id)
    with transaction.atomic():
        lock_transaction(f"risk-limits:{portfolio_id}")
        _end_rows(RiskLimit.objects.filter(portfolio_id=portfolio_id, kind=kind), active_from, values["reason"], user)
        limit = RiskLimit(portfolio_id=portfolio_id, kind=kind, active_from=active_from, **values)
        _save(limit, values["reason"], user)
    return limit


def desk_limit_set(
    *,
    kind: str,
    hard: Decimal | str | int,
    soft: Decimal | str | int | None = None,
    action: str = LimitAction.WARN,
    reason: str,
    user: "User",
    active_from: datetime,
) -> DeskLimit:
    """The desk's control of this kind from `active_from` on: for all portfolios without one of their own. Raises as `limit_set` does."""
    values = _checked(kind=kind, hard=hard, soft=soft, action=action, reason=reason, user=user)
    with transaction.atomic():
        lock_transaction("risk-limits:desk")
        _end_rows(DeskLimit.objects.filter(kind=kind), active_from, values["reason"], user)
        limit = DeskLimit(kind=kind, active_from=active_from, **values)
        _save(limit, values["reason"], user)
    return limit


def _checked(*, kind: str, hard: Decimal | str | int, soft: Decimal | str | int | None, action: str, reason: str, user: "User") -> dict[str, Any]:
    if not user.has_perm("risk.change_risklimit"):
        raise NotPermitted("only the risk manager sets limits")
    if kind not in {item.value for item in LimitKind}:
        raise InvalidInput(f"{kind!r} is none of {', '.join(LimitKind)}", field="kind")
    if action not in {item.value for item in LimitAction}:
        raise InvalidInput(f"{action!r} is none of {', '.join(LimitAction)}", field="action")
    hard_level = _level(hard, "hard")
    soft_level = None if soft is None else _level(soft, "soft")
    if soft_level is not None and soft_level > hard_level:
        raise InvalidInput(f"the soft level {soft_level} is above the hard level {hard_level}", field="soft")
    if kind == LimitKind.DUPLICATE_WINDOW and hard_level > LONGEST_WINDOW:
        raise InvalidInput(f"the gate looks back {LONGEST_WINDOW} s at most", field="hard")
    return {"hard": hard_level, "soft": soft_level, "action": str(action), "reason": reason_checked(reason)}


def _end_rows(rows: "QuerySet[Any]", at: datetime, reason: str, user: "User") -> None:
    """End every row that is still in force at `at`. A row that begins there or later is a conflict: it would be overwritten."""
    for row in rows.filter(Q(active_to__isnull=True) | Q(active_to__gt=at)).order_by("active_from"):
        if row.active_from >= at:
            raise Conflict(f"the limit is already changed from {row.active_from:%Y-%m-%d %H:%M} UTC on", field="active_from")
        row.active_to = at
        _save(row, f"Replaced: {reason}", user)


def _save(row: RiskLimit | DeskLimit, reason: str, user: "User") -> None:
    row._change_reason = reason[:100]
    row._history_user = user
    row.save()


def _level(value: Decimal | str | int, field: str) -> Decimal:
    number = exact(value, places=PLACES, field=field)
    if not 0 < number < Decimal(1).scaleb(DIGITS - PLACES):
        raise InvalidInput(f"a limit is a positive number, {value} is not or is too large", field=field)
    return number


def reason_checked(reason: str) -> str:
    """The reason without surrounding blanks. Raises InvalidInput when nothing is left or when it is longer than 500 characters."""
    text = reason.strip()
    if not text:
        raise InvalidInput("a reason is required", field="reason")
    if len(text) > 500:
        raise InvalidInput("a reason has at most 500 characters", field="reason")
    return text
