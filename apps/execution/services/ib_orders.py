"""One order at Interactive Brokers: sent once, asked for, and brought up to what the gateway has told of it."""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import transaction

from apps.core.errors import Conflict
from apps.core.money import ZERO
from apps.core.trading import Side, TimeInForce
from apps.execution.brokers.ib import FEE_PATIENCE, IB, IbBroker
from apps.execution.brokers.ib_book import IbExecution
from apps.execution.brokers.ib_words import execution_parts
from apps.execution.brokers.protocol import BrokerOrder, ExecutionReport
from apps.execution.domain.amounts import trimmed
from apps.execution.domain.sessions import day_order_end
from apps.execution.domain.states import OrderEventKind, OrderStatus
from apps.execution.models import BrokerRequest, Fill, Order, OrderEvent
from apps.execution.selectors.rates import booking_rate
from apps.execution.services.broker_requests import change_is_gone, order_alert, request_commit, wanted_order
from apps.execution.services.report_filter import reports_fresh
from apps.execution.services.reports import order_lock, reports_book
from apps.execution.services.routing import broker_order
from apps.portfolios.services.corrections import trade_correct
from apps.portfolios.services.ledger import entry_post, entry_posted_as

logger = logging.getLogger(__name__)

#: Source of ledger entries for commissions that came after their fill.
COMMISSION = "commission"
#: The gateway's clock and ours.
CLOCKS_DIFFER = timedelta(seconds=5)


def ib_order(order: Order) -> BrokerOrder:
    """The order as Interactive Brokers is told of it."""
    return replace(broker_order(order), currency=order.instrument.currency)


def request_make(*, event: OrderEvent, broker: IbBroker, now: Callable[[], datetime], cancels_after: datetime | None = None) -> BrokerRequest | None:
    """Do what an event asks for: commit that it is about to be done, then do it. None where nothing is to be sent any more.

    A cancel that was asked for before `cancels_after` and not answered may be made again; nothing else ever is.
    Raises BrokerUnreachable while there is no line, before anything is committed.
    """
    settings = broker.line.settings
    told = request_commit(
        event=event, order_id=broker.line.next_id(), client_id=settings.client_id, gateway=str(settings), now=now, cancels_after=cancels_after
    )
    if told is None:
        return None
    request, order, wanted = told
    _make(OrderEventKind(event.kind), order, wanted, broker, request.broker_order_id)
    return request


def _make(kind: OrderEventKind, order: Order, wanted: BrokerOrder | None, broker: IbBroker, order_id: int) -> None:
    """The bytes leave here. What breaks from now on leaves an order that is looked up."""
    if kind is OrderEventKind.SENT:
        broker.send(ib_order(order), order_id=order_id)
    elif kind is OrderEventKind.PENDING_CANCEL:
        broker.send_cancel(ib_order(order), order_id=order_id)
    elif wanted is not None:
        broker.send_change(ib_order(order), wanted, order_id=order_id)


def order_bring_up(
    *, order: Order, broker: IbBroker, at: datetime, gone_before: datetime | None = None, more: tuple[ExecutionReport, ...] = ()
) -> Order:
    """Book all that the gateway has told of an order and that is not booked, then `more` where it still fits.

    `gone_before` is given when the gateway has just told everything it knows: a change that was attempted before this and that it does
    not have was never made. Raises IllegalTransition for what cannot have happened.
    """
    with transaction.atomic():
        locked = order_lock(portfolio_id=order.portfolio_id, order_id=order.pk)
        wanted = wanted_order(locked)
        told = broker.reports(ib_order(locked), wanted=wanted, patience=FEE_PATIENCE)
        if told and gone_before and change_is_gone(locked, told, gone_before):
            told = (*told, ExecutionReport(kind=OrderEventKind.REPLACE_REJECT, reason="the gateway never had the change"))
        told = _with_expiry(locked, told, broker, at)
        fresh = reports_fresh(locked, (*told, *more), same=execution_base)
        if fresh:
            reports_book(order=locked, reports=fresh, source=IB, at=at)
        if locked.cumulative_quantity:
            fills = list(Fill.objects.filter(order=locked, broker=IB).order_by("id"))
            _late_commissions(locked, fills, broker, at)
            _corrections(locked, fills, broker, at)
        return locked


def _with_expiry(order: Order, told: tuple[ExecutionReport, ...], broker: IbBroker, at: datetime) -> tuple[ExecutionReport, ...]:
    """TWS calls cancelled what has expired. A cancel that nobody here has asked for, once the order's time was over, is the end of that time."""
    if order.status == OrderStatus.PENDING_CANCEL or all(report.kind is not OrderEventKind.CANCELED for report in told):
        return told
    until = order.expire_at
    if order.time_in_force == TimeInForce.DAY:
        until = day_order_end(calendar=order.instrument.calendar, market_time=order.market_time or order.created_at)
    if until is None or (broker.completed_at(ib_order(order)) or at) < until - CLOCKS_DIFFER:
        return told
    return tuple(replace(report, kind=OrderEventKind.EXPIRED) if report.kind is OrderEventKind.CANCELED else report for report in told)


def execution_base(execution_id: str) -> str:
    """One text for an execution and all its corrections."""
    return execution_parts(execution_id)[0]


def _late_commissions(order: Order, fills: list[Fill], broker: IbBroker, at: datetime) -> None:
    """A commission that came after its fill was booked is a fee of its own in the ledger."""
    for fill in (one for one in fills if one.quote.get("commission") == "unknown"):
        execution = broker.line.execution(execution_base(fill.execution_id))
        if execution is None or execution.fee is None or execution.fee <= ZERO or _late_commission(fill) is not None:
            continue
        base, own = order.portfolio.base_currency, execution.fee_currency == order.instrument.currency
        currency = order.instrument.currency if own else base
        entry_post(
            portfolio_id=order.portfolio_id,
            book_id=order.book_id,
            kind="fee",
            amount=-execution.fee,
            currency=currency,
            fx_rate=booking_rate(order) if currency != base else None,
            source=COMMISSION,
            source_ref=f"{IB}:{fill.execution_id}",
            effective_at=execution.market_time,
            recorded_at=at,
            locked=order.portfolio,
        )


def _late_commission(fill: Fill) -> Decimal | None:
    """What was booked as the fill's own fee (< 0), None when nothing was."""
    entry = entry_posted_as(COMMISSION, f"{IB}:{fill.execution_id}")
    return None if entry is None else entry.amount


def _fee_of_correction(order: Order, fill: Fill, now: IbExecution) -> Decimal | None:
    """The fee of the whole trade now, less what was booked beside its entry; None when it is unknown or in another currency than the entry."""
    if now.fee is None or now.fee_currency not in ("", order.instrument.currency):
        return None
    late = _late_commission(fill)
    return now.fee if late is None else max(ZERO, now.fee + late)


def _corrections(order: Order, fills: list[Fill], broker: IbBroker, at: datetime) -> None:
    """An execution that the venue has corrected since it was booked: the ledger follows, the fill stays what was told first.

    Read from what stands booked, so that a correction which came while nobody listened is found. Its commission comes a moment later.
    """
    booked = {fill.pk: execution_parts(fill.execution_id) for fill in fills}
    told = broker.line.ask(lambda book: {base: book.executions[base] for base, _ in booked.values() if base in book.executions})
    patient_since = broker.line.now() - FEE_PATIENCE.total_seconds()
    for fill in fills:
        base, revision = booked[fill.pk]
        now = told.get(base)
        if now is None or now.revision <= revision or (now.fee is None and now.seen_at > patient_since):
            continue
        try:
            posted = trade_correct(
                source="fill",
                source_ref=f"{IB}:{fill.execution_id}",
                version=str(now.revision),
                quantity=now.quantity * Side(order.side).sign,
                price=now.price,
                fee=_fee_of_correction(order, fill, now),
                effective_at=now.market_time,
                recorded_at=at,
                locked=order.portfolio,
            )
        except Conflict as error:  # reconciliation tells of it
            logger.warning("execution %s is not corrected: %s", now.execution_id, error.detail)
            continue
        if posted:
            was = f"{trimmed(fill.quantity)} at {trimmed(fill.price)}"
            right = f"{trimmed(now.quantity)} at {trimmed(now.price)}"
            detail = f"{was} was told first, {right} is right: the ledger has a reversing and a new entry. Execution {now.execution_id}."
            order_alert(order=order, code="EXECUTION_CORRECTED", title=f"Order {order.pk}: the venue corrects a fill", detail=detail, at=at)
