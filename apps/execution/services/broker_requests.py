"""What every line to a broker does with an order: find what is asked for, commit that it is about to be done, and tell people."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from apps.alerts.services import alert_raise
from apps.core.trading import TimeInForce
from apps.execution.brokers.protocol import BrokerOrder, ExecutionReport
from apps.execution.domain.states import OrderEventKind, OrderStatus
from apps.execution.models import BrokerRequest, Order, OrderEvent
from apps.execution.services.reports import order_lock, reports_book
from apps.execution.services.routing import broker_order
from apps.portfolios.selectors.portfolios import portfolio_members

#: The status in which a request of a kind is still wanted.
WANTED_IN = {
    OrderEventKind.SENT: OrderStatus.SENT,
    OrderEventKind.PENDING_CANCEL: OrderStatus.PENDING_CANCEL,
    OrderEventKind.PENDING_REPLACE: OrderStatus.PENDING_REPLACE,
}


def wanted_order(order: Order) -> BrokerOrder | None:
    """The order as the last change asks it to be, None when no change is open."""
    if order.status not in (OrderStatus.PENDING_REPLACE, OrderStatus.PENDING_CANCEL):
        return None
    asked = order.replacements.order_by("-id").first()
    if asked is None or asked.intent_digest == order.intent_digest:
        return None
    names = ("quantity", "limit_price", "stop_price", "trail_offset", "expire_at")
    return replace(
        broker_order(order),
        currency=order.instrument.currency,
        time_in_force=TimeInForce(asked.time_in_force),
        **{name: getattr(asked, name) for name in names},
    )


def events_waiting(accounts: list[str], *, broker: str) -> QuerySet[OrderEvent]:
    """What was asked for and not yet attempted, in the order in which it was asked."""
    events = OrderEvent.objects.filter(kind__in=[kind.value for kind in WANTED_IN], requests__isnull=True, order__account__broker=broker)
    return (
        events.filter(order__account__number__in=accounts, order__status__in=[status.value for status in WANTED_IN.values()])
        .select_related("order", "order__account")
        .order_by("id")
    )


def request_commit(
    *, event: OrderEvent, order_id: int, client_id: int, gateway: str, now: Callable[[], datetime], cancels_after: datetime | None = None
) -> tuple[BrokerRequest, Order, BrokerOrder | None] | None:
    """Commit that what an event asks for is about to be done, with the order and what a change wants of it. None where nothing is to be sent.

    `order_id` and `client_id` are 0 where a broker knows an order by our reference alone. `now` is read once nobody else holds the order: the
    decisions have to hold at the moment at which it goes out.
    """
    kind = OrderEventKind(event.kind)
    with transaction.atomic():
        order = order_lock(portfolio_id=event.order.portfolio_id, order_id=event.order_id)
        at = now()
        if order.status != WANTED_IN[kind] or _made_already(event, cancels_after) or _overtaken(event):
            return None
        first = BrokerRequest.objects.filter(event__order=order, kind=OrderEventKind.SENT.value).first()
        if kind is not OrderEventKind.PENDING_CANCEL and not _still_allowed(order, kind, at):
            ended = OrderEventKind.EXPIRED if kind is OrderEventKind.SENT else OrderEventKind.REPLACE_REJECT
            _end_unsent(order, ended, "its decisions ran out before the gateway could be told", at)
            return None
        if kind is OrderEventKind.PENDING_CANCEL and first is None:
            _end_unsent(order, OrderEventKind.CANCELED, "it was never sent", at)
            return None
        request = BrokerRequest.objects.create(
            event=event,
            kind=kind.value,
            broker_order_id=first.broker_order_id if first else order_id,
            client_id=client_id,
            gateway=gateway,
            attempted_at=at,
        )
        return request, order, wanted_order(order)


def _made_already(event: OrderEvent, cancels_after: datetime | None) -> bool:
    made = event.requests.order_by("-id").first()
    return made is not None and (cancels_after is None or made.attempted_at > cancels_after)


def _overtaken(event: OrderEvent) -> bool:
    """The same was asked for again since: what waited and was never sent is not sent beside it."""
    return OrderEvent.objects.filter(order_id=event.order_id, kind=event.kind, pk__gt=event.pk).exists()


def _still_allowed(order: Order, kind: OrderEventKind, at: datetime) -> bool:
    """Both decisions of the order, or of the change that was asked for last, hold at this time."""
    asked = order.replacements.order_by("-id").first() if kind is OrderEventKind.PENDING_REPLACE else order
    digest = asked.intent_digest if asked is not None else ""
    valid = order.decisions.filter(intent_digest=digest, allowed=True, expires_at__gt=at)
    return valid.values("authority").distinct().count() == 2


def _end_unsent(order: Order, kind: OrderEventKind, reason: str, at: datetime) -> None:
    reports_book(order=order, reports=[ExecutionReport(kind=kind, reason=reason)], source="desk", at=at)


def change_is_gone(order: Order, told: tuple[ExecutionReport, ...], before: datetime) -> bool:
    """A change was attempted before that time, and nothing that the broker tells answers it."""
    answers = (OrderEventKind.REPLACED, OrderEventKind.REPLACE_REJECT)
    if order.status != OrderStatus.PENDING_REPLACE or any(report.kind in answers for report in told):
        return False
    asked = order.events.filter(kind=OrderEventKind.PENDING_REPLACE.value).order_by("-id").first()
    return asked is not None and asked.requests.filter(attempted_at__lt=before).exists()


def order_alert(*, order: Order, code: str, title: str, detail: str, at: datetime, key: str = "") -> None:
    """Tell the portfolio's people and whoever made the order. `key` as for `alert_raise`."""
    alert_raise(
        code=code,
        severity="critical",
        title=title,
        detail=detail,
        subject=f"order:{order.pk}",
        key=key,
        portfolio_id=order.portfolio_id,
        data={"order_id": order.pk},
        recipients={*portfolio_members(order.portfolio_id), order.created_by_id},
        occurred_at=at,
        recorded_at=at,
    )
