"""Works parent orders: asks the planner what is next, does it, until there is nothing to do. All that it knows is in the database.

A child's client order id follows from its parent and its slice, so a step that is done twice, by two processes or after a crash, is
done once. The database refuses a child of a parent that does not work, and one that would exceed it.
"""

import logging
from dataclasses import dataclass
from datetime import datetime

from django.db import DatabaseError, transaction

from apps.alerts.services import alert_raise
from apps.core.errors import DeskError
from apps.core.money import ZERO
from apps.core.trading import OrderIntent, OrderType, Side, TimeInForce, TradingState
from apps.execution.brokers.paper import PAPER
from apps.execution.domain.algos import Algo, AlgoStatus, Decision, Deed, Market, Standing, child_order_id, decide
from apps.execution.models import AlgoOrder, Order
from apps.execution.selectors.algos import RELATED, algos_active, standing_of
from apps.execution.services.accounts import account_of
from apps.execution.services.algo_children import algo_lock, algo_move, child_submit, children_withdraw
from apps.execution.services.algo_plans import terms_of
from apps.execution.services.orders import OrderLink
from apps.execution.services.smart_routing import smart_step
from apps.marketdata.domain import calendars
from apps.marketdata.selectors.market import market_clock
from apps.marketdata.selectors.quotes import FeedMessage
from apps.marketdata.selectors.volumes import traded_volume
from apps.portfolios.selectors.portfolios import portfolio_members
from apps.risk.selectors.state import trading_state

logger = logging.getLogger(__name__)

#: More steps in a row than this are no progress: the parent waits for the next message.
MOST_STEPS = 20


@dataclass(slots=True)
class AlgoEngine:
    """What the process does with each message of the feed, and how many children it has sent."""

    steps: int = 0

    def recover(self, *, at: datetime) -> None:
        """Cancel children that outlived their parents, and go on with the parents that work."""
        orphans_withdraw(at=at)
        self.advance(at=at)

    def hear(self, message: FeedMessage | None, *, at: datetime) -> None:
        """Any message moves the market's clock, and silence does not stop a live one: every active parent is looked at."""
        if message is None:
            orphans_withdraw(at=at)
        self.advance(at=at)

    def advance(self, *, at: datetime) -> None:
        """Step each active parent. One that fails is logged and holds up no other."""
        for parent in algos_active():
            try:
                self.steps += algo_advance(algo_id=parent.pk, portfolio_id=parent.portfolio_id, at=at)
            except (DeskError, DatabaseError):
                logger.exception("parent %s could not be worked", parent.pk)


def algo_advance(*, algo_id: int, portfolio_id: int, at: datetime) -> int:
    """Do what the parent needs now; returns how many things were done."""
    for done in range(MOST_STEPS):
        if not _step(algo_id, portfolio_id, at):
            return done
    return MOST_STEPS


def orphans_withdraw(*, at: datetime) -> int:
    """Cancel children whose parent has ended: a crash or a cancel came between. Returns how many."""
    ended = [status.value for status in AlgoStatus if status.is_terminal]
    parents = AlgoOrder.objects.filter(children__in=Order.objects.working(), status__in=ended).distinct().select_related(*RELATED)
    return sum(children_withdraw(parent, reason=f"its parent is {parent.status}", at=at) for parent in parents)


def _step(algo_id: int, portfolio_id: int, at: datetime) -> bool:
    """Decide under the lock, act outside of it. True when something was done and there may be more."""
    market_time = market_clock(at).market_time
    with transaction.atomic():
        parent = algo_lock(portfolio_id=portfolio_id, algo_id=algo_id)
        if AlgoStatus(parent.status).is_terminal:
            return False
        active = _pause(parent, market_time, at)
        if parent.algo == Algo.SMART:
            decision = None
        else:
            terms, standing = terms_of(parent, lot=parent.instrument.lot_size), standing_of(parent, market_time)
            decision = decide(terms, standing, _market(parent, standing, market_time, active))
            if _ended(parent, decision, market_time, at):
                return False
    if decision is None:
        return smart_step(parent, active=active, market_time=market_time, at=at)
    if decision.deed is Deed.WITHDRAW:
        return children_withdraw(parent, reason=decision.reason, at=at) > 0
    return decision.deed is Deed.SEND and _send(parent, decision, market_time, at)


def _pause(parent: AlgoOrder, market_time: datetime, at: datetime) -> bool:
    """Stop the parent's clock while trading is halted or only reduces, and let it run again. True while trading is active."""
    state = trading_state(parent.portfolio_id)
    if state.state is not TradingState.ACTIVE:
        if parent.status == AlgoStatus.WORKING:
            algo_move(parent, AlgoStatus.PAUSED, reason=f"trading is {state.state}: {state.reason}", market_time=market_time, at=at)
        return False
    if parent.status == AlgoStatus.PAUSED:
        algo_move(parent, AlgoStatus.WORKING, reason="trading is active again", market_time=market_time, at=at)
    return True


def _market(parent: AlgoOrder, standing: Standing, market_time: datetime, active: bool) -> Market:
    """What the planner is told of the market. On paper nobody sees what the desk trades; elsewhere the volume seen has it within."""
    others = None
    if parent.algo == Algo.POV or parent.participation_cap is not None:
        volume = traded_volume(parent.instrument_id, parent.start_at, market_time)
        own = ZERO if account_of(parent.portfolio_id).broker == PAPER else standing.filled
        others = None if volume is None else max(ZERO, volume.shares - own)
    return Market(is_open=calendars.is_open(parent.instrument.calendar, market_time), active=active, others=others)


def _ended(parent: AlgoOrder, decision: Decision, market_time: datetime, at: datetime) -> bool:
    if decision.deed is Deed.FINISH:
        algo_move(parent, AlgoStatus.DONE, reason=decision.reason, market_time=market_time, at=at)
    elif decision.deed is Deed.STOP:
        algo_move(parent, AlgoStatus.CANCELLED, reason=decision.reason, market_time=market_time, at=at)
        _alert(parent, decision.reason, at)
    return decision.deed in (Deed.FINISH, Deed.STOP)


def _send(parent: AlgoOrder, decision: Decision, market_time: datetime, at: datetime) -> bool:
    """Submit a child; True when it was made. One that somebody else has just made, or that the database refuses, is none."""
    intent = OrderIntent(
        client_order_id=child_order_id(parent=parent.client_order_id, portfolio_id=parent.portfolio_id, number=decision.slice),
        portfolio_id=parent.portfolio_id,
        book_id=parent.book_id,
        instrument_id=parent.instrument_id,
        symbol=parent.instrument.symbol,
        side=Side(parent.side),
        quantity=decision.quantity,
        order_type=OrderType.MARKET if parent.limit_price is None else OrderType.LIMIT,
        time_in_force=TimeInForce.DAY,
        limit_price=parent.limit_price,
        strategy=parent.strategy,
    )
    return child_submit(parent, intent, OrderLink(algo_id=parent.pk, slice=decision.slice), decision.reason, market_time, at) is not None


def _alert(parent: AlgoOrder, reason: str, at: datetime) -> None:
    alert_raise(
        code="ALGO_STOPPED",
        severity="warning",
        title=f"{parent.algo.upper()} {parent.pk} in {parent.instrument.symbol} has stopped",
        detail=reason,
        subject=f"algo:{parent.pk}",
        portfolio_id=parent.portfolio_id,
        data={"algo_id": parent.pk},
        recipients={*portfolio_members(parent.portfolio_id), parent.created_by_id},
        occurred_at=at,
        recorded_at=at,
    )
