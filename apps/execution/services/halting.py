"""The kill switch in three levels, and what execution does when it is pressed.

Risk stores the state, which the gate reads under the portfolio's lock. What follows from it (cancels, closing orders) is done at once
by the process in which it was pressed, and again by a keeper for as long as the state lasts: a crash in between loses nothing.
"""

import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db import DatabaseError, transaction
from django.db.models import Count, Max

from apps.alerts.services import alert_raise
from apps.core.errors import Conflict, DeskError, InvalidInput, NotPermitted
from apps.core.trading import OrderType, TimeInForce, TradingState
from apps.execution.domain.halting import FLATTEN_STRATEGY, RETRY_AFTER, HaltLevel, closing_order_id, closing_quantity
from apps.execution.domain.states import OrderStatus
from apps.execution.models import Order
from apps.execution.selectors.algos import algos_active
from apps.execution.selectors.halting import live_accounts, scope_ids, untradable
from apps.execution.selectors.working import working_orders
from apps.execution.services.algos import algo_withdraw
from apps.execution.services.intents import intent_build
from apps.execution.services.orders import PROTECTING, order_submit, working_orders_cancel
from apps.marketdata.domain import calendars
from apps.marketdata.selectors.instruments import instruments_known
from apps.marketdata.selectors.market import market_clock
from apps.marketdata.selectors.quotes import reference_prices
from apps.portfolios.domain.holdings import Holding
from apps.portfolios.selectors.holdings import holdings
from apps.portfolios.selectors.portfolios import portfolio_members
from apps.portfolios.services.portfolios import portfolio_lock
from apps.risk.domain.state import StateView
from apps.risk.selectors.state import trading_states
from apps.risk.services.state import trading_halt

if TYPE_CHECKING:
    from apps.core.models import User
    from apps.risk.models import TradingStateChange

logger = logging.getLogger(__name__)

#: A price older than this does not let a market order through the gate, so a closing order is not tried on it.
FRESH = timedelta(seconds=30)
#: The gate counts closing orders like others. When they are too many for a minute, the rest waits this long.
BREATH = timedelta(seconds=15)
RATE_CODES = "RATE_LIMIT"
#: How often the keeper looks.
PACE = timedelta(seconds=2)


def trading_stop(
    *, portfolio_id: int | None, user: "User | None", level: HaltLevel, reason: str, at: datetime, confirm: str = ""
) -> "TradingStateChange":
    """Press the kill switch for a portfolio, or (None) for the desk. One person is enough.

    `confirm` names the live accounts of the scope, separated by commas: flattening them wants each typed. Raises what `trading_halt`
    raises, and for FLATTEN also InvalidInput (confirm), NotPermitted (nobody's name, or somebody who may not trade everything that is
    held) and Conflict (trading is halted altogether: a closing order would be denied).
    """
    if level is HaltLevel.FLATTEN:
        _flatten_check(portfolio_id, user, confirm)
    return trading_halt(portfolio_id=portfolio_id, user=user, reason=reason, at=at, state=level.state, flatten=level is HaltLevel.FLATTEN)


def _flatten_check(portfolio_id: int | None, user: "User | None", confirm: str) -> None:
    if user is None:
        raise NotPermitted("closing positions takes a person: say whose orders these are", field="user")
    ids = scope_ids(portfolio_id)
    if others := untradable(user, ids):
        raise NotPermitted(f"{user} may not place orders in {len(others)} of the portfolios that hold positions", field="scope")
    halted = [one for one in trading_states(ids).values() if one.state is TradingState.HALTED]
    if halted:
        raise Conflict("trading is halted, and a closing order would be denied: two people release first", field="level")
    typed = {part.strip() for part in confirm.split(",") if part.strip()}
    if (accounts := live_accounts(ids)) and typed != set(accounts):
        raise InvalidInput(f"type the live accounts to flatten: {', '.join(accounts)}", field="confirm")


def halt_carry_out(*, portfolio_id: int | None, at: datetime) -> None:
    """Do what the state of the scope asks for: nothing, cancel what works, or cancel and close. Doing it twice does nothing twice."""
    for owner, view in sorted(trading_states(scope_ids(portfolio_id)).items()):
        try:
            _carry_out(owner, view, at)
        except (DeskError, DatabaseError):
            logger.exception("the halt of portfolio %s could not be carried out: it is tried again", owner)


def _carry_out(portfolio_id: int, view: StateView, at: datetime) -> None:
    if view.state is not TradingState.ACTIVE:
        with transaction.atomic():
            portfolio_lock(portfolio_id)  # whoever was judged before the halt has stored the order by now, and is cancelled with the rest
    if view.state is TradingState.HALTED:
        reason = f"trading halted: {view.reason}" if view.reason else "trading halted"
        working_orders_cancel(portfolio_id=portfolio_id, reason=reason, at=at)
    elif view.flatten:
        for parent in algos_active().filter(portfolio_id=portfolio_id):
            algo_withdraw(portfolio_id=portfolio_id, algo_id=parent.pk, reason=f"flattened: {view.reason}", at=at)
        working_orders_cancel(portfolio_id=portfolio_id, reason=f"flattened: {view.reason}", at=at, but=FLATTEN_STRATEGY)
        positions_close(portfolio_id=portfolio_id, view=view, at=at)


def positions_close(*, portfolio_id: int, view: StateView, at: datetime) -> list[Order]:
    """Send a market order for each position that no working order closes; those whose market is shut or silent wait for it.

    The orders pass the gate as reductions, in the name of who flattened. A denied one is told to people and tried again later.
    """
    from apps.core.models import User

    user = None if view.by_id is None else User.objects.filter(pk=view.by_id, is_active=True).first()
    held = holdings(portfolio_id).positions
    if user is None or not held or _out_of_breath(portfolio_id, view, at):
        return []
    instruments = instruments_known([one.symbol for one in held])
    prices, market_time = reference_prices([one.symbol for one in held]), market_clock(at).market_time
    tried = _attempts(portfolio_id, view)
    sent = []
    for position in held:
        instrument, price = instruments.get(position.symbol), prices.get(position.symbol)
        count, last = tried.get((position.book_id, position.instrument_id), (0, None))
        if instrument is None or price is None or not calendars.is_open(instrument.calendar, market_time):
            continue
        if abs(at - price.received_at) > FRESH or (last is not None and at - last < RETRY_AFTER):
            continue
        order = _close(portfolio_id, position, instrument.lot_size, user, view, count, at)
        if order is not None:
            sent.append(order)
            if order.status == OrderStatus.DENIED and RATE_CODES in order.reason:
                break
    return sent


def _out_of_breath(portfolio_id: int, view: StateView, at: datetime) -> bool:
    """Whether the gate has just called these orders too many. Asking on would only store more denied ones."""
    orders = Order.objects.filter(portfolio_id=portfolio_id, strategy=FLATTEN_STRATEGY, created_at__gte=max(view.since or at, at - BREATH))
    return orders.filter(status=OrderStatus.DENIED.value, reason__contains=RATE_CODES).exists()


def _attempts(portfolio_id: int, view: StateView) -> dict[tuple[int, int], tuple[int, datetime]]:
    """How many closing orders this flattening has sent by book and instrument, and when the last one was."""
    orders = Order.objects.filter(portfolio_id=portfolio_id, strategy=FLATTEN_STRATEGY, created_at__gte=view.since)
    rows = orders.values_list("book_id", "instrument_id").annotate(Count("id"), Max("created_at"))
    return {(book_id, instrument_id): (count, last) for book_id, instrument_id, count, last in rows}


def _close(portfolio_id: int, position: Holding, lot: Any, user: "User", view: StateView, attempt: int, at: datetime) -> Order | None:
    working = working_orders(portfolio_id)
    side, quantity = closing_quantity(
        held=position.quantity, book_id=position.book_id, instrument_id=position.instrument_id, working=working, lot=lot
    )
    if not quantity:
        return None
    intent = intent_build(
        user=user,
        portfolio_id=portfolio_id,
        symbol=position.symbol,
        side=side,
        quantity=quantity,
        order_type=OrderType.MARKET,
        time_in_force=TimeInForce.DAY,
        client_order_id=closing_order_id(
            change_id=view.change_id or 0, book_id=position.book_id, instrument_id=position.instrument_id, attempt=attempt
        ),
        book=position.book,
        strategy=FLATTEN_STRATEGY,
    )
    try:
        order = order_submit(intent=intent, user=user, at=at, note=f"flattened by {view.by}: {view.reason}"[:200], link=PROTECTING)
    except Conflict as error:  # another process has just sent it
        logger.info("closing order of %s: %s", position.symbol, error)
        return None
    if order.status == OrderStatus.DENIED and RATE_CODES not in order.reason:
        _tell_denied(portfolio_id, order, at)
    return order


def _tell_denied(portfolio_id: int, order: Order, at: datetime) -> None:
    alert_raise(
        code="FLATTEN_DENIED",
        severity="critical",
        title=f"A position could not be closed: {order.side} {order.quantity.normalize():f} {order.instrument.symbol} was denied",
        detail=order.reason,
        subject=f"portfolio:{portfolio_id}",
        data={"order_id": order.pk},
        recipients={*portfolio_members(portfolio_id), order.created_by_id},
        occurred_at=at,
        recorded_at=at,
    )


@dataclass(slots=True)
class HaltKeeper:
    """Looks now and then whether something works that a halt should have cancelled, or is held that a flattening should have closed."""

    looked: datetime | None = field(default=None)

    def keep(self, *, at: datetime) -> None:
        """At most once in `PACE`; a failure is logged and holds nothing up."""
        if self.looked is not None and at - self.looked < PACE:
            return
        self.looked = at
        try:
            for owner, view in sorted(trading_states(scope_ids(None)).items()):
                if view.flatten or (view.state is TradingState.HALTED and working_orders(owner)):
                    halt_carry_out(portfolio_id=owner, at=at)
        except (DeskError, DatabaseError):
            logger.exception("the halts could not be looked at")
