"""One order at Interactive Brokers: sent once, asked for, and brought up to what the gateway has told of it."""

import logging
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from django.db import transaction
from django.db.models import QuerySet

from apps.alerts.services import alert_raise
from apps.core.errors import Conflict
from apps.core.money import ZERO
from apps.core.trading import Side, TimeInForce
from apps.execution.brokers.ib import FEE_PATIENCE, IB, IbBroker
from apps.execution.brokers.ib_book import IbExecution
from apps.execution.brokers.ib_words import execution_parts
from apps.execution.brokers.protocol import BrokerOrder, ExecutionReport
from apps.execution.domain.amounts import trimmed
from apps.execution.domain.states import OrderEventKind, OrderStatus
from apps.execution.models import BrokerRequest, Fill, Order, OrderEvent
from apps.execution.selectors.rates import booking_rate
from apps.execution.services.report_filter import reports_fresh
from apps.execution.services.reports import order_lock, reports_book
from apps.execution.services.routing import broker_order
from apps.portfolios.selectors.portfolios import portfolio_members
from apps.portfolios.services.corrections import trade_correct
from apps.portfolios.services.ledger import entry_post, entry_posted_as

logger = logging.getLogger(__name__)

#: Source of ledger entries for commissions that came after their fill.
COMMISSION = "commission"
#: The status in which a request of a kind is still wanted.
WANTED_IN = {
    OrderEventKind.SENT: OrderStatus.SENT,
    OrderEventKind.PENDING_CANCEL: OrderStatus.PENDING_CANCEL,
    OrderEventKind.PENDING_REPLACE: OrderStatus.PENDING_REPLACE,
}


def ib_order(order: Order) -> BrokerOrder:
    """The order as Interactive Brokers is told of it."""
    return replace(broker_order(order), currency=order.instrument.currency)


def wanted_order(order: Order) -> BrokerOrder | None:
    """The order as the last change asks it to be, None when no change is open."""
    if order.status not in (OrderStatus.PENDING_REPLACE, OrderStatus.PENDING_CANCEL):
        return None
    asked = order.replacements.order_by("-id").first()
    if asked is None or asked.intent_digest == order.intent_digest:
        return None
    names = ("quantity", "limit_price", "stop_price", "trail_offset", "expire_at")
    return replace(ib_order(order), time_in_force=TimeInForce(asked.time_in_force), **{name: getattr(asked, name) for name in names})


def events_waiting(accounts: list[str], *, broker: str = IB) -> QuerySet[OrderEvent]:
    """What was asked for and not yet attempted, in the order in which it was asked."""
    events = OrderEvent.objects.filter(kind__in=[kind.value for kind in WANTED_IN], requests__isnull=True, order__account__broker=broker)
    return (
        events.filter(order__account__number__in=accounts, order__status__in=[status.value for status in WANTED_IN.values()])
        .select_related("order", "order__account")
        .order_by("id")
    )


def request_make(*, event: OrderEvent, broker: IbBroker, at: datetime, cancels_after: datetime | None = None) -> BrokerRequest | None:
    """Do what an event asks for: commit that it is about to be done, then do it. None where nothing is to be sent any more.

    A cancel that was asked for before `cancels_after` and not answered may be made again; nothing else ever is.
    Raises BrokerUnreachable while there is no line, before anything is committed.
    """
    settings = broker.line.settings
    told = request_commit(
        event=event, order_id=broker.line.next_id(), client_id=settings.client_id, gateway=str(settings), at=at, cancels_after=cancels_after
    )
    if told is None:
        return None
    request, order, wanted = told
    _make(OrderEventKind(event.kind), order, wanted, broker, request.broker_order_id)
    return request


def request_commit(
    *, event: OrderEvent, order_id: int, client_id: int, gateway: str, at: datetime, cancels_after: datetime | None = None
) -> tuple[BrokerRequest, Order, BrokerOrder | None] | None:
    """Commit that what an event asks for is about to be done, with the order and what a change wants of it. None where nothing is to be sent.

    `order_id` and `client_id` are 0 where a broker knows an order by our reference alone.
    """
    kind = OrderEventKind(event.kind)
    with transaction.atomic():
        order = order_lock(portfolio_id=event.order.portfolio_id, order_id=event.order_id)
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


def _make(kind: OrderEventKind, order: Order, wanted: BrokerOrder | None, broker: IbBroker, order_id: int) -> None:
    """The bytes leave here. What breaks from now on leaves an order that is looked up."""
    if kind is OrderEventKind.SENT:
        broker.send(ib_order(order), order_id=order_id)
    elif kind is OrderEventKind.PENDING_CANCEL:
        broker.send_cancel(ib_order(order), order_id=order_id)
    elif wanted is not None:
        broker.send_change(ib_order(order), wanted, order_id=order_id)


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
        if told and gone_before and _change_is_gone(locked, told, gone_before):
            told = (*told, ExecutionReport(kind=OrderEventKind.REPLACE_REJECT, reason="the gateway never had the change"))
        fresh = reports_fresh(locked, (*told, *more), same=execution_base)
        if fresh:
            reports_book(order=locked, reports=fresh, source=IB, at=at)
        if locked.cumulative_quantity:
            fills = list(Fill.objects.filter(order=locked, broker=IB).order_by("id"))
            _late_commissions(locked, fills, broker, at)
            _corrections(locked, fills, broker, at)
        return locked


def _change_is_gone(order: Order, told: tuple[ExecutionReport, ...], before: datetime) -> bool:
    """A change was attempted before that time, and nothing that the gateway tells answers it."""
    answers = (OrderEventKind.REPLACED, OrderEventKind.REPLACE_REJECT)
    if order.status != OrderStatus.PENDING_REPLACE or any(report.kind in answers for report in told):
        return False
    asked = order.events.filter(kind=OrderEventKind.PENDING_REPLACE.value).order_by("-id").first()
    return asked is not None and asked.requests.filter(attempted_at__lt=before).exists()


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


def order_alert(*, order: Order, code: str, title: str, detail: str, at: datetime) -> None:
    """Tell the portfolio's people and whoever made the order."""
    alert_raise(
        code=code,
        severity="critical",
        title=title,
        detail=detail,
        subject=f"order:{order.pk}",
        data={"order_id": order.pk},
        recipients={*portfolio_members(order.portfolio_id), order.created_by_id},
        occurred_at=at,
        recorded_at=at,
    )
