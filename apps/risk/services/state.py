"""The kill switch. One person halts; two different people release, superusers included, and the database insists on it too."""

import logging
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, NoReturn

from django.db import transaction

from apps.alerts.services import alert_raise
from apps.core.errors import Conflict, InvalidInput, NotFound, NotPermitted
from apps.core.locks import lock_transaction
from apps.core.trading import TradingState
from apps.portfolios.selectors.accounts import paper_trading
from apps.portfolios.selectors.portfolios import portfolio_get, portfolio_may_trade, portfolio_members, portfolio_names
from apps.risk.domain.limits import LimitAction
from apps.risk.domain.state import StateView
from apps.risk.models import ReleaseRequest, ReleaseState, TradingStateChange
from apps.risk.selectors.people import everybody_concerned
from apps.risk.selectors.state import own_state, release_requests_open
from apps.risk.services.limits import reason_checked
from apps.risk.signals import trading_state_changed

if TYPE_CHECKING:
    from apps.core.models import User
    from apps.risk.models import LimitEvent

logger = logging.getLogger(__name__)

HALT: Final = "risk.halt_trading"
RELEASE: Final = "risk.release_trading"
REQUEST_LIFE: Final = timedelta(minutes=15)


def trading_halt(
    *, portfolio_id: int | None, user: "User | None", reason: str, at: datetime, state: TradingState = TradingState.HALTED, flatten: bool = False
) -> TradingStateChange:
    """Stop trading of the portfolio, or (None) of the desk: HALTED, or REDUCING where only reductions may still trade.

    `flatten` (REDUCING by somebody with a name only) asks execution to close every position; execution knows who may ask for it.

    `user` None is somebody at the command line of the desk's machine. A halt of what is halted already is kept as a further fact,
    which open release requests do not cover. Raises NotPermitted, NotFound, InvalidInput (no reason, state ACTIVE) and Conflict
    for REDUCING while HALTED, which would be half a release.
    """
    if state is TradingState.ACTIVE:
        raise InvalidInput("a halt goes to HALTED or REDUCING", field="state")
    if flatten and (state is not TradingState.REDUCING or user is None):
        raise InvalidInput("flattening is REDUCING, in the name of a person", field="level")
    text = reason_checked(reason)
    if user is not None:
        _permitted(user, HALT, "halt trading", portfolio_id)
    elif portfolio_id is not None and not portfolio_names([portfolio_id]):
        raise NotFound(f"no portfolio {portfolio_id}")
    with transaction.atomic():
        _lock(portfolio_id)
        if state is TradingState.REDUCING and own_state(portfolio_id).state is TradingState.HALTED:
            raise Conflict("trading is halted: going back needs a release by two people")
        return _change(portfolio_id, state, text, user, None, at, flatten=flatten)


def trading_restrict(*, portfolio_id: int, action: LimitAction, event: "LimitEvent", reason: str, at: datetime) -> TradingStateChange | None:
    """What the live monitor does about a broken limit: block new risk, halt, or (on paper) close everything. Never looser than before.

    None for WARN, and where the portfolio's own state is as strict already. The caller's transaction stores the event with it.
    """
    if action is LimitAction.WARN:
        return None
    with transaction.atomic():
        _lock(portfolio_id)
        name = _closes_for(portfolio_id) if action is LimitAction.FLATTEN else None
        state = TradingState.HALTED if action is LimitAction.HALT else TradingState.REDUCING
        wanted = StateView(state=state, scope=portfolio_id, flatten=name is not None)
        if own_state(portfolio_id).level >= wanted.level:
            return None
        if action is LimitAction.FLATTEN and name is None:
            reason = f"{reason}. Positions are not closed by themselves: the account is not a paper account, or nobody may trade in it"
        return _change(portfolio_id, state, reason[:500], name, None, at, flatten=name is not None, event=event)


def _closes_for(portfolio_id: int) -> "User | None":
    """In whose name the monitor closes positions: the first member who may place orders, where these stay on paper; else nobody's."""
    from apps.core.models import User

    if not paper_trading([portfolio_id]).get(portfolio_id, False):
        return None
    members = User.objects.filter(pk__in=portfolio_members(portfolio_id), is_active=True).order_by("pk")
    return next((user for user in members if portfolio_may_trade(user=user, portfolio_id=portfolio_id)), None)


def trading_release(*, portfolio_id: int | None, user: "User", approver: "User", reason: str, at: datetime) -> TradingStateChange:
    """End a halt, both people being at hand. Raises NotPermitted (also when they are one person), NotFound, InvalidInput and
    Conflict when nothing is halted. Refusals are kept as alerts."""
    text = reason_checked(reason)
    _may_release(portfolio_id, user, approver, at)
    with transaction.atomic():
        _lock(portfolio_id)
        if own_state(portfolio_id).state is TradingState.ACTIVE:
            raise Conflict("trading is not halted")
        return _change(portfolio_id, TradingState.ACTIVE, text, user, approver, at)


def release_request(*, portfolio_id: int | None, user: "User", reason: str, at: datetime) -> ReleaseRequest:
    """Ask that the halt ends: another person with the permission has 15 minutes to approve.

    Raises NotPermitted, NotFound, InvalidInput and Conflict when nothing is halted or a request is open.
    """
    text = reason_checked(reason)
    _permitted(user, RELEASE, "release trading", portfolio_id)
    with transaction.atomic():
        _lock(portfolio_id)
        view = own_state(portfolio_id)
        if view.state is TradingState.ACTIVE or view.change_id is None:
            raise Conflict("trading is not halted")
        for old in release_requests_open(portfolio_id):
            if old.expires_at > at and old.halt_id == view.change_id:
                raise Conflict(f"a release was requested at {old.requested_at:%H:%M} UTC and waits for a second person", request=old.pk)
            old.state, old.decided_at = ReleaseState.WITHDRAWN, at  # expired, or a newer halt has come
            old.save(update_fields=["state", "decided_at"])
        request = ReleaseRequest.objects.create(
            portfolio_id=portfolio_id,
            halt_id=view.change_id,
            reason=text,
            requested_by=user,
            requested_at=at,
            expires_at=at + REQUEST_LIFE,
        )
        _tell(portfolio_id, "RELEASE_REQUESTED", "warning", f"{user} asks to release", text, at, {"request": request.pk})
        return request


def release_approve(*, request_id: int, approver: "User", at: datetime) -> TradingStateChange:
    """Second person's yes: trading goes on. Raises NotFound, NotPermitted (own request, no permission) and Conflict when the request
    is decided, has expired or was made for an older halt. Refusals are kept as alerts."""
    found = ReleaseRequest.objects.select_related("requested_by").filter(pk=request_id).first()
    if found is None:
        raise NotFound(f"no release request {request_id}")
    _may_release(found.portfolio_id, found.requested_by, approver, at)
    with transaction.atomic():
        _lock(found.portfolio_id)
        request = ReleaseRequest.objects.select_for_update().get(pk=request_id)
        if request.state != ReleaseState.PENDING:
            raise Conflict(f"the request is {request.state} already")
        if at >= request.expires_at:
            raise Conflict(f"the request expired at {request.expires_at:%H:%M:%S} UTC: ask again")
        if own_state(request.portfolio_id).change_id != request.halt_id:
            raise Conflict("trading was halted again after the request: ask again")
        request.state, request.approved_by, request.decided_at = ReleaseState.APPROVED, approver, at
        request.save(update_fields=["state", "approved_by", "decided_at"])
        return _change(request.portfolio_id, TradingState.ACTIVE, request.reason, found.requested_by, approver, at)


def release_withdraw(*, request_id: int, user: "User", at: datetime) -> ReleaseRequest:
    """Take back one's own request, or another's as somebody who may release. Raises NotFound, NotPermitted, Conflict (decided)."""
    with transaction.atomic():
        request = ReleaseRequest.objects.select_for_update().filter(pk=request_id).first()
        if request is None:
            raise NotFound(f"no release request {request_id}")
        _permitted(user, RELEASE, "withdraw a release", request.portfolio_id)
        if request.state != ReleaseState.PENDING:
            raise Conflict(f"the request is {request.state} already")
        request.state, request.decided_at = ReleaseState.WITHDRAWN, at
        request.save(update_fields=["state", "decided_at"])
        return request


def _may_release(portfolio_id: int | None, user: "User", approver: "User", at: datetime) -> None:
    """Both may, and they are two. A superuser has every permission but is still one person."""
    if user.pk == approver.pk:
        _refuse(portfolio_id, approver, "a release needs two different people", at)
    for person in (user, approver):
        if not person.is_active or not person.has_perm(RELEASE):
            _refuse(portfolio_id, person, f"{person} may not release trading", at)
        if portfolio_id is not None:
            portfolio_get(user=person, portfolio_id=portfolio_id)


def _refuse(portfolio_id: int | None, person: "User", why: str, at: datetime) -> NoReturn:
    """The attempt itself is a fact that stays: in its own transaction, before the error rolls the rest back."""
    with transaction.atomic():
        _tell(portfolio_id, "RELEASE_REFUSED", "warning", f"A release tried by {person} was refused", why, at, {"user": person.get_username()})
    logger.warning("release of %s refused: %s", _scope(portfolio_id), why)
    raise NotPermitted(why, field="approved_by")


def _permitted(user: "User", permission: str, what: str, portfolio_id: int | None) -> None:
    if not user.is_active or not user.has_perm(permission):
        raise NotPermitted(f"{user} may not {what}")
    if portfolio_id is not None:
        portfolio_get(user=user, portfolio_id=portfolio_id)


def _lock(portfolio_id: int | None) -> None:
    """One change of a scope at a time: the newest row is its state, so a halt must never be overtaken by an older release."""
    lock_transaction(f"trading-state:{portfolio_id or 'desk'}")


def _change(
    portfolio_id: int | None,
    state: TradingState,
    reason: str,
    user: "User | None",
    approver: "User | None",
    at: datetime,
    flatten: bool = False,
    event: "LimitEvent | None" = None,
) -> TradingStateChange:
    change = TradingStateChange.objects.create(
        portfolio_id=portfolio_id,
        state=state,
        flatten=flatten,
        reason=reason,
        changed_by=user,
        approved_by=approver,
        limit_event=event,
        recorded_at=at,
    )
    stopped = state is not TradingState.ACTIVE
    who = "The risk monitor" if event else str(user) if user else "The command line"
    verb = "flattens" if flatten else {TradingState.HALTED: "halted", TradingState.REDUCING: "reduced", TradingState.ACTIVE: "released"}[state]
    title = f"{who} {verb}" if approver is None else f"{who} and {approver} {verb}"
    code = "TRADING_HALTED" if stopped else "TRADING_RELEASED"
    _tell(portfolio_id, code, "critical" if stopped else "info", title, reason, at, {"state": str(state), "flatten": flatten, "change": change.pk})
    user_id = user.pk if user else None
    transaction.on_commit(partial(_announce, portfolio_id=portfolio_id, state=state, reason=reason, user_id=user_id, at=at))
    return change


def _announce(*, portfolio_id: int | None, state: TradingState, reason: str, user_id: int | None, at: datetime) -> None:
    """The change is committed: a receiver that fails is logged and cannot make the halt look failed."""
    replies = trading_state_changed.send_robust(
        sender=TradingStateChange, portfolio_id=portfolio_id, state=state, reason=reason, user_id=user_id, at=at
    )
    for receiver, reply in replies:
        if isinstance(reply, Exception):
            logger.error("%r failed on the trading state %s of %s", receiver, state, _scope(portfolio_id), exc_info=reply)


def _scope(portfolio_id: int | None) -> str:
    return "the desk" if portfolio_id is None else portfolio_names([portfolio_id]).get(portfolio_id, f"portfolio {portfolio_id}")


def _tell(portfolio_id: int | None, code: str, severity: str, title: str, detail: str, at: datetime, data: dict) -> None:
    alert_raise(
        code=code,
        severity=severity,
        title=f"{title} {_scope(portfolio_id)}"[:200] if code != "RELEASE_REFUSED" else title[:200],
        detail=detail,
        subject="desk" if portfolio_id is None else f"portfolio:{portfolio_id}",
        data=data,
        recipients=everybody_concerned(portfolio_id),
        occurred_at=at,
        recorded_at=at,
    )
