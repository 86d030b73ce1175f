"""Brackets and OCO pairs: the orders of a group are kept in step with what has traded, in the same processing, again and again the same.

What a group needs follows from its orders alone (`domain.groups`), and a member's client order id follows from the group and its role: so
whoever looks at a group that a crash left out of step brings it into step, and nobody doubles an order.
"""

import hashlib
import json
import logging
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4, uuid5

from django.db import DatabaseError, transaction
from django.db.models import Exists, OuterRef, Q

from apps.alerts.selectors.alerts import alert_raised
from apps.alerts.services import alert_raise
from apps.core.errors import Conflict, DeskError, InvalidInput
from apps.core.money import ZERO
from apps.core.trading import OrderIntent, OrderType, Side, TimeInForce, closable_quantity
from apps.execution.domain.cycles import passes
from apps.execution.domain.groups import (
    EXITS,
    GROUP_ORDERS,
    Act,
    GroupAction,
    GroupKind,
    GroupRole,
    Member,
    exit_left,
    group_action,
    group_order_id,
)
from apps.execution.domain.halting import RETRY_AFTER
from apps.execution.domain.states import CHANGEABLE_STATUSES, TERMINAL_STATUSES, OrderEventKind, OrderStatus
from apps.execution.models import Order, OrderEvent, OrderGroup, OrderReplacement
from apps.execution.selectors.working import group_order_ids, working_orders
from apps.execution.services.intents import Number, intent_build
from apps.execution.services.orders import OrderLink, order_submit, order_withdraw
from apps.execution.services.replacements import ReplacementDenied, order_replace
from apps.portfolios.selectors.holdings import quantities_held
from apps.portfolios.selectors.portfolios import portfolio_members
from apps.portfolios.services.portfolios import portfolio_lock

if TYPE_CHECKING:
    from apps.core.models import User

logger = logging.getLogger(__name__)

MOST_STEPS = 10
#: How an exit ends without having traded all of it.
LOST_STATUSES = (OrderStatus.DENIED, OrderStatus.REJECTED, OrderStatus.CANCELED, OrderStatus.EXPIRED)
#: How many orders there are of one exit at most, where each ends of nobody's will.
MOST_ATTEMPTS = 3
#: For how long recovery looks at a group of which an exit has ended.
LOOKED_AFTER = timedelta(days=1)
OTHER = {Side.BUY: Side.SELL, Side.SELL: Side.BUY}


def bracket_submit(
    *,
    user: "User",
    at: datetime,
    take_profit: Number,
    stop_loss: Number,
    client_group_id: UUID | None = None,
    exit_time_in_force: str = TimeInForce.GTC,
    note: str = "",
    **fields: Any,
) -> OrderGroup:
    """Submit an entry (`fields` as `intent_build` takes them) whose exits follow as it fills: a limit at `take_profit`, a stop at `stop_loss`.

    The same client group id again returns the first group when all of it is the same. Raises as `intent_build` and `order_submit` do, and
    InvalidInput for exits that are not on their sides of each other, and of the entry's limit.
    """
    key = client_group_id or uuid4()
    entry_id = group_order_id(group=key, portfolio_id=fields["portfolio_id"], role=GroupRole.ENTRY)
    entry = intent_build(user=user, **{**fields, "client_order_id": entry_id})
    group = _group(
        user, GroupKind.BRACKET, entry, key, OTHER[entry.side], take_profit, stop_loss, exit_time_in_force, at, reference=entry.limit_price
    )
    if not group.orders.filter(group_role=GroupRole.ENTRY.value).exists():
        link = OrderLink(group_id=group.pk, group_role=GroupRole.ENTRY.value)
        order_submit(intent=entry, user=user, at=at, note=note or f"entry of bracket {group.pk}", link=link)
    group_advance(group_id=group.pk, at=at)
    return group


def oco_submit(
    *,
    user: "User",
    at: datetime,
    take_profit: Number,
    stop_loss: Number,
    client_group_id: UUID | None = None,
    exit_time_in_force: str = TimeInForce.GTC,
    **fields: Any,
) -> OrderGroup:
    """Submit two exits of a position, of which one cancels the other; `side` is theirs. Raises as `bracket_submit` does."""
    key = client_group_id or uuid4()
    own = group_order_id(group=key, portfolio_id=fields["portfolio_id"], role=GroupRole.TAKE_PROFIT)
    wanted = intent_build(user=user, **{**fields, "client_order_id": own, "order_type": OrderType.LIMIT, "limit_price": take_profit})
    group = _group(user, GroupKind.OCO, wanted, key, wanted.side, take_profit, stop_loss, exit_time_in_force, at, reference=None)
    group_advance(group_id=group.pk, at=at)
    return group


def group_cancel(*, group_id: int, user: "User", at: datetime) -> int:
    """Cancel all working orders of a group; returns how many. Exits that were not sent are never sent once the entry has not traded."""
    from apps.execution.services.orders import order_cancel

    cancelled = 0
    for order_id in Order.objects.working().filter(group_id=group_id).order_by("id").values_list("id", flat=True):
        try:
            order_cancel(order_id=order_id, user=user, at=at, reason="its group was cancelled")
        except Conflict:
            continue
        cancelled += 1
    return cancelled


def group_advance(*, group_id: int, at: datetime) -> int:
    """Bring a group into step; returns how many things were done. Doing it twice does nothing twice."""
    group = OrderGroup.objects.select_related("instrument", "created_by", "book").get(pk=group_id)
    again, done = _to_follow(group, at), 0
    while done < MOST_STEPS and (action := _next_action(group, again)) and _act(group, action, again, at):
        done += 1
    for order in _lost(group, _orders(group)):
        _tell_lost(group, order, at)
    return done


def exit_waits(order: Order) -> bool:
    """True for an exit that would trade more than its group has left: the other one has traded, and this one has not been told yet.

    So it is after a crash between the two. The caller holds the portfolio's lock and calls `group_advance` once it is free.
    """
    if order.group is None or order.group_role == GroupRole.ENTRY:
        return False
    left = exit_left(quantity=order.group.quantity, members=_members(_orders(order.group)))
    return order.quantity - order.cumulative_quantity > left


def groups_recover(*, at: datetime) -> int:
    """Look at every group that may be out of step: with an order that works, or with exits that were never sent or have ended lately without
    trading. Returns what was done."""
    orders = Order.objects.filter(group_id=OuterRef("pk"))
    stop, profit = (Exists(orders.filter(group_role=role.value)) for role in EXITS)
    traded = Q(kind=GroupKind.OCO.value) | Exists(orders.filter(group_role=GroupRole.ENTRY.value, cumulative_quantity__gt=0))
    ended = orders.filter(group_role__in=[role.value for role in EXITS], status__in=LOST_STATUSES, updated_at__gt=at - LOOKED_AFTER)
    found = OrderGroup.objects.filter(Exists(orders.working()) | (traded & ~(stop & profit)) | Exists(ended)).order_by("id")
    done = 0
    for group_id in found.values_list("id", flat=True):
        try:
            done += group_advance(group_id=group_id, at=at)
        except (DeskError, DatabaseError):
            logger.exception("group %s could not be brought into step", group_id)
    return done


def _group(
    user: "User",
    kind: GroupKind,
    intent: OrderIntent,
    key: UUID,
    side: Side,
    take_profit: Number,
    stop_loss: Number,
    time_in_force: str,
    at: datetime,
    *,
    reference: Any,
) -> OrderGroup:
    """The group's row, made or found. Both exits are checked like orders before anything is stored."""
    if time_in_force not in (TimeInForce.DAY, TimeInForce.GTC):
        raise InvalidInput("exits are for the day or good till cancelled", field="exit_time_in_force")
    if intent.time_in_force is TimeInForce.FOK or intent.order_type is OrderType.MARKET_ON_CLOSE:
        raise InvalidInput("an entry that trades at once or at the close only has no bracket here", field="time_in_force")
    profit, loss = (_exit_price(user, intent, side, name, price) for name, price in (("take_profit", take_profit), ("stop_loss", stop_loss)))
    if side.sign * (loss - profit) <= 0:
        text = f"to {side} out, the take-profit lies {'above' if side is Side.SELL else 'below'} the stop-loss"
        raise InvalidInput(text, field="take_profit")
    if reference is not None and not (side.sign * (reference - profit) > 0 and side.sign * (loss - reference) > 0):
        raise InvalidInput("the entry's limit lies between the stop-loss and the take-profit", field="stop_loss")
    values = {
        "book_id": intent.book_id,
        "instrument_id": intent.instrument_id,
        "side": side.value,
        "quantity": intent.quantity,
        "take_profit": profit,
        "stop_loss": loss,
        "time_in_force": str(time_in_force),
        "strategy": intent.strategy,
        "kind": kind.value,
    }
    content = {name: format(value.normalize(), "f") if hasattr(value, "normalize") else str(value) for name, value in values.items()}
    digest = hashlib.sha256(json.dumps([intent.digest, content], sort_keys=True).encode()).hexdigest()
    with transaction.atomic():
        portfolio_lock(intent.portfolio_id)
        group, made = OrderGroup.objects.get_or_create(
            portfolio_id=intent.portfolio_id,
            client_group_id=key,
            defaults={**values, "content_digest": digest, "created_by": user, "created_at": at},
        )
    if not made and group.content_digest != digest:
        raise Conflict(f"client group id {key} belongs to another group, {group.pk}", field="client_group_id", group_id=group.pk)
    return group


def _exit_price(user: "User", intent: OrderIntent, side: Side, name: str, price: Number) -> Any:
    """The price of an exit, checked as an order's. Errors name the exit."""
    try:
        built = intent_build(
            user=user,
            portfolio_id=intent.portfolio_id,
            symbol=intent.symbol,
            side=side,
            quantity=intent.quantity,
            order_type=OrderType.LIMIT,
            limit_price=price,
        )
    except InvalidInput as error:
        raise InvalidInput(error.detail, field=name if error.field == "limit_price" else error.field) from error
    return built.limit_price


def _next_action(group: OrderGroup, again: Collection[int]) -> GroupAction | None:
    return group_action(kind=GroupKind(group.kind), quantity=group.quantity, members=_members(_orders(group)), again=again)


def _orders(group: OrderGroup) -> dict[GroupRole, list[Order]]:
    """The group's orders by role, oldest first: the last one is the one that counts."""
    found: dict[GroupRole, list[Order]] = {}
    for order in Order.objects.filter(group_id=group.pk).order_by("id"):
        found.setdefault(GroupRole(order.group_role), []).append(order)
    return found


def _members(orders: Mapping[GroupRole, Sequence[Order]]) -> dict[GroupRole, Member]:
    return {
        role: Member(
            order_id=order.pk,
            quantity=order.quantity,
            cumulative=order.cumulative_quantity,
            ended=order.status in TERMINAL_STATUSES,
            changeable=order.status in CHANGEABLE_STATUSES,
            cancelling=order.status == OrderStatus.PENDING_CANCEL,
            earlier=sum((one.cumulative_quantity for one in before), ZERO),
            attempt=len(before),
        )
        for role, (*before, order) in orders.items()
    }


def _lost(group: OrderGroup, orders: Mapping[GroupRole, Sequence[Order]]) -> list[Order]:
    """The last exit of each role where it has ended though nobody asked it to, and something is left to exit."""
    if exit_left(quantity=group.quantity, members=_members(orders)) <= 0:
        return []
    exits = [orders[role][-1] for role in EXITS if role in orders]
    return [order for order in exits if order.status in LOST_STATUSES and not _asked(order)]


def _asked(order: Order) -> bool:
    """Whether somebody cancelled an order that has ended: it was being cancelled, or was never sent."""
    before = order.events.exclude(from_status=order.status).order_by("-id").values_list("from_status", flat=True).first()
    return before == OrderStatus.PENDING_CANCEL or (before == OrderStatus.PENDING_NEW and order.status == OrderStatus.CANCELED)


def _to_follow(group: OrderGroup, at: datetime) -> frozenset[int]:
    """Lost exits after which another one is sent by now. Not while somebody has taken the group in hand, who has cancelled the other exit since."""
    orders = _orders(group)
    lost = _lost(group, orders)
    exits = [orders[role][-1] for role in EXITS if role in orders]
    cancelled = [order.updated_at for order in exits if order.status == OrderStatus.CANCELED and order not in lost]
    waited = [order for order in lost if at - order.updated_at >= RETRY_AFTER and not any(since >= order.updated_at for since in cancelled)]
    return frozenset(order.pk for order in waited if _may_follow(group, order))


def _may_follow(group: OrderGroup, order: Order) -> bool:
    """An exit for the day ends with its day, as it was asked to; one that ends again and again is a matter for people."""
    for_the_day = order.status == OrderStatus.EXPIRED and group.time_in_force == TimeInForce.DAY
    ended = [one for one in Order.objects.filter(group_id=group.pk, group_role=order.group_role) if not _passes(one)]
    return not for_the_day and len(ended) < MOST_ATTEMPTS


def _passes(order: Order) -> bool:
    """Whether the gate denied it for what passes by itself: a pause of the market, a rate, an old price."""
    return order.status == OrderStatus.DENIED and passes(order.reason.split(", "))


def _act(group: OrderGroup, action: GroupAction, again: Collection[int], at: datetime) -> bool:
    """True when it was done and the group is worth another look. One that fails is looked at again by recovery."""
    if action.order_id is None:
        return _send(group, action, again, at)
    try:
        if action.act is Act.WITHDRAW:
            order_withdraw(portfolio_id=group.portfolio_id, order_id=action.order_id, reason=action.reason, at=at)
        elif _refused_lately(action.order_id, at):
            return False  # what the refusal itself sets off would only be refused again
        else:
            change = _change_id(group, action)
            order_replace(order_id=action.order_id, user=group.created_by, replacement_id=change, changes={"quantity": action.quantity}, at=at)
    except ReplacementDenied as error:
        _alert(group, action.role, f"keeps its size: {error.detail}", at)
        return False
    except Conflict as error:  # it has ended or is being changed meanwhile: what follows from that is looked at when it is known
        logger.info("order %s of group %s: %s", action.order_id, group.pk, error)
        return False
    return True


def _refused_lately(order_id: int, at: datetime) -> bool:
    refused = OrderEvent.objects.filter(order_id=order_id, kind=OrderEventKind.REPLACE_REJECT.value, recorded_at__gt=at - RETRY_AFTER)
    return refused.exists()


def _change_id(group: OrderGroup, action: GroupAction) -> UUID:
    """The same change of the same order by two processes is one; there and back are two."""
    earlier = OrderReplacement.objects.filter(order_id=action.order_id or 0).count()
    return uuid5(GROUP_ORDERS, f"{group.pk}|{action.order_id}|{earlier}|{action.quantity.normalize():f}")


def _send(group: OrderGroup, action: GroupAction, again: Collection[int], at: datetime) -> bool:
    profit = action.role is GroupRole.TAKE_PROFIT
    intent = OrderIntent(
        client_order_id=group_order_id(group=group.client_group_id, portfolio_id=group.portfolio_id, role=action.role, attempt=action.attempt),
        portfolio_id=group.portfolio_id,
        book_id=group.book_id,
        instrument_id=group.instrument_id,
        symbol=group.instrument.symbol,
        side=Side(group.side),
        quantity=action.quantity,
        order_type=OrderType.LIMIT if profit else OrderType.STOP,
        time_in_force=TimeInForce(group.time_in_force),
        limit_price=group.take_profit if profit else None,
        stop_price=None if profit else group.stop_loss,
        strategy=group.strategy,
    )
    link = OrderLink(group_id=group.pk, group_role=action.role.value)

    def fence() -> None:
        """Under the portfolio's lock: the other exit may have traded since the group was looked at, or somebody closed what a lost one was for."""
        if _next_action(group, again) != action or (action.attempt and not _still_held(intent, group)):
            raise Conflict(f"group {group.pk} needs something else by now", group_id=group.pk)

    note = f"{action.role.replace('_', '-')} of {group.kind} {group.pk}"
    try:
        order = order_submit(intent=intent, user=group.created_by, at=at, note=note, link=link, fence=fence)
    except Conflict:
        return False  # another process has sent it a moment ago for another quantity, or has seen more: the next look brings it into step
    if order.status == OrderStatus.PENDING_NEW:
        _alert(group, action.role, "waits for the approval of a second person", at)
    return True


def _still_held(intent: OrderIntent, group: OrderGroup) -> bool:
    """Whether the exit closes what is held and nothing else closes."""
    held = quantities_held(group.portfolio_id, group.instrument_id)
    own = group_order_ids(group.pk)
    beside = [order for order in working_orders(group.portfolio_id) if order.order_id not in own]
    free = closable_quantity(intent, held=sum(held.values(), ZERO), book_held=held.get(group.book_id, ZERO), working_orders=beside)
    return intent.quantity <= free


def _tell_lost(group: OrderGroup, order: Order, at: datetime) -> None:
    """Once for each order; once for each reason where orders are denied until it has passed."""
    key = f"group:{group.pk}:{order.group_role}:{order.reason}"[:120] if _passes(order) else f"group:{group.pk}:order:{order.pk}"
    if alert_raised(key):
        return
    follows = f"Another one is sent in {RETRY_AFTER.seconds} s" if _may_follow(group, order) else "No other one is sent"
    said = f" ({order.reason})" if order.reason else ""
    _alert(group, GroupRole(order.group_role), f"has ended as {order.status}{said} and protects nothing. {follows}", at, key=key)


def _alert(group: OrderGroup, role: GroupRole, text: str, at: datetime, *, key: str = "") -> None:
    alert_raise(
        code="GROUP_OUT_OF_STEP",
        severity="critical",
        title=f"{group.kind.title()} {group.pk} in {group.instrument.symbol}: an exit is not as it should be",
        detail=f"its {role.replace('_', '-')} {text}. Look at the position.",
        subject=f"group:{group.pk}",
        key=key or f"group:{group.pk}:{role}",
        portfolio_id=group.portfolio_id,
        data={"group_id": group.pk},
        recipients={*portfolio_members(group.portfolio_id), group.created_by_id},
        occurred_at=at,
        recorded_at=at,
    )
