"""Steps 9 to 11 of a live engine's cycle: what was decided becomes orders, is logged, and the health file is written.

Everything here may be done again after a crash, by this process or by another one: a decision has one client order id, and a cycle that has
its eleventh step is never looked at again.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import transaction

from apps.core.errors import Conflict, DeskError, Unavailable
from apps.core.trading import TimeInForce
from apps.execution.domain.amounts import trimmed
from apps.execution.domain.cycles import CycleStep, Purpose, StepRecord, bar_words, passes
from apps.execution.domain.states import OrderStatus
from apps.execution.models import EngineCycle, EngineDecision, Fill, Order, OrderEvent, TradingEngine
from apps.execution.selectors.working import working_orders
from apps.execution.services.engine_alerts import engine_alert
from apps.execution.services.engine_health import health_write
from apps.execution.services.engine_records import Fenced, answered, fence_check, steps_record
from apps.execution.services.intents import intent_build
from apps.execution.services.orders import ALONE, PROTECTING, order_submit, order_withdraw

if TYPE_CHECKING:
    from apps.core.models import User

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Executed:
    """The orders that a cycle has made."""

    orders: tuple[Order, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sent:
    """What became of a decision, in `words`; `waits` when it came to nothing for a reason that passes."""

    order: Order | None
    words: str
    waits: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Hands:
    """Who acts, and when. What was said of a bar that began before `oldest` is too late."""

    engine: TradingEngine
    token: int
    user: "User"
    oldest: datetime
    at: datetime


def cycle_finish(cycle: EngineCycle, *, engine: TradingEngine, token: int, user: "User", oldest: datetime, at: datetime) -> Executed:
    """Order what the cycle has decided and keep its last three steps. Raises Fenced when the engine is in other hands by now."""
    hands = _Hands(engine=engine, token=token, user=user, oldest=oldest, at=at)
    planned: dict[str, Any] = cycle.steps.get(number=CycleStep.VALIDATE).data
    withdrawn = _withdraw(planned.get("withdraw", ()), cycle, hands)
    results = {decision: _order(decision, hands) for decision in cycle.decisions.select_related("instrument").order_by("-side", "id")}
    orders = tuple(sent.order for sent in results.values() if sent.order is not None)
    words = [sent.words for sent in results.values()]
    if withdrawn:
        words.insert(0, f"withdrawn: {', '.join(map(str, withdrawn))}")
    if cycle.token != token:
        words.insert(0, "finished after a take-over")
    done = StepRecord(
        step=CycleStep.EXECUTE,
        outcome="; ".join(words) or "nothing to send",
        data={"orders": [_order_row(order) for order in orders], "withdrawn": withdrawn},
    )
    last = [done, _logged(orders), _healthy(hands)]
    with transaction.atomic():
        answered(engine, token, [decision.instrument.symbol for decision, sent in results.items() if not sent.waits])
        steps_record(cycle, last, token=token, at=at)
    return Executed(orders=orders)


def _withdraw(symbols: Sequence[str], cycle: EngineCycle, hands: _Hands) -> list[int]:
    """Cancel what still waits in these symbols, but never an order of this very cycle."""
    if not symbols:
        return []
    with transaction.atomic():
        fence_check(hands.engine.pk, hands.token)
    own = set(cycle.decisions.values_list("client_order_id", flat=True))
    withdrawn = []
    for order in working_orders(hands.engine.portfolio_id):
        if order.book_id == hands.engine.book_id and order.symbol in symbols and order.client_order_id not in own:
            reason = f"{hands.engine.strategy} goes another way"
            try:
                order_withdraw(portfolio_id=hands.engine.portfolio_id, order_id=order.order_id, reason=reason, at=hands.at)
            except Conflict:  # it has ended meanwhile
                continue
            withdrawn.append(order.order_id)
    return withdrawn


def _order(decision: EngineDecision, hands: _Hands) -> _Sent:
    """The order of a decision, sent now or found; with words for the record. A failure is told to people and holds up no other order."""
    what = f"{decision.side} {trimmed(decision.quantity)} {decision.instrument.symbol}"
    engine = hands.engine
    if not _is_there(decision, engine) and decision.bar_ts is not None and decision.bar_ts < hands.oldest:
        return _Sent(order=None, words=f"{what}: dropped, {bar_words(decision.bar_ts)} is no longer the last one", waits=True)
    try:
        order = _submit(decision, hands)
    except Fenced:
        raise
    except DeskError as error:
        logger.warning("%s: no order of %s: %s", engine.strategy, decision.instrument.symbol, error)
        severity = "warning" if decision.purpose == Purpose.SIGNAL else "critical"
        engine_alert(engine, "STRATEGY_NOT_TRADING", severity, f"could not trade {decision.instrument.symbol}", error.detail, hands.at)
        return _Sent(order=None, words=f"{what}: {error.detail}", waits=isinstance(error, Conflict | Unavailable) and not _is_there(decision, engine))
    denied = order.status == OrderStatus.DENIED
    if denied:
        severity = "warning" if decision.purpose == Purpose.SIGNAL else "critical"
        engine_alert(engine, "STRATEGY_NOT_TRADING", severity, f"was denied an order: {what}", order.reason, hands.at)
    words = f"{what}: order {order.pk} {order.status}{f' ({order.reason})' if order.reason else ''}"
    return _Sent(order=order, words=words, waits=denied and passes(order.reason.split(", ")))


def _is_there(decision: EngineDecision, engine: TradingEngine) -> bool:
    return Order.objects.filter(portfolio_id=engine.portfolio_id, client_order_id=decision.client_order_id).exists()


def _submit(decision: EngineDecision, hands: _Hands) -> Order:
    engine = hands.engine
    intent = intent_build(
        user=hands.user,
        portfolio_id=engine.portfolio_id,
        symbol=decision.instrument.symbol,
        side=decision.side,
        quantity=decision.quantity,
        time_in_force=TimeInForce.DAY,
        client_order_id=decision.client_order_id,
        book=engine.book.name,
        strategy=engine.strategy,
    )
    fence = partial(fence_check, engine.pk, hands.token)
    link = ALONE if decision.purpose == Purpose.SIGNAL else PROTECTING
    return order_submit(intent=intent, user=hands.user, at=hands.at, note=decision.reason[:200], link=link, fence=fence)


def _order_row(order: Order) -> dict[str, Any]:
    return {
        "id": order.pk,
        "client_order_id": order.client_order_id,
        "symbol": order.instrument.symbol,
        "side": order.side,
        "quantity": order.quantity,
        "status": order.status,
        "reason": order.reason,
        "filled": order.cumulative_quantity,
        "average_price": order.average_price,
    }


def _logged(orders: Sequence[Order]) -> StepRecord:
    """The audit trail is the journal: every event and fill is in it already, by the database's own hand."""
    ids = [order.pk for order in orders]
    events, fills = OrderEvent.objects.filter(order__in=ids).count(), Fill.objects.filter(order__in=ids).count()
    return StepRecord(step=CycleStep.LOG, outcome=f"{len(ids)} orders, {events} events, {fills} fills are in the journal", data={"orders": ids})


def _healthy(hands: _Hands) -> StepRecord:
    path = health_write(hands.engine, token=hands.token, at=hands.at)
    return StepRecord(step=CycleStep.HEALTH, outcome=f"written to {path}" if path else "the health file could not be written")
