"""Changing limits: one person asks, another decides. A new value ends the old row and begins a new one, so that what was in force
on any day can be read."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, NoReturn

from django.db import transaction
from django.db.models import Q

from apps.alerts.services import alert_raise
from apps.core.errors import Conflict, InvalidInput, NotFound, NotPermitted
from apps.core.locks import lock_transaction
from apps.core.money import exact
from apps.marketdata.domain.sectors import Sector
from apps.portfolios.selectors.portfolios import books, portfolio_get, portfolio_may_trade
from apps.risk.domain.limits import BOOK_KINDS, INSTRUMENT_KINDS, LONGEST_WINDOW, SECTOR_KINDS, LimitAction, LimitKind
from apps.risk.models import ChangeState, DeskLimit, LimitChange, RiskLimit
from apps.risk.models.limits import LimitTerms
from apps.risk.selectors.people import everybody_concerned

if TYPE_CHECKING:
    from apps.core.models import User

PLACES = 6
DIGITS = 20
REQUEST: Final = "risk.add_limitchange"
APPROVE: Final = "risk.approve_limitchange"
#: How long a request waits for the second person.
REQUEST_LIFE: Final = timedelta(hours=24)

Level = Decimal | str | int


def limit_change_request(
    *,
    portfolio_id: int | None,
    kind: str,
    hard: Level | None,
    soft: Level | None = None,
    action: str = LimitAction.WARN,
    reason: str,
    user: "User",
    at: datetime,
    active_from: datetime | None = None,
    active_to: datetime | None = None,
    book_id: int | None = None,
    instrument_id: int | None = None,
    sector: str = "",
    tell: bool = True,
) -> LimitChange:
    """Ask for a limit of a portfolio (None: for a control of the desk) or of one book, instrument or sector; without `hard` for its end.

    `action` is what the monitor does on a breach. It holds from the approval on, or from `active_from` if that is later, until `active_to` or
    until it is changed. `tell` False where the second person is at hand: nobody is to be asked. Raises NotPermitted, NotFound (portfolio)
    and InvalidInput (unknown kind or action, a kind that the part cannot be limited in, a level that is not positive or has too many places,
    soft above hard, no reason, an end before the beginning).
    """
    if not user.is_active or not user.has_perm(REQUEST):
        raise NotPermitted("only the risk manager changes limits")
    if portfolio_id is not None:
        portfolio_get(user=user, portfolio_id=portfolio_id)
    _part_checked(portfolio_id, kind, book_id, instrument_id, sector)
    if action not in {item.value for item in LimitAction}:
        raise InvalidInput(f"{action!r} is none of {', '.join(LimitAction)}", field="action")
    begins = at if active_from is None else active_from
    if active_to is not None and active_to <= begins:
        raise InvalidInput("a limit ends after it has begun", field="active_to")
    with transaction.atomic():
        change = LimitChange.objects.create(
            portfolio_id=portfolio_id,
            kind=kind,
            book_id=book_id,
            instrument_id=instrument_id,
            sector=sector,
            **_levels(kind, hard, soft, active_to),
            action=str(action),
            active_from=begins,
            reason=reason_checked(reason),
            requested_by=user,
            requested_at=at,
            expires_at=at + REQUEST_LIFE,
        )
        if tell:
            _tell(change, "LIMIT_CHANGE_REQUESTED", f"{user} asks for another limit: {_terms(change)}", change.reason, at)
    return change


def limit_change_decide(*, change_id: int, user: "User", approve: bool, note: str = "", at: datetime) -> LimitChange:
    """The second person's word. An approved change takes effect at once, or at its `active_from`.

    Raises NotFound, NotPermitted (own request, no permission, a portfolio in which the user trades), InvalidInput (a rejection without a note)
    and Conflict (decided already, expired, or a later change of the limit is there). Refusals to people are kept as alerts.
    """
    found = LimitChange.objects.filter(pk=change_id).first()
    if found is None:
        raise NotFound(f"no change {change_id} of a limit")
    _may_decide(found, user, at)
    said = note.strip()[:500]
    if not approve and not said:
        raise InvalidInput("a rejection needs a reason", field="note")
    with transaction.atomic():
        lock_transaction(f"risk-limits:{found.portfolio_id or 'desk'}")
        change = _decided(change_id, ChangeState.APPROVED if approve else ChangeState.REJECTED, user, said, at)
        if approve:
            _carry_out(change, user)
        _tell(change, "LIMIT_CHANGED" if approve else "LIMIT_CHANGE_REJECTED", f"{user} {change.state} {_terms(change)}", said or change.reason, at)
    return change


def limit_change_withdraw(*, change_id: int, user: "User", at: datetime) -> LimitChange:
    """Take back one's own request. Raises NotFound, NotPermitted (another's) and Conflict (decided already)."""
    found = LimitChange.objects.filter(pk=change_id).first()
    if found is None:
        raise NotFound(f"no change {change_id} of a limit")
    if found.requested_by_id != user.pk:
        raise NotPermitted("a request is withdrawn by who made it; others reject it")
    with transaction.atomic():
        return _decided(change_id, ChangeState.WITHDRAWN, user, "", at)


def limit_set(
    *, portfolio_id: int | None, kind: str, hard: Level | None, soft: Level | None = None, action: str = LimitAction.WARN, reason: str,
    user: "User", approver: "User", active_from: datetime, book_id: int | None = None, instrument_id: int | None = None, sector: str = "",
) -> LimitChange:  # fmt: skip
    """Ask and approve in one step, both people being at hand. Raises what the two steps raise, and then nothing is changed."""
    with transaction.atomic():
        change = limit_change_request(
            portfolio_id=portfolio_id, kind=kind, hard=hard, soft=soft, action=action, reason=reason, user=user, at=active_from,
            book_id=book_id, instrument_id=instrument_id, sector=sector, tell=False,
        )  # fmt: skip
        return limit_change_decide(change_id=change.pk, user=approver, approve=True, at=active_from)


def _part_checked(portfolio_id: int | None, kind: str, book_id: int | None, instrument_id: int | None, sector: str) -> None:
    if kind not in {item.value for item in LimitKind}:
        raise InvalidInput(f"{kind!r} is none of {', '.join(LimitKind)}", field="kind")
    parts = {"book": (book_id, BOOK_KINDS), "instrument": (instrument_id, INSTRUMENT_KINDS), "sector": (sector or None, SECTOR_KINDS)}
    given = [name for name, (value, _) in parts.items() if value is not None]
    if len(given) > 1:
        raise InvalidInput(f"a limit is of one {' or of one '.join(given)}, not of both", field=given[1])
    for name in given:
        if kind not in parts[name][1]:
            raise InvalidInput(f"a limit of one {name} is one of {', '.join(parts[name][1])}", field="kind")
    if sector and sector not in {item.value for item in Sector}:
        raise InvalidInput(f"{sector!r} is none of {', '.join(Sector)}", field="sector")
    if book_id is not None and (portfolio_id is None or book_id not in books(portfolio_id).values()):
        raise InvalidInput("the book is none of the portfolio's", field="book")


def _levels(kind: str, hard: Level | None, soft: Level | None, active_to: datetime | None) -> dict[str, Any]:
    if hard is None:
        if soft is not None or active_to is not None:
            raise InvalidInput("the end of a limit has no level and no end of its own", field="hard")
        return {"hard": None, "soft": None, "active_to": None}
    hard_level = _level(hard, "hard")
    soft_level = None if soft is None else _level(soft, "soft")
    if soft_level is not None and soft_level > hard_level:
        raise InvalidInput(f"the soft level {soft_level} is above the hard level {hard_level}", field="soft")
    if kind == LimitKind.DUPLICATE_WINDOW and hard_level > LONGEST_WINDOW:
        raise InvalidInput(f"the gate looks back {LONGEST_WINDOW} s at most", field="hard")
    return {"hard": hard_level, "soft": soft_level, "active_to": active_to}


def _may_decide(change: LimitChange, user: "User", at: datetime) -> None:
    """They are two, and the second has nothing to gain. A superuser has every permission but is still one person."""
    if user.pk == change.requested_by_id:
        _refuse(change, user, "a limit is changed by two different people", at)
    if not user.is_active or not user.has_perm(APPROVE):
        _refuse(change, user, f"{user} may not decide about limits", at)
    if change.portfolio_id is not None and portfolio_may_trade(user=user, portfolio_id=change.portfolio_id):
        _refuse(change, user, f"{user} trades in the portfolio: nobody decides about limits of their own", at)


def _refuse(change: LimitChange, user: "User", why: str, at: datetime) -> NoReturn:
    """The attempt is a fact that stays: in its own transaction, before the error rolls the rest back."""
    with transaction.atomic():
        _tell(change, "LIMIT_CHANGE_REFUSED", f"{user} may not decide about {_terms(change)}", why, at)
    raise NotPermitted(why, field="decided_by")


def _decided(change_id: int, state: ChangeState, user: "User", note: str, at: datetime) -> LimitChange:
    change = LimitChange.objects.select_for_update().get(pk=change_id)
    if change.state != ChangeState.PENDING:
        raise Conflict(f"the change is {change.state} already")
    if at >= change.expires_at and state is not ChangeState.WITHDRAWN:
        raise Conflict(f"the request expired at {change.expires_at:%Y-%m-%d %H:%M} UTC: ask again")
    change.state, change.decided_by, change.decided_at, change.note = state, user, at, note
    change.save(update_fields=["state", "decided_by", "decided_at", "note"])
    return change


def _carry_out(change: LimitChange, user: "User") -> None:
    """End every row of the same kind and part that is still in force when the change begins, and begin the new one."""
    assert change.decided_at is not None  # noqa: S101 - it has just been decided
    begins = max(change.active_from, change.decided_at)
    scope: dict[str, Any] = {"kind": change.kind, "instrument_id": change.instrument_id, "sector": change.sector}
    model: type[RiskLimit | DeskLimit] = DeskLimit
    if change.portfolio_id is not None:
        model = RiskLimit
        scope |= {"portfolio_id": change.portfolio_id, "book_id": change.book_id}
    ended = list(model.objects.filter(Q(active_to__isnull=True) | Q(active_to__gt=begins), **scope).order_by("active_from"))
    for row in ended:
        if row.active_from >= begins:
            raise Conflict(f"the limit is already changed from {row.active_from:%Y-%m-%d %H:%M} UTC on", field="active_from")
        row.active_to, row.ended_by = begins, change
        _save(row, f"Replaced: {change.reason}", user)
    if change.hard is None:
        if not ended:
            raise Conflict("there is no such limit to end", field="kind")
        return
    if change.active_to is not None and change.active_to <= begins:
        raise Conflict("the change would have ended before it is approved: ask again", field="active_to")
    levels = {"soft": change.soft, "hard": change.hard, "action": change.action, "reason": change.reason}
    _save(model(**scope, **levels, active_from=begins, active_to=change.active_to, change=change), change.reason, user)


def _save(row: LimitTerms, reason: str, user: "User") -> None:
    row._change_reason = reason[:100]
    row._history_user = user
    row.save()


def _terms(change: LimitChange) -> str:
    level = "no more limit" if change.hard is None else format(change.hard.normalize(), "f")
    return f"{change.kind} of {change.book or change.instrument or change.sector or 'all'} in {change.portfolio or 'the desk'}: {level}"


def _tell(change: LimitChange, code: str, title: str, detail: str, at: datetime) -> None:
    alert_raise(
        code=code,
        severity="info" if code == "LIMIT_CHANGED" else "warning",
        title=title[:200],
        detail=detail,
        subject="desk" if change.portfolio_id is None else f"portfolio:{change.portfolio_id}",
        data={"change": change.pk, "kind": change.kind, "state": str(change.state)},
        recipients=everybody_concerned(change.portfolio_id),
        occurred_at=at,
        recorded_at=at,
    )


def _level(value: Level, field: str) -> Decimal:
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
