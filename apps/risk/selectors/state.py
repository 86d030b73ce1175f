"""Who may trade now: the newest change of a portfolio's and of the desk's state."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import Q, QuerySet

from apps.core.trading import TradingState
from apps.risk.domain.case import Settings
from apps.risk.domain.state import StateView, never_switched, stricter
from apps.risk.models import MonitorState, ReleaseRequest, ReleaseState, TradingStateChange

__all__ = [
    "StateView",
    "Watch",
    "monitor_state",
    "own_state",
    "release_requests_open",
    "state_changes",
    "trading_state",
    "trading_states",
    "watch",
]

COMMAND_LINE = "command line"
MONITOR = "risk monitor"
# In SQL, not by the ORM: each order asks this, and building the union costs Django more than the database needs to answer it.
_NEWEST = """
    select c.portfolio_id, c.id, c.state, c.reason, c.recorded_at, u.username, c.changed_by_id, c.flatten, c.limit_event_id
    from risk_tradingstatechange c left join core_user u on u.id = c.changed_by_id
    where c.portfolio_id {} order by c.id desc limit 1"""
_NEWEST_OF, _NEWEST_OF_DESK = _NEWEST.format("= %s"), _NEWEST.format("is null")
_FIELDS = ("portfolio_id", "id", "state", "reason", "recorded_at", "changed_by__username", "changed_by_id", "flatten", "limit_event_id")


def trading_state(portfolio_id: int | None) -> StateView:
    """State of the portfolio, the desk's where that is stricter; with None the desk's own. One query."""
    if portfolio_id is None:
        return own_state(None)
    with connection.cursor() as cursor:
        cursor.execute(f"({_NEWEST_OF}) union all ({_NEWEST_OF_DESK})", [portfolio_id])
        views = _views(cursor.fetchall())
    return stricter(_of(views, portfolio_id), _of(views, None))


def monitor_state() -> MonitorState | None:
    """Where the live monitor stands; None when none has ever run on this desk."""
    return MonitorState.objects.first()


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Whether the live monitor computes as the gate wants it (True too where none is needed), and when it had computed everything last."""

    current: bool
    computed_at: datetime | None


def watch(now: datetime) -> Watch:
    """What a page says of the live monitor: the rule of the gate's RISK_NOT_COMPUTED."""
    state = monitor_state()
    if state is None:
        return Watch(current=not settings.RISK_MONITOR_REQUIRED, computed_at=None)
    at = state.computed_at
    return Watch(current=at is not None and abs(now - at) <= Settings().risk_block_after, computed_at=at)


def own_state(portfolio_id: int | None) -> StateView:
    """State of this scope alone, whatever the desk's is."""
    changes = TradingStateChange.objects.filter(_in_scope(portfolio_id)).order_by("-id")
    return _of(_views(changes.values_list(*_FIELDS)[:1]), portfolio_id)


def trading_states(portfolio_ids: Iterable[int]) -> dict[int, StateView]:
    """State of each portfolio, by one query."""
    wanted = list(portfolio_ids)
    changes = TradingStateChange.objects.filter(portfolio_id__in=wanted) | TradingStateChange.objects.filter(portfolio__isnull=True)
    views = _views(changes.order_by("portfolio_id", "-id").distinct("portfolio_id").values_list(*_FIELDS))
    return {portfolio_id: stricter(_of(views, portfolio_id), _of(views, None)) for portfolio_id in wanted}


def release_requests_open(portfolio_id: int | None) -> QuerySet[ReleaseRequest]:
    """Requests that wait for a second person, newest first. Expired ones are among them: the caller compares `expires_at`."""
    waiting = ReleaseRequest.objects.filter(_in_scope(portfolio_id), state=ReleaseState.PENDING)
    return waiting.select_related("requested_by", "halt").order_by("-id")


def _in_scope(portfolio_id: int | None) -> Q:
    return Q(portfolio__isnull=True) if portfolio_id is None else Q(portfolio_id=portfolio_id)


def _of(views: dict[int | None, StateView], scope: int | None) -> StateView:
    return views.get(scope) or never_switched(scope)


def _views(rows: Iterable[tuple[Any, ...]]) -> dict[int | None, StateView]:
    return {
        portfolio_id: StateView(
            state=TradingState(state),
            reason=reason,
            since=since,
            by=MONITOR if event_id is not None else by or COMMAND_LINE,
            scope=portfolio_id,
            change_id=change_id,
            by_id=by_id,
            flatten=flatten,
        )
        for portfolio_id, change_id, state, reason, since, by, by_id, flatten, event_id in rows
    }


def state_changes(portfolio_id: int, *, limit: int) -> QuerySet[TradingStateChange]:
    """The last changes of the portfolio's and of the desk's state, newest first."""
    scope = TradingStateChange.objects.filter(Q(portfolio_id=portfolio_id) | Q(portfolio_id__isnull=True))
    return scope.select_related("changed_by", "approved_by").order_by("-id")[:limit]
