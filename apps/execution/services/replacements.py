"""Changing an order that works: judged like a new one, stored, then asked of the broker. Until the answer comes it works as it was."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import transaction

from apps.core.check_codes import CheckCode
from apps.core.errors import Conflict, InvalidInput, PreconditionFailed, RuleRefused
from apps.core.money import ZERO
from apps.core.trading import OrderIntent, TimeInForce, check_as_dict
from apps.execution.brokers.protocol import BrokerTimeout, BrokerUnreachable, ExecutionReport
from apps.execution.domain.guards import REPLACEABLE_COLUMNS
from apps.execution.domain.states import CHANGEABLE_STATUSES, OrderEventKind, OrderStatus
from apps.execution.models import Order, OrderReplacement
from apps.execution.selectors.orders import order_get
from apps.execution.selectors.working import group_order_ids
from apps.execution.services.gate import DECISION_VALIDITY, Gate, gate_check, locates_take
from apps.execution.services.intents import intent_build
from apps.execution.services.order_rows import decisions_insert
from apps.execution.services.report_filter import reports_fresh
from apps.execution.services.reports import order_lock, reports_book
from apps.execution.services.routing import broker_build, broker_order
from apps.risk.domain.case import WAIVED

if TYPE_CHECKING:
    from apps.core.models import User

DESK = "desk"
GATE = "gate"
#: What somebody may ask to change; the rest of `REPLACEABLE_COLUMNS` follows from it.
FIELDS = tuple(name for name in REPLACEABLE_COLUMNS if name != "intent_digest")


class ReplacementDenied(RuleRefused):
    """Risk or compliance refuses the change; the order works on as it was. `checks` says why."""

    code = "REPLACEMENT_DENIED"


def order_replace(*, order_id: int, user: "User", replacement_id: UUID, changes: Mapping[str, Any], at: datetime, seen: int | None = None) -> Order:
    """Change quantity, prices or time in force of a working order; `changes` holds the new values of what changes, `seen` the revision of the
    order that somebody looked at who wants it, None for whatever it is now.

    The same `replacement_id` again returns the order and changes nothing. What trades before the broker has changed it trades as it
    was. Raises NotFound and NotPermitted as for a cancel, InvalidInput (naming the field: a value that no new order could have,
    nothing that changes, a quantity that has traded already), Conflict (it does not work, or another change is on its way, or the
    id belongs to another change, or it would be worth more than may be sent alone), PreconditionFailed (it has changed since it was seen) and
    ReplacementDenied.
    """
    order = order_get(user=user, order_id=order_id)
    intent = _intent(order, user, changes)
    with transaction.atomic():
        locked = order_lock(portfolio_id=order.portfolio_id, order_id=order_id)
        earlier = locked.replacements.filter(replacement_id=replacement_id).first()
        if earlier is not None:
            return _earlier(locked, earlier, intent)
        if seen is not None and locked.revision != seen:
            raise PreconditionFailed(f"order {order_id} has changed since you looked at it: {_now(locked)}")
        _check(locked, intent)
        rest = replace(intent, quantity=intent.quantity - locked.cumulative_quantity)
        beside = (order_id, *group_order_ids(locked.group_id))
        gate = gate_check(intent=rest, user_id=user.pk, at=at, account=locked.account, instead_of=beside, algo_id=locked.algo_id)
        # What was said of it is stored whatever it is, and before the change: the database takes none whose worth it cannot compute.
        decisions_insert(locked, intent_digest=intent.digest, verdicts=gate.verdicts, at=at, expires_at=at + DECISION_VALIDITY)
        refusal = _refusal(locked, intent, gate, at)
        if refusal is None:
            _store(locked, intent, gate, replacement_id, user, at)
    if refusal is not None:
        raise refusal
    return _ask(locked, at)


def _now(order: Order) -> str:
    return f"it is {order.status.replace('_', ' ')}, and {order.cumulative_quantity.normalize():f} of {order.quantity.normalize():f} have traded"


def _intent(order: Order, user: "User", changes: Mapping[str, Any]) -> OrderIntent:
    """The order's intent with the changed values, checked like a new one."""
    unknown = sorted(set(changes) - set(FIELDS))
    if unknown:
        raise InvalidInput(f"{unknown[0]} cannot be changed: {', '.join(FIELDS)} can", field=unknown[0])
    values = {name: getattr(order, name) for name in FIELDS} | dict(changes)
    return intent_build(
        user=user,
        portfolio_id=order.portfolio_id,
        symbol=order.instrument.symbol,
        side=order.side,
        order_type=order.order_type,
        client_order_id=order.client_order_id,
        book=order.book.name,
        strategy=order.strategy,
        **values,
    )


def _earlier(order: Order, earlier: OrderReplacement, intent: OrderIntent) -> Order:
    if earlier.intent_digest != intent.digest:
        raise Conflict(f"{earlier.replacement_id} belongs to another change of order {order.pk}", field="replacement_id")
    return order


def _check(order: Order, intent: OrderIntent) -> None:
    if order.status not in CHANGEABLE_STATUSES:
        raise Conflict(f"order {order.pk} is {order.status}: only a working order is changed", field="order_id", status=str(order.status))
    if intent.digest == order.intent_digest:
        raise InvalidInput("nothing changes", field="quantity")
    if order.algo_id is not None and intent.quantity > order.quantity:
        raise InvalidInput("a child is not made larger than the slice that its parent gave it", field="quantity")
    if intent.quantity <= order.cumulative_quantity:
        text = f"{order.cumulative_quantity.normalize():f} have traded already: cancel the rest instead"
        raise InvalidInput(text, field="quantity")
    if intent.time_in_force.is_immediate:
        raise InvalidInput("an order that works cannot become an immediate one", field="time_in_force")


def _waits_whole(order: Order, intent: OrderIntent, gate: Gate) -> bool:
    """Whether the whole order, what has traded included, would be worth more than may be sent alone: at the price of now, and at that by which
    the order was judged first, as the database asks it."""
    check = next((made for _, made in gate.checks if made.code == CheckCode.APPROVAL_REQUIRED), None)
    if check is None or check.after is None or check.limit is None or check.message.startswith(WAIVED):
        return False
    asked = [price for price in (intent.limit_price, intent.stop_price, order.reference_price) if price is not None]
    rate = next((made.before for _, made in gate.checks if made.code == CheckCode.FX_RATE_MISSING and made.before), Decimal(1))
    first = max(asked, default=ZERO) * rate
    return max(check.after / gate.snapshot.intent.quantity, first) * intent.quantity > check.limit


def _refusal(order: Order, intent: OrderIntent, gate: Gate, at: datetime) -> RuleRefused | Conflict | None:
    """Why the order stays as it was, told in its life; None for a change that may be asked for."""
    waits = _waits_whole(order, intent, gate)
    if gate.allowed and not waits:
        return None
    codes = ", ".join((*gate.codes, CheckCode.APPROVAL_REQUIRED) if waits else gate.codes)
    report = ExecutionReport(kind=OrderEventKind.REPLACE_REJECT, reason=f"{_said(order, intent)}: {codes}")
    reports_book(order=order, reports=[report], source=GATE, at=at)
    if waits:
        return Conflict("the order would be worth more than may be sent alone: cancel it and send a new one", field="quantity")
    checks = [check_as_dict(check) for verdict in gate.verdicts for check in verdict.breaches]
    return ReplacementDenied(f"the change is refused: {codes}", field="order_id", checks=checks)


def _store(order: Order, intent: OrderIntent, gate: Gate, replacement_id: UUID, user: "User", at: datetime) -> None:
    locates_take(gate, at=at)
    becomes_day_order = intent.time_in_force is TimeInForce.DAY and order.time_in_force != TimeInForce.DAY
    OrderReplacement.objects.create(
        order=order,
        day_since=gate.market_time if becomes_day_order else None,
        replacement_id=replacement_id,
        intent_digest=intent.digest,
        requested_by=user,
        requested_at=at,
        **{name: getattr(intent, name) for name in FIELDS},
    )
    report = ExecutionReport(kind=OrderEventKind.PENDING_REPLACE, reason=_said(order, intent))
    reports_book(order=order, reports=[report], source=DESK, at=at)


def _said(order: Order, intent: OrderIntent) -> str:
    return ", ".join(f"{name} {_text(getattr(intent, name))}" for name in FIELDS if getattr(intent, name) != getattr(order, name))


def _text(value: Any) -> str:
    return f"{value.normalize():f}" if isinstance(value, Decimal) else "none" if value is None else str(value)


def _ask(order: Order, at: datetime) -> Order:
    """Ask the broker, outside the transaction that stored the wish, and book the answer. No answer is one that recovery looks for."""
    wanted = order.replacements.order_by("-id").first()
    changed = replace(broker_order(order), **{name: getattr(wanted, name) for name in FIELDS if name != "time_in_force"})
    try:
        answers = broker_build(order.account).replace(broker_order(order), changed)
    except (BrokerTimeout, BrokerUnreachable):
        return order
    with transaction.atomic():
        locked = order_lock(portfolio_id=order.portfolio_id, order_id=order.pk)
        if locked.status != OrderStatus.PENDING_REPLACE:
            return locked
        return reports_book(order=locked, reports=reports_fresh(locked, answers), source=locked.account.broker, at=at)
