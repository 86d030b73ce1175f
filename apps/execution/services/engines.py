"""What people do with live engines: describe, start, stop, reset a breaker, approve live trading; and how a process takes one.

A process runs an engine under a fencing token. A take-over, a stop and a revocation raise the token, and from that moment nothing that the
former holder still tries is stored: neither a cycle nor an order.
"""

import hashlib
import json
import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from django.db import transaction
from django.db.models import F

from apps.core.documents import plain
from apps.core.errors import Conflict, InvalidInput, NotFound, NotPermitted
from apps.core.trading import TradingMode
from apps.execution.domain.protection import breaker_reset
from apps.execution.models import EngineEvent, EngineState, LiveApproval, TradingEngine
from apps.execution.models.engines import EngineEventKind
from apps.execution.selectors.engines import portfolio_equity
from apps.execution.services.accounts import account_of
from apps.execution.services.engine_alerts import engine_alert
from apps.execution.services.engine_records import protection_of
from apps.execution.services.routing import broker_build
from apps.portfolios.selectors.portfolios import portfolio_get, portfolio_may_trade
from apps.portfolios.services.portfolios import book_get_or_create

if TYPE_CHECKING:
    from apps.core.models import User

logger = logging.getLogger(__name__)

CONTROL: Final = "execution.control_engine"
RESET: Final = "execution.reset_breaker"
APPROVE: Final = "execution.approve_live"
#: How long a second person may think about an engine that is to trade live.
REQUEST_LIFE: Final = timedelta(hours=24)


def engine_register(
    *,
    portfolio_id: int,
    strategy: str,
    symbols: tuple[str, ...],
    parameters: Mapping[str, Any],
    configuration: Mapping[str, Any],
    mode: TradingMode,
    user: "User",
    at: datetime,
) -> TradingEngine:
    """The portfolio's engine for a strategy, made or brought to what is asked for; its book is made when it is not there.

    Raises NotPermitted (the user does not trade there), Conflict (no account) and ModeMismatch (the account's mode is another).
    """
    if not portfolio_may_trade(user=user, portfolio_id=portfolio_id):
        raise NotPermitted(f"{user.get_username()} may not place orders in portfolio {portfolio_id}", field="user")
    broker_build(account_of(portfolio_id), mode=mode)
    asked = {
        "symbols": sorted(symbols),
        "parameters": plain(dict(parameters)),
        "configuration": plain(dict(configuration)),
        "mode": mode.value,
        "runs_as_id": user.pk,
    }
    digest = hashlib.sha256(json.dumps([portfolio_id, strategy, asked], sort_keys=True).encode()).hexdigest()
    with transaction.atomic():
        book = book_get_or_create(portfolio_id=portfolio_id, name=strategy, recorded_at=at)
        values = {**asked, "config_digest": digest, "book_id": book.pk, "created_at": at, "updated_at": at}
        engine, made = TradingEngine.objects.select_for_update(no_key=True).get_or_create(
            portfolio_id=portfolio_id, strategy=strategy, defaults=values
        )
        if made:
            EngineState.objects.create(engine=engine)
        elif engine.config_digest != digest:
            for name, value in asked.items():
                setattr(engine, name, value)
            engine.config_digest, engine.updated_at = digest, at
            engine.save()
            _fence(engine)  # whoever runs it runs something else
        if made or engine.updated_at == at:
            event_record(engine, EngineEventKind.CONFIGURED, user=user, at=at, data={**asked, "config_digest": digest})
    return engine


def engine_take(engine: TradingEngine, *, holder: str, at: datetime) -> int:
    """Become the process that runs the engine; returns the token. Whoever ran it before is fenced off.

    The caller holds the engine's lease. Raises NotPermitted for a live engine without an approval of its configuration.
    """
    with transaction.atomic():
        state = EngineState.objects.select_for_update(no_key=True).get(engine=engine)
        live_checked(engine)
        state.token, state.holder, state.heartbeat_at = state.token + 1, holder[:200], at
        state.save(update_fields=["token", "holder", "heartbeat_at"])
        event_record(engine, EngineEventKind.TAKEN, token=state.token, at=at, data={"holder": holder})
    return state.token


def engine_leave(engine: TradingEngine, *, token: int, reason: str, at: datetime) -> None:
    """Say that this process no longer runs the engine. Nothing happens when another one does already."""
    with transaction.atomic():
        if EngineState.objects.filter(engine=engine, token=token).update(holder="", token=token + 1):
            event_record(engine, EngineEventKind.RELEASED, token=token, at=at, reason=reason)


def engine_want(engine: TradingEngine, *, user: "User", at: datetime) -> TradingEngine:
    """The same for somebody at the command line of the host, who acts as `user`. Raises NotPermitted for live without approval."""
    return _wanted(engine.pk, user, at, wanted=True, reason="at the command line")


def engine_start(*, engine_id: int, user: "User", at: datetime) -> TradingEngine:
    """A person wants the engine to run: a free host takes it. Raises NotFound, NotPermitted (also live without approval)."""
    return _switch(engine_id, user, at, wanted=True, reason="")


def engine_stop(*, engine_id: int, user: "User", reason: str, at: datetime) -> TradingEngine:
    """A person wants the engine not to run. It orders nothing more from this moment; what works, works on. Raises NotFound, NotPermitted."""
    return _switch(engine_id, user, at, wanted=False, reason=reason)


def engine_reset(*, engine_id: int, user: "User", reason: str, at: datetime) -> EngineState:
    """Close the circuit breaker: falls are measured from the portfolio's value as it is now.

    A day whose loss still is beyond the portfolio stop trips it again. Raises NotFound, NotPermitted, InvalidInput (no reason) and
    Conflict (it is not open).
    """
    engine = engine_controlled(engine_id=engine_id, user=user, permission=RESET)
    text = _reason(reason)
    equity, flows = portfolio_equity(engine.portfolio_id, at)
    with transaction.atomic():
        state = EngineState.objects.select_for_update(no_key=True).get(engine=engine)
        if not state.tripped:
            raise Conflict("the circuit breaker is not open", field="engine")
        before = state.trip_reason
        after = breaker_reset(protection_of(state), equity=equity, flows=flows)
        state.tripped, state.trip_reason, state.tripped_at, state.peak, state.flows = after.tripped, after.reason, None, after.peak, after.flows
        state.save(update_fields=["tripped", "trip_reason", "tripped_at", "peak", "flows"])
        event_record(engine, EngineEventKind.RESET, user=user, token=state.token, at=at, reason=text, data={"was": before, "equity": plain(equity)})
        engine_alert(engine, "BREAKER_RESET", "info", f"{user} has reset the circuit breaker", text, at)
    return state


def live_request(*, engine_id: int, user: "User", reason: str, at: datetime) -> LiveApproval:
    """Ask that the engine may trade live, as it is configured now. Raises NotFound, NotPermitted, InvalidInput, Conflict (paper; asked already)."""
    engine = engine_controlled(engine_id=engine_id, user=user)
    text = _reason(reason)
    if engine.mode != TradingMode.LIVE:
        raise Conflict("the engine trades on paper: nothing is to be approved", field="engine")
    with transaction.atomic():
        EngineState.objects.select_for_update(no_key=True).get(engine=engine)
        for old in LiveApproval.objects.select_for_update().filter(engine=engine, revoked_at__isnull=True):
            stale = old.config_digest != engine.config_digest or (old.approved_at is None and old.expires_at <= at)
            if not stale:
                raise Conflict(f"it is {'approved' if old.approved_at else 'asked for'} already", field="engine", approval=old.pk)
            old.revoked_by, old.revoked_at = user, at  # expired, or for another configuration
            old.save(update_fields=["revoked_by", "revoked_at"])
        approval = LiveApproval.objects.create(
            engine=engine,
            config_digest=engine.config_digest,
            reason=text,
            requested_by=user,
            requested_at=at,
            expires_at=at + REQUEST_LIFE,
        )
        event_record(engine, EngineEventKind.LIVE_REQUESTED, user=user, at=at, reason=text, data={"approval": approval.pk})
        engine_alert(engine, "LIVE_REQUESTED", "warning", f"{user} asks to trade live", text, at)
    return approval


def live_approve(*, approval_id: int, user: "User", at: datetime) -> LiveApproval:
    """The second person's yes. Raises NotFound, NotPermitted (own request, no permission), Conflict (decided, expired, reconfigured)."""
    with transaction.atomic():
        approval = _approval(approval_id, user)
        if not user.has_perm(APPROVE):
            raise NotPermitted("your role does not approve live trading")
        if approval.requested_by_id == user.pk:
            raise NotPermitted("live trading is approved by a second person, not by the one who asks")
        if approval.approved_at is not None or approval.revoked_at is not None:
            raise Conflict("the request is decided already", field="approval")
        if at >= approval.expires_at:
            raise Conflict("the request has expired: ask again", field="approval")
        if approval.config_digest != approval.engine.config_digest:
            raise Conflict("the engine was configured anew after the request: ask again", field="approval")
        approval.approved_by, approval.approved_at = user, at
        approval.save(update_fields=["approved_by", "approved_at"])
        event_record(approval.engine, EngineEventKind.LIVE_APPROVED, user=user, at=at, data={"approval": approval.pk})
        engine_alert(approval.engine, "LIVE_APPROVED", "warning", f"{approval.requested_by} and {user} let it trade live", approval.reason, at)
    return approval


def live_revoke(*, approval_id: int, user: "User", reason: str, at: datetime) -> LiveApproval:
    """Take an approval or a request back, alone: a live engine orders nothing more from this moment. Raises NotFound, NotPermitted, Conflict."""
    text = _reason(reason)
    with transaction.atomic():
        approval = _approval(approval_id, user)
        if not (user.has_perm(APPROVE) or user.has_perm(CONTROL)):
            raise NotPermitted("your role does not take approvals back")
        if approval.revoked_at is not None:
            raise Conflict("it is taken back already", field="approval")
        approval.revoked_by, approval.revoked_at = user, at
        approval.save(update_fields=["revoked_by", "revoked_at"])
        event_record(approval.engine, EngineEventKind.LIVE_REVOKED, user=user, at=at, reason=text, data={"approval": approval.pk})
        _fence(approval.engine)
    return approval


def live_checked(engine: TradingEngine) -> None:
    """Pass for an engine on paper, and for a live one that two people let trade as it is configured. Raises NotPermitted."""
    if engine.mode != TradingMode.LIVE:
        return
    approved = LiveApproval.objects.filter(engine=engine, config_digest=engine.config_digest, approved_at__isnull=False, revoked_at__isnull=True)
    if not approved.exists():
        raise NotPermitted(
            f"{engine.strategy} may not trade live: two people must let it, as it is configured now", field="mode", code_detail="LIVE_NOT_APPROVED"
        )


def engine_controlled(*, engine_id: int, user: "User", permission: str = CONTROL) -> TradingEngine:
    """An engine that the user sees and has the permission for. Raises NotFound and NotPermitted."""
    engine = TradingEngine.objects.select_related("portfolio", "runs_as").filter(pk=engine_id).first()
    if engine is None:
        raise NotFound(f"there is no engine {engine_id}", field="engine")
    portfolio_get(user=user, portfolio_id=engine.portfolio_id)
    if not user.has_perm(permission):
        raise NotPermitted(f"your role does not {'reset circuit breakers' if permission == RESET else 'start and stop engines'}", field="user")
    return engine


def event_record(
    engine: TradingEngine,
    kind: EngineEventKind,
    *,
    at: datetime,
    user: "User | None" = None,
    token: int | None = None,
    reason: str = "",
    data: Mapping[str, Any] | None = None,
) -> EngineEvent:
    """A fact about the engine."""
    if token is None:
        token = EngineState.objects.values_list("token", flat=True).get(engine=engine)
    values = {"reason": reason[:500], "user": user, "token": token, "data": plain(dict(data or {})), "recorded_at": at}
    return EngineEvent.objects.create(engine=engine, kind=kind, **values)


def _switch(engine_id: int, user: "User", at: datetime, *, wanted: bool, reason: str) -> TradingEngine:
    engine_controlled(engine_id=engine_id, user=user)
    return _wanted(engine_id, user, at, wanted=wanted, reason=reason)


def _wanted(engine_id: int, user: "User", at: datetime, *, wanted: bool, reason: str) -> TradingEngine:
    with transaction.atomic():
        engine = TradingEngine.objects.select_for_update(no_key=True).get(pk=engine_id)
        if wanted:
            live_checked(engine)
        if engine.wanted is wanted:
            return engine
        engine.wanted, engine.updated_at = wanted, at
        engine.save(update_fields=["wanted", "updated_at"])
        if not wanted:
            _fence(engine)
        kind = EngineEventKind.STARTED if wanted else EngineEventKind.STOPPED
        event_record(engine, kind, user=user, at=at, reason=reason)
    return engine


def _fence(engine: TradingEngine) -> None:
    """Nothing that the process which runs the engine still does is stored."""
    EngineState.objects.filter(engine=engine).update(token=F("token") + 1, holder="")


def _approval(approval_id: int, user: "User") -> LiveApproval:
    approval = LiveApproval.objects.select_for_update(of=("self",)).select_related("engine", "requested_by").filter(pk=approval_id).first()
    if approval is None:
        raise NotFound(f"there is no request {approval_id}", field="approval")
    portfolio_get(user=user, portfolio_id=approval.engine.portfolio_id)
    return approval


def _reason(text: str) -> str:
    if not text.strip():
        raise InvalidInput("say why", field="reason")
    return text.strip()[:500]
