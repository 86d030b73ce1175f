"""Questions about orders and fills: the blotter, one order with its whole life, what a screen needs at first."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db.models import Count, QuerySet

from apps.core.documents import plain
from apps.core.errors import NotFound
from apps.execution.domain.states import OrderStatus
from apps.execution.models import BrokerageAccount, Fill, Order, OrderEvent
from apps.execution.selectors.previews import preview_compared
from apps.execution.selectors.rows import RELATED, fill_row, order_row
from apps.portfolios.selectors.portfolios import portfolios_visible

if TYPE_CHECKING:
    from apps.core.models import User

#: How many orders a stream's first picture shows.
SNAPSHOT_ORDERS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderDetail:
    """One order with everything that happened to it, oldest first, as plain values; `preview` is what was said of it before, None if nothing.

    `revision` is another one after each change of the order.
    """

    order: dict[str, Any]
    revision: int
    events: tuple[dict[str, Any], ...]
    decisions: tuple[dict[str, Any], ...]
    fills: tuple[dict[str, Any], ...]
    preview: dict[str, Any] | None


def orders_visible(user: "User") -> QuerySet[Order]:
    """Orders of the portfolios that the user sees, with what their rows show. The order of the result is the caller's."""
    return Order.objects.filter(portfolio__in=portfolios_visible(user).order_by()).select_related(*RELATED)


def fills_visible(user: "User") -> QuerySet[Fill]:
    """Fills of the portfolios that the user sees, with what their rows show."""
    related = [f"order__{name}" for name in RELATED]
    return Fill.objects.filter(order__portfolio__in=portfolios_visible(user).order_by()).select_related(*related)


def order_get(*, user: "User", order_id: int) -> Order:
    """Raises NotFound, also for an order of a portfolio that the user does not see."""
    order = orders_visible(user).filter(pk=order_id).first()
    if order is None:
        raise NotFound(f"there is no order {order_id}", field="order_id")
    return order


def order_detail(*, user: "User", order_id: int) -> OrderDetail:
    """The order with its events, decisions and fills. Raises NotFound as `order_get` does."""
    order = order_get(user=user, order_id=order_id)
    fills = list(order.fills.order_by("id"))
    for fill in fills:
        fill.order = order
    return OrderDetail(
        order=order_row(order),
        revision=order.revision,
        events=event_rows(order),
        decisions=decision_rows(order),
        fills=tuple(fill_row(fill) for fill in fills),
        preview=preview_compared(order, fills),
    )


def decision_rows(order: Order) -> tuple[dict[str, Any], ...]:
    """What risk and compliance said, with every check and its numbers. `of_change` where it was of a change that somebody asked for later."""
    decisions = list(order.decisions.order_by("id"))
    return tuple(
        {
            "authority": decision.authority,
            "allowed": decision.allowed,
            "of_change": decision.intent_digest != decisions[0].intent_digest,
            "intent_digest": decision.intent_digest,
            "checks": decision.checks,
            "decided_at": plain(decision.decided_at),
            "expires_at": plain(decision.expires_at),
        }
        for decision in decisions
    )


def event_rows(order: Order) -> tuple[dict[str, Any], ...]:
    """Every step of the order, oldest first. `latency_ms` is what the hop took since the step before, None where no clock was read.

    The first hop is the gate (from the beginning of the order's transaction, so with its wait for the portfolio), the next one the broker.
    """
    events = list(order.events.order_by("id"))
    return tuple(_event_row(event, before) for event, before in zip(events, (None, *events), strict=False))


def _event_row(event: OrderEvent, before: OrderEvent | None) -> dict[str, Any]:
    stamped = (event.stamped_at, before.stamped_at if before else None)
    return {
        "id": event.pk,
        "kind": event.kind,
        "from_status": event.from_status,
        "to_status": event.to_status,
        "source": event.source,
        "data": event.data,
        "occurred_at": plain(event.occurred_at),
        "recorded_at": plain(event.recorded_at),
        "latency_ms": round((stamped[0] - stamped[1]) / timedelta(milliseconds=1), 3) if stamped[0] and stamped[1] else None,
    }


def blocking_checks(order: Order) -> list[dict[str, Any]]:
    """All checks of a denied order that did not pass, with the authority that made them."""
    return [
        {"authority": decision["authority"], **check}
        for decision in decision_rows(order)
        for check in decision["checks"]
        if check["outcome"] != "pass"
    ]


def orders_recent(portfolio_id: int, *, limit: int = SNAPSHOT_ORDERS) -> list[dict[str, Any]]:
    """Rows of the portfolio's last orders, newest first."""
    return [order_row(order) for order in Order.objects.filter(portfolio_id=portfolio_id).select_related(*RELATED).order_by("-id")[:limit]]


def orders_traded(portfolio_id: int, *, limit: int = 10) -> list[dict[str, Any]]:
    """Rows of the portfolio's last orders of which something was filled, newest first."""
    orders = Order.objects.filter(portfolio_id=portfolio_id, cumulative_quantity__gt=0).select_related(*RELATED).order_by("-id")
    return [order_row(order) for order in orders[:limit]]


def fills_recent(portfolio_ids: Collection[int], *, limit: int = 10) -> list[dict[str, Any]]:
    """Rows of the portfolios' last fills, newest first."""
    related = [f"order__{name}" for name in RELATED]
    fills = Fill.objects.filter(order__portfolio_id__in=portfolio_ids).select_related(*related).order_by("-id")[:limit]
    return [fill_row(fill) for fill in fills]


def order_counts(portfolio_ids: Collection[int]) -> dict[str, int]:
    """Number of orders by status; statuses without orders are zero."""
    counts: dict[str, int] = {status.value: 0 for status in OrderStatus}
    rows = Order.objects.filter(portfolio_id__in=portfolio_ids).values_list("status").annotate(number=Count("id")).order_by()
    return counts | dict(rows)


def working_count(portfolio_ids: Collection[int]) -> int:
    """Number of orders that may still trade."""
    return Order.objects.filter(portfolio_id__in=portfolio_ids).working().count()


def account_modes(portfolio_ids: Collection[int]) -> dict[int, str]:
    """Trading mode ("paper" or "live") of each portfolio's account; a portfolio without account is left out."""
    return dict(BrokerageAccount.objects.filter(portfolio_id__in=portfolio_ids).values_list("portfolio_id", "mode"))
