"""Questions about parent orders: which there are, how far they are, what their children did."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.db import connection
from django.db.models import QuerySet

from apps.core.documents import plain
from apps.core.errors import NotFound
from apps.core.money import ZERO
from apps.core.trading import Side
from apps.execution.domain.algos import AlgoStatus, Standing
from apps.execution.domain.amounts import slippage_bps, trimmed
from apps.execution.models import AlgoOrder, Fill, Order, RoutingDecision
from apps.execution.models.orders import ENDED
from apps.execution.selectors.rows import RELATED as ORDER_RELATED
from apps.execution.selectors.rows import order_row
from apps.portfolios.selectors.portfolios import portfolios_visible

if TYPE_CHECKING:
    from apps.core.models import User

RELATED = ("instrument", "book", "portfolio", "created_by")
ACTIVE = (AlgoStatus.WORKING.value, AlgoStatus.PAUSED.value)

_STANDING = f"""
select coalesce(sum(o.cumulative_quantity), 0),
    coalesce(sum(o.quantity - o.cumulative_quantity) filter (where not o.status in ({", ".join(f"'{status}'" for status in ENDED)})), 0),
    coalesce(max(o.slice), -1) + 1, max(o.market_time),
    count(*) filter (where o.status in ('denied', 'rejected')
        and o.slice > coalesce((select max(slice) from execution_order where algo_id = %(algo)s and status not in ('denied', 'rejected')), -1))
from execution_order o where o.algo_id = %(algo)s
"""  # noqa: S608 - statuses only
_PROGRESS = f"""
select algo_id, sum(cumulative_quantity),
    coalesce(sum(quantity - cumulative_quantity) filter (where not status in ({", ".join(f"'{status}'" for status in ENDED)})), 0),
    count(*), coalesce(sum(cumulative_quantity * average_price), 0)
from execution_order where algo_id = any(%s) group by algo_id
"""  # noqa: S608 - statuses only


@dataclass(frozen=True, slots=True, kw_only=True)
class AlgoDetail:
    """A parent with all that belongs to it, as plain values, oldest first."""

    algo: dict[str, Any]
    events: tuple[dict[str, Any], ...]
    decisions: tuple[dict[str, Any], ...]
    children: tuple[dict[str, Any], ...]
    routing: dict[str, Any] | None


def algos_visible(user: "User") -> QuerySet[AlgoOrder]:
    """Parents of the portfolios that the user sees, with what their rows show."""
    return AlgoOrder.objects.filter(portfolio__in=portfolios_visible(user).order_by()).select_related(*RELATED)


def algo_get(*, user: "User", algo_id: int) -> AlgoOrder:
    """Raises NotFound, also for a parent in a portfolio that the user does not see."""
    parent = algos_visible(user).filter(pk=algo_id).first()
    if parent is None:
        raise NotFound(f"there is no parent order {algo_id}", field="algo_id")
    return parent


def algos_active() -> QuerySet[AlgoOrder]:
    """Parents that work or are paused, in the order of locks."""
    return AlgoOrder.objects.filter(status__in=ACTIVE).select_related(*RELATED).order_by("portfolio_id", "id")


def elapsed(parent: AlgoOrder, market_time: datetime) -> timedelta:
    """Algorithm time: market time since the start without the pauses, negative before the start."""
    paused = parent.paused_for + (max(timedelta(0), market_time - parent.paused_at) if parent.paused_at else timedelta(0))
    return market_time - parent.start_at - paused


def end_of(parent: AlgoOrder, market_time: datetime) -> datetime:
    """When the parent ends (market time): its end moved by its pauses, at most the close of its session."""
    return min(parent.latest_end_at, parent.end_at + (market_time - parent.start_at - elapsed(parent, market_time)))


def standing_of(parent: AlgoOrder, market_time: datetime) -> Standing:
    """How far the parent is, from its children as they stand. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_STANDING, {"algo": parent.pk})
        filled, working, following, last, refused = cursor.fetchone()
    gone = elapsed(parent, market_time)
    if market_time >= parent.latest_end_at:  # a pause moves the end, never past the close
        gone = max(gone, parent.end_at - parent.start_at)
    sent = None if last is None else elapsed(parent, last)
    return Standing(elapsed=gone, filled=filled, working=working, next_slice=following, last_sent=sent, refused=refused)


def algo_row(parent: AlgoOrder) -> dict[str, Any]:
    """The parent as plain values, with its progress (one query)."""
    return algo_rows([parent])[0]


def algo_rows(parents: Iterable[AlgoOrder]) -> list[dict[str, Any]]:
    """Parents as plain values, with their progress: one query for all of them."""
    found = list(parents)
    with connection.cursor() as cursor:
        cursor.execute(_PROGRESS, [[parent.pk for parent in found]])
        progress = {algo_id: numbers for algo_id, *numbers in cursor.fetchall()}
    return [_row(parent, *progress.get(parent.pk, (ZERO, ZERO, 0, ZERO))) for parent in found]


def _row(parent: AlgoOrder, filled: Decimal, working: Decimal, children: int, notional: Decimal) -> dict[str, Any]:
    average = (notional / filled).quantize(Decimal("0.000001")) if filled else None
    slippage = slippage_bps(side=Side(parent.side), average_price=average, arrival_price=parent.reference_price)
    return {
        "id": parent.pk,
        "client_order_id": str(parent.client_order_id),
        "portfolio_id": parent.portfolio_id,
        "portfolio": parent.portfolio.name,
        "book": parent.book.name,
        "symbol": parent.instrument.symbol,
        "side": str(parent.side),
        "quantity": trimmed(parent.quantity),
        "limit_price": trimmed(parent.limit_price),
        "algo": str(parent.algo),
        "parameters": parent.parameters,
        "participation_cap": trimmed(parent.participation_cap),
        "start_at": plain(parent.start_at),
        "end_at": plain(parent.end_at),
        "status": str(parent.status),
        "reason": parent.reason,
        "filled_quantity": trimmed(filled),
        "working_quantity": trimmed(working),
        "left_quantity": trimmed(parent.quantity - filled),
        "progress": format((filled / parent.quantity).quantize(Decimal("0.0001")), "f"),
        "children": children,
        "average_price": trimmed(average),
        "reference_price": trimmed(parent.reference_price),
        "slippage_bps": None if slippage is None else str(slippage),
        "basis": parent.plan["basis"],
        "strategy": parent.strategy,
        "note": parent.note,
        "created_by": parent.created_by.get_username(),
        "market_time": plain(parent.market_time),
        "created_at": plain(parent.created_at),
        "updated_at": plain(parent.updated_at),
    }


def algo_blocking_checks(parent: AlgoOrder) -> list[dict[str, Any]]:
    """All checks of a denied parent that did not pass, with the authority that made them."""
    return [{"authority": one.authority, **check} for one in parent.decisions.order_by("id") for check in one.checks if check["outcome"] != "pass"]


def algo_detail(*, user: "User", algo_id: int) -> AlgoDetail:
    """The parent with events, decisions, children and the routing decision. Raises NotFound as `algo_get` does."""
    parent = algo_get(user=user, algo_id=algo_id)
    routing = RoutingDecision.objects.filter(algo=parent).first()
    return AlgoDetail(
        algo=algo_row(parent) | {"schedule": parent.plan["slices"], "plan": {k: v for k, v in parent.plan.items() if k != "slices"}},
        events=tuple(
            {
                "id": event.pk,
                "kind": event.kind,
                "data": event.data,
                "market_time": plain(event.market_time),
                "recorded_at": plain(event.recorded_at),
            }
            for event in parent.events.order_by("id")
        ),
        decisions=tuple(
            {"authority": one.authority, "allowed": one.allowed, "checks": one.checks, "decided_at": plain(one.decided_at)}
            for one in parent.decisions.order_by("id")
        ),
        children=tuple(order_row(child) for child in parent.children.select_related(*ORDER_RELATED).order_by("slice")),
        routing=None if routing is None else routing_row(routing),
    )


def routing_row(decision: RoutingDecision) -> dict[str, Any]:
    """The decision with every quote that it saw."""
    return {
        "algo_id": decision.algo_id,
        "quantity": trimmed(decision.quantity),
        "best_bid": trimmed(decision.best_bid),
        "best_ask": trimmed(decision.best_ask),
        "order_protection": decision.order_protection,
        "quotes": decision.quotes,
        "routes": decision.routes,
        "remainder": decision.remainder,
        "market_time": plain(decision.market_time),
        "recorded_at": plain(decision.recorded_at),
    }


def algo_progress(algo_ids: Iterable[int]) -> dict[int, dict[str, Any]]:
    """Rows of these parents by id, for the orders that are their children."""
    found = AlgoOrder.objects.filter(pk__in=set(algo_ids)).select_related(*RELATED)
    return {row["id"]: row for row in algo_rows(found)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """A parent over market time: shares due by its schedule (none without one), and shares traded, both cumulative from zero."""

    planned: tuple[tuple[datetime, Decimal], ...]
    done: tuple[tuple[datetime, Decimal], ...]
    until: datetime


def algo_course(parent: AlgoOrder, market_time: datetime) -> Course:
    """How the parent went so far against its schedule, which its pauses have moved. One query."""
    shift = parent.start_at + parent.paused_for
    planned, due = [], ZERO
    for seconds, shares in parent.plan["slices"]:
        due += Decimal(shares)
        planned.append((shift + timedelta(seconds=seconds), due))
    done, traded = [(parent.start_at, ZERO)], ZERO
    for fill in Fill.objects.filter(order__algo=parent).order_by("market_time", "id"):
        traded += fill.quantity
        done.append((fill.market_time, traded))
    ended = parent.status not in ACTIVE
    until = max(done[-1][0], parent.end_at if ended else min(market_time, parent.latest_end_at))
    return Course(planned=tuple(planned), done=(*done, (until, traded)), until=until)


def order_routing(order: Order) -> dict[str, Any]:
    """The routing decision that an order came from. Raises NotFound for one that no smart router sent."""
    decision = RoutingDecision.objects.filter(algo_id=order.algo_id).first() if order.algo_id else None
    if decision is None:
        raise NotFound(f"order {order.pk} was not sent by a smart router", field="order_id")
    return routing_row(decision)
