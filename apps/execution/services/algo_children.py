"""What belongs to a parent order: its lock, its moves, its events, and its children from the intent to the cancel."""

import logging
from datetime import datetime, timedelta
from typing import Any

from django.db import DatabaseError, transaction

from apps.core.errors import Conflict
from apps.core.trading import OrderIntent
from apps.execution.domain.algos import AlgoStatus
from apps.execution.domain.amounts import trimmed
from apps.execution.models import AlgoEvent, AlgoOrder, Order
from apps.execution.selectors.algos import RELATED
from apps.execution.services.orders import OrderLink, order_submit, order_withdraw
from apps.portfolios.services.portfolios import portfolio_lock

logger = logging.getLogger(__name__)


def algo_lock(*, portfolio_id: int, algo_id: int) -> AlgoOrder:
    """The parent, locked after its portfolio until the transaction ends."""
    portfolio_lock(portfolio_id)
    return AlgoOrder.objects.select_for_update(of=("self",)).select_related(*RELATED).get(pk=algo_id, portfolio_id=portfolio_id)


def algo_move(parent: AlgoOrder, status: AlgoStatus, *, reason: str, market_time: datetime, at: datetime, **data: Any) -> None:
    """Move a locked parent and record why. A pause keeps the market time at which it began; its end adds it to `paused_for`."""
    before = parent.status
    if before == AlgoStatus.PAUSED and parent.paused_at is not None:
        parent.paused_for += max(timedelta(0), market_time - parent.paused_at)
    parent.paused_at = market_time if status is AlgoStatus.PAUSED else None
    parent.status, parent.reason, parent.updated_at = status.value, reason[:500], at
    parent.save(update_fields=["status", "reason", "paused_at", "paused_for", "updated_at"])
    algo_event(parent, str(status), market_time=market_time, at=at, before=str(before), reason=reason, **data)


def algo_event(parent: AlgoOrder, kind: str, *, market_time: datetime, at: datetime, **data: Any) -> None:
    """Record a step of a parent."""
    AlgoEvent.objects.create(algo=parent, kind=kind, data=data, market_time=market_time, recorded_at=at)


def child_submit(parent: AlgoOrder, intent: OrderIntent, link: OrderLink, why: str, market_time: datetime, at: datetime) -> Order | None:
    """The child order, and an event that says why it was sent; None when it could not be made."""
    note = f"slice {link.slice} of {parent.algo.upper()} {parent.pk}"
    try:
        child = order_submit(intent=intent, user=parent.created_by, at=at, note=note, link=link)
    except Conflict as error:
        logger.warning("child %s of parent %s: %s", link.slice, parent.pk, error)
        return None
    except DatabaseError as error:  # the guard of children: the parent ended meanwhile, or others spoke for the rest
        logger.warning("child %s of parent %s was refused: %s", link.slice, parent.pk, error)
        return None
    with transaction.atomic():
        algo_lock(portfolio_id=parent.portfolio_id, algo_id=parent.pk)
        if not AlgoEvent.objects.filter(algo=parent, data__order_id=child.pk).exists():  # nobody else has just sent it
            kind = "refused" if child.status in ("denied", "rejected") else "sent"
            data = {"order_id": child.pk, "slice": link.slice, "quantity": trimmed(child.quantity), "why": why, "reason": child.reason}
            algo_event(parent, kind, market_time=market_time, at=at, **data)
    return child


def children_withdraw(parent: AlgoOrder, *, reason: str, at: datetime) -> int:
    """Cancel the parent's children that have not ended and whose cancel is not on its way; returns how many."""
    working = Order.objects.working().filter(algo=parent).exclude(status="pending_cancel").order_by("id")
    withdrawn = 0
    for order_id in working.values_list("id", flat=True):
        try:
            order_withdraw(portfolio_id=parent.portfolio_id, order_id=order_id, reason=reason, at=at)
        except Conflict:
            continue  # it ended meanwhile
        withdrawn += 1
    return withdrawn
