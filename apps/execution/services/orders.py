"""Orders from the intent to the broker: submit, cancel. The portfolio is locked while an order is judged and while it is booked."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING

from django.db import IntegrityError, transaction

from apps.core.errors import Conflict, DeskError, NotFound
from apps.core.postgres.rows import NotAnswered, asked_together
from apps.core.trading import OrderIntent
from apps.execution.brokers.protocol import BrokerTimeout, BrokerUnreachable, ExecutionReport
from apps.execution.domain.states import FillLevel, OrderEventKind, OrderStatus, transition_for
from apps.execution.models import BrokerageAccount, Order
from apps.execution.selectors.rows import RELATED
from apps.execution.selectors.working import group_order_ids
from apps.execution.services.accounts import account_and_earlier_order, account_question
from apps.execution.services.gate import DECISION_VALIDITY, CheckBroke, Gate, gate_check, gate_questions, locates_take
from apps.execution.services.intents import portfolio_check
from apps.execution.services.order_lots import lots_stored, order_lots_check
from apps.execution.services.order_rows import order_row_insert
from apps.execution.services.report_filter import reports_fresh
from apps.execution.services.reports import event_of, made_order_lock, order_announce, order_lock, reports_book
from apps.execution.services.routing import broker_build, broker_order
from apps.portfolios.selectors.portfolios import portfolio_get
from apps.portfolios.services.portfolios import portfolio_lock, portfolio_lock_question

if TYPE_CHECKING:
    from apps.core.models import User

logger = logging.getLogger(__name__)

DESK = "desk"
GATE = "gate"
WAITS = "waits for the approval of a second person"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLink:
    """What an order belongs to: the slice of a parent, a role in a group, a venue that it was routed to; and the lots (id, quantity > 0) that it
    shall close, in this order. `protects`: the desk leaves a position on its own by it, so that it passes where a day trade too many does not."""

    algo_id: int | None = None
    slice: int | None = None
    venue: str = ""
    group_id: int | None = None
    group_role: str = ""
    protects: bool = False
    lots: tuple[tuple[int, Decimal], ...] = ()


ALONE = OrderLink()
PROTECTING = OrderLink(protects=True)


def order_submit(
    *, intent: OrderIntent, user: "User", at: datetime, note: str = "", link: OrderLink = ALONE, fence: Callable[[], None] | None = None
) -> Order:
    """Judge, store and route an order; a paper order that can trade is filled and booked when this returns.

    A refusal is no error: the order comes back DENIED with all its decisions stored and the blocking codes as reason. One that a second
    person must approve comes back PENDING_NEW (`services.approvals`).
    The same client order id again returns the first order when the intent is the same. `at` is wall time.
    `link` says what it belongs to; orders of its own group are not counted beside it. `fence` is asked in the transaction that stores a
    new order: what it raises, when another process has taken over from this one, keeps the order from being made.
    Raises Conflict (other intent under the same client order id, in whichever portfolio; no account), ModeMismatch, and InvalidInput for lots
    that it cannot close.
    """
    ask = partial(_judged_and_stored, intent=intent, user=user, at=at, note=note, link=link, fence=fence)
    try:
        order, made = ask(savepoint=False)
    except (CheckBroke, NotAnswered):
        order, made = ask(savepoint=True)
    return order_route(order, at=at, made=intent) if made and order.status == OrderStatus.SENT else order


def _judged_and_stored(
    *, intent: OrderIntent, user: "User", at: datetime, note: str, link: OrderLink, fence: Callable[[], None] | None, savepoint: bool
) -> tuple[Order, bool]:
    """The order as it was judged and stored in one transaction, and True; an earlier one of the same id, and False."""
    questions = (
        portfolio_lock_question(intent.portfolio_id),
        account_question(portfolio_id=intent.portfolio_id, client_order_id=intent.client_order_id),
        *gate_questions(intent, user_id=user.pk, at=at, algo_id=link.algo_id),
    )
    with transaction.atomic(), asked_together(questions, savepoint=savepoint):
        portfolio = portfolio_lock(intent.portfolio_id)
        account, earlier = account_and_earlier_order(portfolio_id=intent.portfolio_id, client_order_id=intent.client_order_id)
        if earlier is not None:
            return _earlier(intent, earlier, link), False
        if fence is not None:
            fence()
        if link.lots:
            order_lots_check(intent=intent, lots=link.lots)
        broker_build(account)  # before anything is stored: an account that no adapter serves takes no orders
        beside = group_order_ids(link.group_id)
        gate = gate_check(
            intent=intent,
            user_id=user.pk,
            at=at,
            account=account,
            instead_of=beside,
            algo_id=link.algo_id,
            protects=link.protects,
            savepoint=savepoint,
        )
        try:
            order = _order_insert(intent=intent, account=account, gate=gate, user=user, at=at, note=note, link=link)
        except IntegrityError as error:
            if "order_client_id_once" not in str(error):
                raise
            raise _taken(intent) from error  # another portfolio was as quick
        order.portfolio = portfolio
        if order.status != OrderStatus.SENT:
            order_announce(order)  # a sent one is announced with the broker's answer
    return order, True


def order_route(order: Order, *, at: datetime, made: OrderIntent | None = None) -> Order:
    """Hand a SENT order to its broker and book what is known at once. Doing it twice does nothing twice.

    `made` is the intent of an order which the caller has just made: that spares reading it again.
    """
    try:
        reports = broker_build(order.account).submit(broker_order(order, symbol=made.symbol if made else None))
    except BrokerTimeout as error:
        # It may be there. From here on it is looked up, never sent again.
        reports = (ExecutionReport(kind=OrderEventKind.TIMED_OUT, reason=error.detail),)
    except BrokerUnreachable as error:
        logger.warning("order %s did not leave: %s", order.pk, error)  # recovery finds it SENT, and asks the broker
        reports = ()
    with transaction.atomic():
        locked = made_order_lock(order) if made else order_lock(portfolio_id=order.portfolio_id, order_id=order.pk)
        if locked.status != OrderStatus.SENT:
            return locked  # somebody else has driven it on meanwhile, from the same broker
        if not reports:
            order_announce(locked)
        return reports_book(order=locked, reports=reports, source=locked.account.broker, at=at)


def order_cancel(*, order_id: int, user: "User", at: datetime, reason: str = "") -> Order:
    """Cancel what has not traded yet. An order that is being cancelled already is asked for again.

    Raises NotFound (also for orders of portfolios which the user does not see), NotPermitted, Conflict (it has ended).
    """
    order = Order.objects.filter(pk=order_id).only("id", "portfolio_id").first()
    if order is None:
        raise NotFound(f"there is no order {order_id}", field="order_id")
    try:
        portfolio_get(user=user, portfolio_id=order.portfolio_id)
    except NotFound as error:
        raise NotFound(f"there is no order {order_id}", field="order_id") from error
    portfolio_check(user=user, portfolio_id=order.portfolio_id)
    return _cancel(portfolio_id=order.portfolio_id, order_id=order_id, source=DESK, reason=reason or f"cancelled by {user.get_username()}", at=at)


def working_orders_cancel(*, portfolio_id: int | None, reason: str, at: datetime, but: str | None = None) -> int:
    """Cancel all working orders of a portfolio, or of the whole desk (None), whose cancel is not on its way; returns how many.

    `but` names a strategy whose orders work on. Cancels always pass, whatever the trading state. One that fails is logged and does not
    stop the others.
    """
    working = Order.objects.working().exclude(status=OrderStatus.PENDING_CANCEL.value).order_by("portfolio_id", "id")
    if but is not None:
        working = working.exclude(strategy=but)
    if portfolio_id is not None:
        working = working.filter(portfolio_id=portfolio_id)
    cancelled = 0
    for owner, order_id in working.values_list("portfolio_id", "id"):
        try:
            order_withdraw(portfolio_id=owner, order_id=order_id, reason=reason, at=at)
        except DeskError as error:
            logger.warning("order %s was not cancelled: %s", order_id, error)
        else:
            cancelled += 1
    return cancelled


def order_withdraw(*, portfolio_id: int, order_id: int, reason: str, at: datetime) -> Order:
    """Cancel an order of the desk's own accord: an engine that changed its mind, a halt. Raises Conflict when it has ended."""
    return _cancel(portfolio_id=portfolio_id, order_id=order_id, source=DESK, reason=reason, at=at)


def _earlier(intent: OrderIntent, order_id: int, link: OrderLink) -> Order:
    found = Order.objects.select_related(*RELATED).get(pk=order_id)
    if found.portfolio_id != intent.portfolio_id:
        raise _taken(intent)  # whoever asks may not see that portfolio
    if found.intent_digest != intent.digest or found.lots != lots_stored(link.lots):
        text = f"client order id {intent.client_order_id} belongs to another order, {found.pk}"
        raise Conflict(text, field="client_order_id", order_id=found.pk)
    return found


def _taken(intent: OrderIntent) -> Conflict:
    return Conflict(f"client order id {intent.client_order_id} belongs to another order", field="client_order_id")


def _order_insert(*, intent: OrderIntent, account: BrokerageAccount, gate: Gate, user: "User", at: datetime, note: str, link: OrderLink) -> Order:
    """Store the order with what was decided, and move it to SENT or DENIED; one that a second person must approve stays where it is.

    The broker is called only after this is committed.
    """
    order = Order(
        client_order_id=intent.client_order_id,
        portfolio_id=intent.portfolio_id,
        book_id=intent.book_id,
        account=account,
        instrument_id=intent.instrument_id,
        side=intent.side.value,
        quantity=intent.quantity,
        order_type=intent.order_type.value,
        time_in_force=intent.time_in_force.value,
        limit_price=intent.limit_price,
        stop_price=intent.stop_price,
        trail_offset=intent.trail_offset,
        expire_at=intent.expire_at,
        strategy=intent.strategy,
        note=note,
        algo_id=link.algo_id,
        slice=link.slice,
        venue=link.venue,
        group_id=link.group_id,
        group_role=link.group_role,
        lots=lots_stored(link.lots),
        intent_digest=intent.digest,
        status=OrderStatus.PENDING_NEW.value,
        reference_price=gate.reference_price,
        reason="" if gate.allowed else ", ".join(gate.codes)[:500],
        created_by=user,
        market_time=gate.market_time,
        created_at=at,
        updated_at=at,
    )
    made = event_of(order, kind=OrderEventKind.PENDING_NEW, before="", source=DESK, at=at, reason=WAITS if gate.waits else "")
    if gate.waits:
        return order_row_insert(order, verdicts=gate.verdicts, events=[made], expires_at=at + DECISION_VALIDITY)
    kind = OrderEventKind.SENT if gate.allowed else OrderEventKind.DENIED
    order.status = transition_for(OrderStatus.PENDING_NEW, kind, FillLevel.NONE).target.value
    judged = event_of(order, kind=kind, before=OrderStatus.PENDING_NEW.value, source=GATE, at=at, reason=order.reason)
    order_row_insert(order, verdicts=gate.verdicts, events=[made, judged], expires_at=at + DECISION_VALIDITY)
    if gate.allowed:
        locates_take(gate, at=at)
    return order


def _cancel(*, portfolio_id: int, order_id: int, source: str, reason: str, at: datetime) -> Order:
    with transaction.atomic():
        order = order_lock(portfolio_id=portfolio_id, order_id=order_id)
        if OrderStatus(order.status).is_terminal:
            raise Conflict(f"order {order_id} is {order.status} already", field="order_id", status=str(order.status))
        unsent = order.status == OrderStatus.PENDING_NEW
        kind = OrderEventKind.CANCELED if unsent else OrderEventKind.PENDING_CANCEL
        reports_book(order=order, reports=[ExecutionReport(kind=kind, reason=reason)], source=source, at=at)
    if unsent:
        return order
    try:
        answers = broker_build(order.account).cancel(broker_order(order))
    except (BrokerTimeout, BrokerUnreachable) as error:
        logger.warning("the cancel of order %s is asked for again: %s", order_id, error)
        return order
    with transaction.atomic():
        order = order_lock(portfolio_id=portfolio_id, order_id=order_id)
        if order.status != OrderStatus.PENDING_CANCEL:
            return order
        return reports_book(order=order, reports=reports_fresh(order, answers), source=order.account.broker, at=at)
