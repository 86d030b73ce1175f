"""What a crash may have left behind is finished at start, and again now and then: start-up is recovery.

An order is stored as SENT, with its decisions, before the broker is called. So a crash leaves one of three kinds:
- SENT, UNKNOWN_SENT, or PENDING_REPLACE without an answer: nobody knows whether the broker has it. It is never sent again: the broker is
  asked what it knows of the order, by the desk's own id. (The paper broker keeps nothing, so that its answer is what it would do now; its
  execution ids follow from the order, so that nothing trades twice.)
- PENDING_CANCEL without an answer: the cancel is asked for again.
- PENDING_NEW, judged but not handed over. While both decisions hold it is sent; later the market is another, so it expires. One that waits
  for a second person's approval is no remainder of a crash: it has a quarter of an hour.
"""

import logging
from datetime import datetime, timedelta

from django.db import transaction

from apps.core.errors import DeskError
from apps.execution.brokers.paper import PAPER
from apps.execution.brokers.protocol import BrokerTimeout, ExecutionReport
from apps.execution.domain.states import OrderEventKind, OrderStatus
from apps.execution.models import Order
from apps.execution.selectors.rows import RELATED
from apps.execution.services.approvals import approval_awaited, approval_expire
from apps.execution.services.orders import order_route
from apps.execution.services.report_filter import reports_fresh
from apps.execution.services.reports import order_lock, reports_book
from apps.execution.services.routing import broker_build, broker_order

logger = logging.getLogger(__name__)

#: How long the request that made an order has for its own work before somebody else finishes it.
PATIENCE = timedelta(seconds=5)
STUCK = tuple(
    status.value
    for status in (OrderStatus.PENDING_NEW, OrderStatus.SENT, OrderStatus.UNKNOWN_SENT, OrderStatus.PENDING_CANCEL, OrderStatus.PENDING_REPLACE)
)
#: What ends a wait for a change: its confirmation or refusal, or the end of the order.
ANSWERS_TO_CHANGE = frozenset(
    {OrderEventKind.REPLACED, OrderEventKind.REPLACE_REJECT, OrderEventKind.CANCELED, OrderEventKind.EXPIRED, OrderEventKind.REJECTED}
)
LOOKED_UP = (OrderStatus.SENT, OrderStatus.UNKNOWN_SENT, OrderStatus.PENDING_REPLACE)


def orders_recover(*, at: datetime) -> int:
    """Finish every paper order that has been between two states for longer than `PATIENCE`; returns how many."""
    stuck = Order.objects.filter(account__broker=PAPER, status__in=STUCK, updated_at__lt=at - PATIENCE)
    recovered = 0
    for order in stuck.select_related(*RELATED).order_by("portfolio_id", "id"):
        try:
            _recover(order, at)
        except DeskError:
            logger.exception("order %s could not be recovered", order.pk)
        else:
            recovered += 1
    return recovered


def _recover(order: Order, at: datetime) -> None:
    if order.status == OrderStatus.PENDING_NEW:
        order = _send_or_expire(order, at)
        if order.status == OrderStatus.SENT:  # a moment ago, by us: the broker cannot have it
            order_route(order, at=at)
    elif order.status == OrderStatus.PENDING_CANCEL:
        _cancel_again(order, at)
    else:
        _look_up(order, at)


def _send_or_expire(order: Order, at: datetime) -> Order:
    with transaction.atomic():
        locked = order_lock(portfolio_id=order.portfolio_id, order_id=order.pk)
        if locked.status != OrderStatus.PENDING_NEW:
            return locked
        if approval_awaited(locked):
            return approval_expire(locked, at=at)
        valid = locked.decisions.filter(intent_digest=locked.intent_digest, allowed=True, expires_at__gt=at)
        if valid.values("authority").distinct().count() == 2:
            report = ExecutionReport(kind=OrderEventKind.SENT)
        else:
            report = ExecutionReport(kind=OrderEventKind.EXPIRED, reason="its decisions ran out before it was sent")
        return reports_book(order=locked, reports=[report], source="recovery", at=at)


def _cancel_again(order: Order, at: datetime) -> None:
    answers = broker_build(order.account).cancel(broker_order(order))
    with transaction.atomic():
        locked = order_lock(portfolio_id=order.portfolio_id, order_id=order.pk)
        if locked.status == OrderStatus.PENDING_CANCEL:
            reports_book(order=locked, reports=reports_fresh(locked, answers), source=locked.account.broker, at=at)


def _look_up(order: Order, at: datetime) -> None:
    """Book what the broker knows of the order, which is never sent a second time. A change that it never had is refused."""
    broker = broker_build(order.account)
    try:
        reports = broker.lookup(broker_order(order))
    except BrokerTimeout as error:
        if order.status == OrderStatus.PENDING_REPLACE:
            return  # it works as it was; it is asked again
        reports = (ExecutionReport(kind=OrderEventKind.TIMED_OUT, reason=error.detail),)
    with transaction.atomic():
        locked = order_lock(portfolio_id=order.portfolio_id, order_id=order.pk)
        if locked.status not in LOOKED_UP:
            return
        if locked.status == OrderStatus.PENDING_REPLACE and not any(report.kind in ANSWERS_TO_CHANGE for report in reports):
            reports = (*reports, ExecutionReport(kind=OrderEventKind.REPLACE_REJECT, reason="the broker never had the change"))
        reports_book(order=locked, reports=reports_fresh(locked, reports), source=locked.account.broker, at=at)
