"""Books what happened to an order: its status, its events, its fills, the ledger. One transaction, under the portfolio's lock."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import F, Sum

from apps.alerts.services import alert_raise
from apps.core.money import PRICE_PLACES, ZERO, money
from apps.core.postgres.rows import fetch
from apps.core.streams import publish
from apps.core.trading import Side
from apps.execution.brokers.protocol import Execution, ExecutionReport
from apps.execution.domain.amounts import trimmed
from apps.execution.domain.guards import REPLACEABLE_COLUMNS
from apps.execution.domain.states import IllegalTransition, OrderEventKind, OrderStatus, Transition, fill_level, transition_for
from apps.execution.models import Fill, Order
from apps.execution.selectors.rates import booking_rate
from apps.execution.selectors.rows import RELATED, order_row
from apps.execution.services.order_lots import order_lots_of_fill
from apps.execution.services.order_rows import NewEvent, NewFill, order_row_update
from apps.execution.signals import order_changed
from apps.portfolios.selectors.portfolios import portfolio_members
from apps.portfolios.services.ledger import entry_post
from apps.portfolios.services.portfolios import portfolio_lock


@dataclass(slots=True, kw_only=True)
class _Booking:
    """What one transaction writes of one order."""

    order: Order
    source: str
    at: datetime
    events: list[NewEvent] = field(default_factory=list)
    fills: list[NewFill] = field(default_factory=list)
    late: list[NewFill] = field(default_factory=list)


def order_lock(*, portfolio_id: int, order_id: int) -> Order:
    """The order, locked after its portfolio until the transaction ends, with all that its row shows."""
    portfolio_lock(portfolio_id)
    return Order.objects.select_for_update(of=("self",)).select_related(*RELATED).get(pk=order_id, portfolio_id=portfolio_id)


# Rows are locked in the order in which the statement names them: the portfolio first, as everybody does.
_LOCK_MADE = """
select o.status, i.symbol, i.currency, b.name from execution_order o join portfolios_portfolio p on p.id = o.portfolio_id
join marketdata_instrument i on i.id = o.instrument_id join portfolios_book b on b.id = o.book_id
where o.id = %s for update of p for update of o
"""


def made_order_lock(order: Order) -> Order:
    """The same for an order which this process has just made and still holds: its portfolio, account and user are at hand.

    Only the status can have changed since, and then the order is read again.
    """
    ((status, symbol, currency, book),) = fetch(_LOCK_MADE, [order.pk])
    if status != order.status:
        return order_lock(portfolio_id=order.portfolio_id, order_id=order.pk)
    # Its row shows a symbol and a book's name, not more: two objects by hand are cheaper than a join of six tables by the ORM.
    order.instrument = _related("instrument")(pk=order.instrument_id, symbol=symbol, currency=currency)
    order.book = _related("book")(pk=order.book_id, portfolio_id=order.portfolio_id, name=book)
    return order


def _related(name: str) -> Any:
    """The model of a foreign key: other apps' tables are reached through our own."""
    return Order._meta.get_field(name).related_model


def event_of(order: Order, *, kind: OrderEventKind, before: str, source: str, at: datetime, reason: str = "") -> NewEvent:
    """The event that took the order from the status `before` to where it stands. Not saved."""
    return NewEvent(
        kind=kind.value,
        from_status=str(before),
        to_status=str(order.status),
        source=source,
        data={"reason": reason} if reason else {},
        occurred_at=at,
        recorded_at=at,
    )


def reports_book(*, order: Order, reports: Iterable[ExecutionReport], source: str, at: datetime) -> Order:
    """Apply reports in order to a locked order (`order_lock`), inside the caller's transaction.

    An execution id that is booked already is skipped, a fill after the end is booked and alerted. Screens are told after commit.
    Raises IllegalTransition for a report that the transition table does not know from where the order stands.
    """
    booking = _Booking(order=order, source=source, at=at)
    for report in _new(order, tuple(reports)):
        if report.execution is None:
            _step(booking, report)
        else:
            _trade(booking, report.execution)
    _write(booking)
    return order


def order_announce(order: Order) -> None:
    """Tell screens and whoever listens, after commit."""
    transaction.on_commit(partial(publish, f"orders:{order.portfolio_id}", order_row(order)))
    transaction.on_commit(
        partial(
            order_changed.send_robust,
            sender=Order,
            order_id=order.pk,
            portfolio_id=order.portfolio_id,
            status=str(order.status),
            algo_id=order.algo_id,
            group_id=order.group_id,
        )
    )


def _new(order: Order, reports: Sequence[ExecutionReport]) -> Sequence[ExecutionReport]:
    """Without the executions that are booked already, or that the broker tells twice. An order that has not traded has none booked."""
    ids = [report.execution.execution_id for report in reports if report.execution]
    if not ids:
        return reports
    known = set[str]()
    if order.cumulative_quantity:
        known.update(Fill.objects.filter(broker=order.account.broker, execution_id__in=ids).values_list("execution_id", flat=True))
    fresh = []
    for report in reports:
        if report.execution is not None:
            if report.execution.execution_id in known:
                continue
            known.add(report.execution.execution_id)
        fresh.append(report)
    return fresh


def _step(booking: _Booking, report: ExecutionReport) -> None:
    order = booking.order
    if report.kind is OrderEventKind.REPLACED:
        _replace(order)
    _move(booking, report.kind, report.reason)
    if report.kind is OrderEventKind.TRIGGERED:
        order.stop_triggered = True
    elif report.kind is OrderEventKind.RESTATED:
        order.working_stop = report.working_stop
        booking.events[-1].data["working_stop"] = trimmed(report.working_stop)
    elif report.reason:
        order.reason = report.reason[:500]


def _replace(order: Order) -> None:
    """Give the order the values of the change that was asked for last. What has traded meanwhile cannot be changed away."""
    asked = order.replacements.order_by("-id").first()
    if asked is None:
        raise IllegalTransition(f"order {order.pk} was changed by its broker without having been asked to")
    for name in REPLACEABLE_COLUMNS:
        setattr(order, name, getattr(asked, name))
    order.quantity = max(asked.quantity, order.cumulative_quantity)


def _trade(booking: _Booking, execution: Execution) -> None:
    order = booking.order
    fill = NewFill(
        broker=order.account.broker,
        execution_id=execution.execution_id,
        quantity=execution.quantity,
        price=execution.price,
        fee=execution.fee,
        quote=dict(execution.quote),
        market_time=execution.market_time,
        executed_at=booking.at,
        recorded_at=booking.at,
    )
    order.average_price = _average_price(order, booking.fills, fill)
    order.cumulative_quantity += execution.quantity
    transition = _move(booking, OrderEventKind.TRADE)
    booking.events[-1].data.update(
        execution_id=execution.execution_id,
        quantity=trimmed(execution.quantity),
        price=trimmed(execution.price),
        fee=trimmed(execution.fee),
    )
    booking.fills.append(fill)
    if transition.late:
        booking.late.append(fill)


def _average_price(order: Order, unsaved: Sequence[NewFill], fill: NewFill) -> Decimal:
    """Sum of quantity x price over the sum of quantity, from the fills themselves, so that no rounding adds up."""
    notional = sum((one.quantity * one.price for one in (*unsaved, fill)), ZERO)
    if order.cumulative_quantity > sum((one.quantity for one in unsaved), ZERO):
        notional += order.fills.aggregate(total=Sum(F("quantity") * F("price")))["total"]
    average = notional / (order.cumulative_quantity + fill.quantity)
    return average.quantize(Decimal(1).scaleb(-PRICE_PLACES), ROUND_HALF_EVEN)


def _move(booking: _Booking, kind: OrderEventKind, reason: str = "") -> Transition:
    order = booking.order
    before = OrderStatus(order.status)
    level = fill_level(cumulative=order.cumulative_quantity, quantity=order.quantity)
    transition = transition_for(before, kind, level)
    order.status = transition.target.value
    booking.events.append(event_of(order, kind=kind, before=before.value, source=booking.source, at=booking.at, reason=reason))
    return transition


def _write(booking: _Booking) -> None:
    order = booking.order
    if not booking.events:
        return
    order.updated_at = booking.at
    order_row_update(order, events=booking.events, fills=booking.fills)
    done = order.cumulative_quantity - sum((fill.quantity for fill in booking.fills), ZERO)
    for fill in booking.fills:
        _post(order, fill, booking.at, done)
        done += fill.quantity
    for fill in booking.late:
        _late_fill_alert(order, fill, booking.at)
    order_announce(order)


def _post(order: Order, fill: NewFill, at: datetime, done: Decimal) -> None:
    """A fill in another currency than the portfolio's is booked in its own, at the rate of now, and so is a fee that is charged in the account's.
    `done` is what the order had traded before."""
    rate = booking_rate(order)
    fee = fill.fee if rate is None or fee_currency(fill) == order.instrument.currency else money(fill.fee / rate)
    entry_post(
        portfolio_id=order.portfolio_id,
        book_id=order.book_id,
        kind="trade",
        instrument_id=order.instrument_id,
        quantity=fill.quantity * Side(order.side).sign,
        price=fill.price,
        fee=fee,
        currency=order.instrument.currency,
        fx_rate=rate,
        lots=order_lots_of_fill(order, quantity=fill.quantity, done=done, at=at) if order.lots else None,
        source="fill",
        source_ref=f"{fill.broker}:{fill.execution_id}",
        effective_at=fill.market_time,
        recorded_at=at,
        locked=order.portfolio,
    )


def fee_currency(fill: Fill | NewFill) -> str:
    """The currency in which a broker said the fee, "" where it is the account's."""
    return str(fill.quote.get("commission", "")).partition(" ")[2]


def _late_fill_alert(order: Order, fill: NewFill, at: datetime) -> None:
    alert_raise(
        code="LATE_FILL",
        severity="critical",
        title=f"Order {order.pk} traded after it was {order.status}",
        detail=f"{trimmed(fill.quantity)} {order.instrument.symbol} at {trimmed(fill.price)} came late. It is booked: look at the position.",
        subject=f"order:{order.pk}",
        portfolio_id=order.portfolio_id,
        data={"order_id": order.pk, "execution_id": fill.execution_id},
        recipients={*portfolio_members(order.portfolio_id), order.created_by_id},
        occurred_at=at,
        recorded_at=at,
    )
