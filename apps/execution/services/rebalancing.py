"""Rebalances: proposing them with the costs of the account and the stop of the VIX, and executing one on paper through the ordinary gate.

Each trade of a proposal has a client order id of its own, so that whoever goes on where a crash left off sends no order twice.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID

from django.db import transaction
from django.db.models import Sum

from apps.core.errors import Conflict, DeskError, InvalidInput, RuleRefused, TradingHalted
from apps.core.locks import lease
from apps.core.money import ZERO
from apps.core.trading import Side, TradingMode, TradingState
from apps.execution.domain.states import OrderStatus
from apps.execution.models import BrokerageAccount, Fill, Order
from apps.execution.selectors.rows import RELATED
from apps.execution.services.accounts import account_of
from apps.execution.services.intents import intent_build, portfolio_check
from apps.execution.services.orders import ALONE, PROTECTING, order_submit
from apps.marketdata.selectors.market import market_clock
from apps.marketdata.selectors.quotes import reference_prices
from apps.portfolios.domain.rebalancing import Costs, Line, RebalanceReason, RebalanceStatus, TradeReason, Wanted, affordable
from apps.portfolios.selectors.holdings import holdings
from apps.portfolios.selectors.rebalances import ProposalView, proposal_view
from apps.portfolios.selectors.targets import target_plan
from apps.portfolios.services.portfolios import portfolio_lock
from apps.portfolios.services.rebalancing import Ending, Proposed, StopTerms, rebalance_begin, rebalance_end, rebalance_propose
from apps.risk.domain.case import Settings
from apps.risk.selectors.state import trading_state
from apps.risk.selectors.stops import current_stop

if TYPE_CHECKING:
    from apps.core.models import User
    from apps.portfolios.models import RebalanceEvent, RebalanceTrade

logger = logging.getLogger(__name__)

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenTrade:
    """A trade of a proposal, as the one who executes it names it."""

    symbol: str
    side: str
    quantity: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """What became of a proposal: its orders in the order in which they were sent, denied ones included, and how it ended."""

    view: ProposalView
    orders: tuple[Order, ...]
    ending: "RebalanceEvent"


def costs_of(account: BrokerageAccount) -> Costs:
    """What the account's trades are expected to cost."""
    return Costs(commission=account.commission, slippage_bps=account.slippage_bps)


def margins_of(costs: Costs) -> Costs:
    """For what the cash must reach: the gate's margins, where they are wider than the costs, so that it denies no purchase for them."""
    gate = Settings()
    return Costs(commission=max(costs.commission, gate.commission), slippage_bps=max(costs.slippage_bps, gate.slippage_bps))


def stop_terms(market_time: datetime) -> StopTerms | None:
    """The stop of the VIX's regime as proposals take it; None without a recent VIX."""
    stop = current_stop(market_time)
    return None if stop is None else StopTerms(vix=stop.vix, regime=stop.regime, threshold=Decimal(str(stop.threshold)))


def portfolio_rebalance(*, user: "User", portfolio_id: int, force: bool, at: datetime) -> Proposed:
    """Propose what brings the portfolio to its targets; with `force` also where no drift is above the threshold.

    Raises NotFound, NotPermitted, Conflict (no account) and RuleRefused (no targets, a price is missing).
    """
    portfolio_check(user=user, portfolio_id=portfolio_id)
    market, costs = market_clock(at), costs_of(account_of(portfolio_id))
    return rebalance_propose(
        portfolio_id=portfolio_id,
        reason=RebalanceReason.FORCED if force else None,
        costs=costs,
        margins=margins_of(costs),
        stop=stop_terms(market.market_time),
        market=market,
        user_id=user.pk,
        recorded_at=at,
    )


def rebalance_execute(
    *, user: "User", portfolio_id: int, clock: Clock, proposal_id: int | None = None, chosen: Sequence[ChosenTrade] | None = None
) -> Execution:
    """Send a proposal's trades (all, or those `chosen`) on paper: sales first, then purchases as far as the cash then reaches.

    A proposal is executed once. One whose execution was cut off goes on: orders that were sent stay, the others follow while it is valid.
    Without `proposal_id` it is the portfolio's newest. Purchases may be cut, never raised; how it ended is recorded as an event.
    Raises NotFound, NotPermitted, InvalidInput (a chosen trade is not the proposal's), TradingHalted, RuleRefused (not on paper), and
    Conflict: it has ended, it is being executed, or it is stale, and then why.
    """
    portfolio_check(user=user, portfolio_id=portfolio_id)
    view = proposal_view(portfolio_id=portfolio_id, proposal_id=proposal_id)
    trades = _chosen(view.trades, chosen)
    with lease(f"rebalance:{view.proposal.pk}"):
        view, trades = _begin(view, trades, user, clock())
        sales = [trade for trade in trades if trade.side == Side.SELL]
        quantities = {trade.pk: trade.quantity for trade in trades}
        problems = [_send(trade, quantities[trade.pk], view, user, clock) for trade in sales]
        buys = [trade for trade in trades if trade.side == Side.BUY]
        quantities |= _paid(buys, view)
        problems += [_send(trade, quantities[trade.pk], view, user, clock) for trade in buys]
        orders = _orders(trades)
        ending = _ending(view, trades, orders, [text for text in problems if text])
        event = rebalance_end(proposal=view.proposal, ending=ending, user_id=user.pk, at=clock())
    return Execution(view=view, orders=tuple(orders[t.client_order_id] for t in trades if t.client_order_id in orders), ending=event)


def stale_reason(view: ProposalView, trades: Sequence["RebalanceTrade"], at: datetime) -> str:
    """Why a pending proposal may not be executed now; "" when it may."""
    return outdated_reason(view, trades, at) or _obstacle(view, trades, at)


def outdated_reason(view: ProposalView, trades: Sequence["RebalanceTrade"], at: datetime) -> str:
    """Why a proposal is not right any more and never will be; "" while it is."""
    proposal = view.proposal
    if at > proposal.expires_at:
        return f"it was valid until {proposal.expires_at:%Y-%m-%d %H:%M:%S} UTC"
    plan = target_plan(proposal.portfolio_id, market_clock(at).session)
    if proposal.plan_id is not None and (plan is None or plan.pk != proposal.plan_id):
        return "the targets have been changed since"
    held = {(p.book_id, p.instrument_id): p.quantity for p in holdings(proposal.portfolio_id).positions}
    prices = reference_prices([trade.instrument.symbol for trade in trades])
    for trade in trades:
        symbol, price = trade.instrument.symbol, prices.get(trade.instrument.symbol)
        if held.get((trade.book_id, trade.instrument_id), ZERO) != trade.held:
            return f"the position in {symbol} has changed since"
        if price is not None and (moved := abs(price.price / trade.price - 1)) > proposal.price_tolerance:
            return f"the price of {symbol} has moved by {moved * 100:.2f} %, more than {proposal.price_tolerance * 100:.2f} %"
    return ""


def _obstacle(view: ProposalView, trades: Sequence["RebalanceTrade"], at: datetime) -> str:
    """What is in the way of a proposal and may pass; "" for nothing."""
    prices = reference_prices([trade.instrument.symbol for trade in trades])
    working = Order.objects.working().filter(portfolio_id=view.proposal.portfolio_id, instrument__in=[trade.instrument_id for trade in trades])
    busy = set(working.values_list("book_id", "instrument_id"))
    for trade in trades:
        symbol, price = trade.instrument.symbol, prices.get(trade.instrument.symbol)
        if (trade.book_id, trade.instrument_id) in busy:
            return f"an order in {symbol} still works: cancel it first"
        if price is None:
            return f"{symbol} has no price"
        if (age := at - price.received_at) > Settings().price_block_after:
            return f"the price of {symbol} is {age.total_seconds():.0f} s old, and the gate takes none of that age"
    return ""


def _chosen(trades: Sequence["RebalanceTrade"], chosen: Sequence[ChosenTrade] | None) -> list["RebalanceTrade"]:
    if chosen is None:
        return list(trades)
    known = {(trade.instrument.symbol, trade.side, trade.quantity): trade for trade in trades}
    keys = [(one.symbol, one.side, one.quantity) for one in chosen]
    if strange := [f"{side} {quantity.normalize():f} {symbol}" for symbol, side, quantity in keys if (symbol, side, quantity) not in known]:
        raise InvalidInput(f"the proposal has no trade to {', '.join(strange)}", field="trades")
    if not keys:
        raise InvalidInput("no trade is chosen", field="trades")
    return [trade for key, trade in known.items() if key in keys]


def _begin(view: ProposalView, trades: list["RebalanceTrade"], user: "User", at: datetime) -> tuple[ProposalView, list["RebalanceTrade"]]:
    """Take the proposal, or go on with the trades that were chosen when it was taken."""
    proposal = view.proposal
    with transaction.atomic():
        portfolio_lock(proposal.portfolio_id)
        view = proposal_view(portfolio_id=proposal.portfolio_id, proposal_id=proposal.pk)
        if account_of(proposal.portfolio_id).mode != TradingMode.PAPER:
            raise RuleRefused("a live account is not rebalanced at once: send its orders from the ticket", field="portfolio_id")
        if view.status is RebalanceStatus.PENDING:
            state = trading_state(proposal.portfolio_id)
            if state.state == TradingState.HALTED:
                raise TradingHalted(f"trading is halted: {state.reason}")
            if why := stale_reason(view, trades, at):
                raise Conflict(f"rebalance {proposal.pk} is stale: {why}", field="proposal_id", reason=why)
        kept = {trade.pk for trade in trades}
        excluded = [trade.instrument.symbol for trade in view.trades if trade.pk not in kept]
        if rebalance_begin(proposal=proposal, user_id=user.pk, excluded=excluded, at=at):
            return view, trades
        left_out = set(view.last.excluded)
        return view, [trade for trade in view.trades if trade.instrument.symbol not in left_out]


def _orders(trades: Sequence["RebalanceTrade"]) -> dict[UUID, Order]:
    found = Order.objects.filter(client_order_id__in=[trade.client_order_id for trade in trades]).select_related(*RELATED)
    return {order.client_order_id: order for order in found}


def _send(trade: "RebalanceTrade", quantity: Decimal, view: ProposalView, user: "User", clock: Clock) -> str:
    """Submit one trade's order, unless it was submitted before. Returns what went wrong, "" for nothing; a denied order is no error."""
    symbol, at = trade.instrument.symbol, clock()
    if Order.objects.filter(portfolio_id=view.proposal.portfolio_id, client_order_id=trade.client_order_id).exists():
        return ""
    if not quantity:
        return f"{symbol}: the cash did not reach for it"
    if at > view.proposal.expires_at:
        return f"{symbol}: the proposal expired before it was sent"
    try:
        intent = intent_build(
            user=user,
            portfolio_id=view.proposal.portfolio_id,
            symbol=symbol,
            side=trade.side,
            quantity=quantity,
            client_order_id=trade.client_order_id,
            book=trade.book.name,
        )
        link = PROTECTING if trade.reason == TradeReason.STOP_LOSS else ALONE
        order = order_submit(intent=intent, user=user, at=at, note=f"rebalance {view.proposal.pk}: {trade.reason.replace('_', ' ')}", link=link)
    except DeskError as error:
        logger.warning("rebalance %s: the order in %s was not sent: %s", view.proposal.pk, symbol, error.detail)
        return f"{symbol}: {error.detail}"
    if order.status == OrderStatus.DENIED:
        return f"{symbol}: denied ({order.reason})"
    if quantity < trade.quantity:
        return f"{symbol}: {quantity.normalize():f} of {trade.quantity.normalize():f}, the cash did not reach for more"
    return ""


def _paid(buys: Sequence["RebalanceTrade"], view: ProposalView) -> Mapping[int, Decimal]:
    """How many shares of each purchase the cash now pays at the prices of now: at most what was proposed. By trade."""
    sent = set(_orders(buys))
    left = [trade for trade in buys if trade.client_order_id not in sent]
    prices = reference_prices([trade.instrument.symbol for trade in left])
    wanted = []
    for trade in left:
        price = prices.get(trade.instrument.symbol)
        if price is None:
            continue
        in_base = trade.value / trade.quantity / trade.price  # the rate of the proposal, for an instrument in another currency
        line = Line(
            symbol=trade.instrument.symbol,
            quantity=trade.held,
            price=price.price * in_base,
            lot_size=trade.instrument.lot_size,
            target_weight=trade.target_weight,
        )
        wanted.append(Wanted(line=line, side=Side.BUY, quantity=trade.quantity))
    costs = margins_of(Costs(commission=view.proposal.commission, slippage_bps=view.proposal.slippage_bps))
    cut = {one.line.symbol: one.quantity for one in affordable(wanted, holdings(view.proposal.portfolio_id).cash, costs, [])}
    return {trade.pk: cut.get(trade.instrument.symbol, ZERO) for trade in left}


def _ending(view: ProposalView, trades: Sequence["RebalanceTrade"], orders: Mapping[UUID, Order], problems: Sequence[str]) -> Ending:
    traded = {trade: orders[trade.client_order_id] for trade in trades if trade.client_order_id in orders}
    filled = {trade: order for trade, order in traded.items() if order.cumulative_quantity}
    working = [o.instrument.symbol for o in traded.values() if not OrderStatus(o.status).is_terminal]
    texts = [*problems, *(f"{symbol}: its order still works" for symbol in working)]
    whole = len(filled) == len(trades) and all(order.cumulative_quantity == trade.quantity for trade, order in filled.items())
    fees = Fill.objects.filter(order__in=list(filled.values())).aggregate(sum=Sum("fee"))["sum"] or ZERO
    slippage = sum((_slippage(trade, order) for trade, order in filled.items()), ZERO)
    status = RebalanceStatus.EXECUTED if whole else RebalanceStatus.PARTIAL if filled else RebalanceStatus.FAILED
    excluded = [trade.instrument.symbol for trade in view.trades if trade not in trades]
    return Ending(status=status, trades=len(filled), cost=round(fees + slippage, 4), detail="; ".join(texts), excluded=excluded)


def _slippage(trade: "RebalanceTrade", order: Order) -> Decimal:
    """How much worse than the proposal's prices it traded, in the portfolio's currency; negative is better."""
    price = order.average_price or trade.price
    return Side(order.side).sign * (price / trade.price - 1) * trade.value * order.cumulative_quantity / trade.quantity
