"""The second person: orders that are worth more than may be sent alone wait for somebody else's word."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.db import transaction

from apps.core.check_codes import CheckCode
from apps.core.errors import Conflict, InvalidInput, NotPermitted
from apps.core.trading import Outcome
from apps.execution.brokers.protocol import ExecutionReport
from apps.execution.domain.states import OrderEventKind, OrderStatus
from apps.execution.models import Order, OrderApproval
from apps.execution.selectors.orders import order_get
from apps.execution.selectors.previews import order_intent
from apps.execution.selectors.working import group_order_ids
from apps.execution.services.gate import DECISION_VALIDITY, gate_check, locates_take
from apps.execution.services.order_rows import decisions_insert
from apps.execution.services.orders import order_route
from apps.execution.services.reports import order_lock, reports_book

if TYPE_CHECKING:
    from apps.core.models import User

#: How long an order waits for the second person.
APPROVAL_VALIDITY = timedelta(minutes=15)
DESK = "desk"
GATE = "gate"


def order_approve(*, order_id: int, user: "User", approve: bool, reason: str, at: datetime) -> Order:
    """Approve an order of somebody else, which is then judged anew and sent, or refuse it, which cancels it.

    Raises NotPermitted (no permission; one's own order, superusers included), NotFound, InvalidInput (no reason) and Conflict (it does
    not wait for anybody, or has waited too long).
    """
    if not user.has_perm("execution.approve_order"):
        raise NotPermitted("your role does not approve orders")
    text = reason.strip()[:200]
    if not text:
        raise InvalidInput("an approval and a refusal need a reason", field="reason")
    order = order_get(user=user, order_id=order_id)
    with transaction.atomic():
        locked = order_lock(portfolio_id=order.portfolio_id, order_id=order_id)
        _check(locked, user, at)
        OrderApproval.objects.create(
            order=locked,
            intent_digest=locked.intent_digest,
            approved=approve,
            decided_by=user,
            reason=text,
            decided_at=at,
            expires_at=at + DECISION_VALIDITY,
        )
        if not approve:
            said = f"{user.get_username()} refused it: {text}"
            return reports_book(order=locked, reports=[ExecutionReport(kind=OrderEventKind.CANCELED, reason=said)], source=DESK, at=at)
        sent = _judge_again(locked, user, at)
    return order_route(sent, at=at) if sent.status == OrderStatus.SENT else sent


def approval_awaited(order: Order) -> bool:
    """Whether the order stays PENDING_NEW because nobody has approved it yet."""
    asked = [{"code": CheckCode.APPROVAL_REQUIRED.value, "outcome": Outcome.WARN.value}]
    waits = order.status == OrderStatus.PENDING_NEW and order.decisions.filter(checks__contains=asked).exists()
    return waits and not OrderApproval.objects.filter(order=order).exists()


def approval_expire(order: Order, *, at: datetime) -> Order:
    """End a locked order that has waited too long; one that may wait on stays as it is."""
    if at - order.created_at < APPROVAL_VALIDITY:
        return order
    report = ExecutionReport(kind=OrderEventKind.EXPIRED, reason="nobody approved it in time")
    return reports_book(order=order, reports=[report], source=DESK, at=at)


def _check(order: Order, user: "User", at: datetime) -> None:
    if order.created_by_id == user.pk:
        raise NotPermitted("nobody approves an order of their own")
    if not approval_awaited(order):
        raise Conflict(f"order {order.pk} is {order.status} and waits for no approval", field="order_id", status=str(order.status))
    if at - order.created_at >= APPROVAL_VALIDITY:
        raise Conflict(f"order {order.pk} has waited for longer than {APPROVAL_VALIDITY}", field="order_id")


def _judge_again(order: Order, user: "User", at: datetime) -> Order:
    """Prices and limits have moved on: the gate is asked again, for the one who made the order."""
    beside = (order.pk, *group_order_ids(order.group_id))
    gate = gate_check(intent=order_intent(order), user_id=order.created_by_id, at=at, account=order.account, instead_of=beside, algo_id=order.algo_id)
    decisions_insert(order, intent_digest=order.intent_digest, verdicts=gate.verdicts, at=at, expires_at=at + DECISION_VALIDITY)
    if gate.allowed:
        locates_take(gate, at=at)
        report = ExecutionReport(kind=OrderEventKind.SENT, reason=f"approved by {user.get_username()}")
    else:
        report = ExecutionReport(kind=OrderEventKind.DENIED, reason=", ".join(gate.codes))
    return reports_book(order=order, reports=[report], source=GATE, at=at)
