"""Rebalances: proposing them, and recording what became of them. Orders are the business of the app that executes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import uuid4

from django.db import IntegrityError, transaction

from apps.core.errors import Conflict, RuleRefused
from apps.core.money import ZERO
from apps.core.trading import Side
from apps.marketdata.selectors.market import MarketClock
from apps.portfolios.domain.closing import LotMethod
from apps.portfolios.domain.lots import OpenLot, trade_book
from apps.portfolios.domain.rebalancing import (
    ENDED,
    Costs,
    Line,
    Rebalance,
    RebalanceReason,
    RebalanceStatus,
    StopAction,
    Trade,
    TradeReason,
    rebalance,
)
from apps.portfolios.models import MAIN_BOOK, Lot, Portfolio, RebalanceEvent, RebalanceProposal, RebalanceTrade
from apps.portfolios.selectors.drift import PortfolioDrift, TargetPosition, portfolio_drift
from apps.portfolios.selectors.portfolios import books
from apps.portfolios.services.portfolios import portfolio_lock

#: How long a proposal may be executed, in wall time.
VALIDITY = timedelta(minutes=15)
#: Without a plan of its own, a stop's proposal is stale once a price has moved by more.
STOP_TOLERANCE = Decimal("0.05")
LONG_TERM = timedelta(days=366)


@dataclass(frozen=True, slots=True, kw_only=True)
class StopTerms:
    """The stop that holds now: a long position which has fallen by more than `threshold` (fraction) from its average cost is sold."""

    vix: float
    regime: str
    threshold: Decimal

    def breached(self, position: TargetPosition) -> bool:
        return position.drawdown is not None and position.drawdown < -self.threshold


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """A stored proposal, or none and `why` there is nothing to do. `drift` is what it was made of."""

    proposal: RebalanceProposal | None
    why: str
    drift: PortfolioDrift


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What an execution came to. `cost` is commission and slippage against the proposal's prices."""

    status: RebalanceStatus
    trades: int
    cost: Decimal
    detail: str = ""
    excluded: Sequence[str] = field(default=())


def rebalance_propose(
    *,
    portfolio_id: int,
    reason: RebalanceReason | None,
    costs: Costs,
    stop: StopTerms | None,
    market: MarketClock,
    user_id: int | None,
    recorded_at: datetime,
    margins: Costs | None = None,
) -> Proposed:
    """Store what would bring the portfolio to its targets now, with all numbers that it is made of.

    Without a `reason` there is a proposal only where a stop is breached or the drift is above the threshold; with FORCED also elsewhere, and
    another reason is stored as it is asked for. STOP_LOSS proposes the exits alone and needs no targets. A position that a stop ends is sold
    by every proposal. `user_id` is None for the watch, `margins` are the costs for which the cash must reach (`costs` where there are none).
    Raises NotFound, RuleRefused (no targets; a price is missing, so nobody knows what the portfolio is worth).
    """
    with transaction.atomic():
        portfolio = portfolio_lock(portfolio_id)
        view = portfolio_drift(portfolio, market=market)
        if view.plan is not None and view.plan.stop_loss == StopAction.OFF:
            stop = None
        exits = frozenset(one.symbol for one in view.positions if stop is not None and stop.breached(one))
        # A stop alone is no reason to trade the rest.
        exits_only = reason is RebalanceReason.STOP_LOSS or bool(exits and not view.exceeded and (view.plan is None or reason is None))
        _check_known(view, exits_only)
        reason = _reason(view, exits, reason)
        if reason is None or (exits_only and not exits):
            return Proposed(proposal=None, why=_nothing(view, exits_only), drift=view)
        found = _rebalance(view, exits, costs, margins, exits_only=exits_only)
        if not found.trades:
            why = "; ".join(f"{one.symbol}: {one.why}" for one in found.skipped) or "every weight is on its target"
            return Proposed(proposal=None, why=why, drift=view)
        proposal = _store(portfolio, view, found, reason, costs, stop, user_id, recorded_at)
        return Proposed(proposal=proposal, why="", drift=view)


def rebalance_begin(*, proposal: RebalanceProposal, user_id: int | None, excluded: Sequence[str], at: datetime) -> bool:
    """Take a pending proposal for execution; False when it was taken before. The caller holds the portfolio's lock.

    Raises Conflict when it has ended.
    """
    status = proposal.events.order_by("-id").values_list("status", flat=True)[0]
    if status == RebalanceStatus.EXECUTING:
        return False
    if status != RebalanceStatus.PENDING:
        raise Conflict(f"rebalance {proposal.pk} is {status} already: a proposal is executed once", field="proposal_id", status=status)
    trades = proposal.trades.count() - len(excluded)
    _event(proposal, RebalanceStatus.EXECUTING, trades, proposal.estimated_cost, user_id, at, excluded=excluded)
    return True


def rebalance_end(*, proposal: RebalanceProposal, ending: Ending, user_id: int | None, at: datetime) -> RebalanceEvent:
    """Record how an execution ended. The first ending stands: another one returns it."""
    try:
        with transaction.atomic():
            return _event(proposal, ending.status, ending.trades, ending.cost, user_id, at, detail=ending.detail, excluded=ending.excluded)
    except IntegrityError:
        return proposal.events.get(status__in=ENDED)


def _check_known(view: PortfolioDrift, exits_only: bool) -> None:
    if exits_only:
        return
    if view.plan is None:
        raise RuleRefused(f"{view.portfolio.name} has no targets: set them first", field="portfolio_id")
    if view.missing:
        raise RuleRefused(f"no price of {', '.join(view.missing)}: nobody knows what the portfolio is worth", field="portfolio_id")


def _reason(view: PortfolioDrift, exits: frozenset[str], asked: RebalanceReason | None) -> RebalanceReason | None:
    """What the watch asks for. Where a person asks, a stop comes first, then the drift, then that it was forced."""
    if asked not in (None, RebalanceReason.FORCED):
        return asked
    if exits:
        return RebalanceReason.STOP_LOSS
    return RebalanceReason.DRIFT if view.exceeded else asked


def _nothing(view: PortfolioDrift, exits_only: bool) -> str:
    if exits_only or view.drift is None or view.plan is None:
        return "no position is at its stop"
    return f"the largest drift is {view.drift.max_drift * 100:.2f} %, not above the threshold of {view.plan.drift_threshold * 100:.2f} %"


def _rebalance(view: PortfolioDrift, exits: frozenset[str], costs: Costs, margins: Costs | None, *, exits_only: bool) -> Rebalance:
    lines = [
        Line(
            symbol=one.symbol,
            quantity=one.quantity,
            price=one.base_price,
            lot_size=one.instrument.lot_size,
            target_weight=one.target_weight,
            exit=one.symbol in exits,
        )
        for one in view.positions
        if one.base_price
    ]
    return rebalance(
        equity=_equity(view),
        cash=view.held.cash,
        lines=lines,
        costs=costs,
        band=view.plan.band if view.plan else ZERO,
        exits_only=exits_only,
        margins=margins,
    )


def _equity(view: PortfolioDrift) -> Decimal:
    """The whole value, or for a stop's exit, which waits for nothing, that of what has a price."""
    return view.equity if view.equity is not None else view.valuation.cash + view.valuation.invested


def _store(
    portfolio: Portfolio,
    view: PortfolioDrift,
    found: Rebalance,
    reason: RebalanceReason,
    costs: Costs,
    stop: StopTerms | None,
    user_id: int | None,
    recorded_at: datetime,
) -> RebalanceProposal:
    equity = _equity(view)
    traded = sum((trade.value for trade in found.trades), ZERO)
    proposal = RebalanceProposal.objects.create(
        portfolio=portfolio,
        plan=view.plan,
        reason=reason.value,
        session=view.market.session,
        market_time=view.market_time,
        equity=equity,
        cash_before=view.held.cash,
        cash_after=found.cash_after,
        max_drift=view.drift.max_drift if view.drift else ZERO,
        total_drift=view.drift.total_drift if view.drift else ZERO,
        turnover=round(traded / equity / 2, 8) if equity else ZERO,
        estimated_cost=found.estimated_cost,
        commission=costs.commission,
        slippage_bps=costs.slippage_bps,
        price_tolerance=view.plan.price_tolerance if view.plan else STOP_TOLERANCE,
        vix=stop.vix if stop else None,
        vix_regime=stop.regime if stop else "",
        stop_threshold=stop.threshold if stop else None,
        skipped=[[one.symbol, one.why] for one in found.skipped],
        expires_at=recorded_at + VALIDITY,
        created_by_id=user_id,
        recorded_at=recorded_at,
    )
    known = {one.symbol: one for one in view.positions}
    book_id = books(portfolio.pk)[MAIN_BOOK]
    lots = _lots(book_id, [known[trade.symbol].instrument.pk for trade in found.trades])
    method = LotMethod(portfolio.lot_method)
    RebalanceTrade.objects.bulk_create(
        _row(proposal, number, trade, known[trade.symbol], book_id, lots, method) for number, trade in enumerate(found.trades, 1)
    )
    _event(proposal, RebalanceStatus.PENDING, len(found.trades), found.estimated_cost, user_id, recorded_at)
    return proposal


def _row(
    proposal: RebalanceProposal,
    number: int,
    trade: Trade,
    position: TargetPosition,
    book_id: int,
    lots: Mapping[int, Sequence[Lot]],
    method: LotMethod,
) -> RebalanceTrade:
    reference = position.reference
    assert reference is not None  # noqa: S101 - what has no price is not traded
    earned = _realised(trade, lots.get(position.instrument.pk, ()), method, proposal.market_time)
    return RebalanceTrade(
        proposal=proposal,
        number=number,
        book_id=book_id,
        instrument=position.instrument,
        side=trade.side.value,
        quantity=trade.quantity,
        held=position.quantity,
        price=reference.price,
        price_time=reference.market_time,
        price_source=reference.source,
        value=trade.value,
        commission=trade.commission,
        slippage=trade.slippage,
        weight_before=trade.weight_before,
        target_weight=trade.target_weight,
        weight_after=trade.weight_after,
        reason=trade.reason.value,
        drawdown=round(position.drawdown, 8) if trade.reason is TradeReason.STOP_LOSS and position.drawdown is not None else None,
        realised=earned[0] if earned else None,
        realised_short_term=earned[1] if earned else None,
        client_order_id=uuid4(),
    )


def _lots(book_id: int, instrument_ids: Sequence[int]) -> dict[int, list[Lot]]:
    found: dict[int, list[Lot]] = {}
    for lot in Lot.objects.filter(book_id=book_id, instrument_id__in=instrument_ids).exclude(remaining=0).order_by("opened_at", "id"):
        found.setdefault(lot.instrument_id, []).append(lot)
    return found


def _realised(trade: Trade, lots: Sequence[Lot], method: LotMethod, at: datetime) -> tuple[Decimal, Decimal] | None:
    """What the lots that a sale would close have earned, costs of the sale included, and the part of those held for a year or less."""
    if trade.side is Side.BUY:
        return None
    open_lots = [OpenLot(lot_id=lot.pk, remaining=lot.remaining, cost=lot.remaining_cost) for lot in lots]
    booking = trade_book(open_lots=open_lots, quantity=-trade.quantity, amount=trade.cash_change, method=method)
    young = {lot.pk for lot in lots if at - lot.opened_at < LONG_TERM}
    return booking.realised, sum((one.realised for one in booking.closures if one.lot_id in young), ZERO)


def _event(
    proposal: RebalanceProposal,
    status: RebalanceStatus,
    trades: int,
    cost: Decimal,
    user_id: int | None,
    at: datetime,
    *,
    detail: str = "",
    excluded: Sequence[str] = (),
) -> RebalanceEvent:
    return RebalanceEvent.objects.create(
        proposal=proposal,
        portfolio_id=proposal.portfolio_id,
        date=proposal.session,
        reason=proposal.reason,
        max_drift=proposal.max_drift,
        num_trades=trades,
        total_cost=cost,
        status=status.value,
        detail=detail,
        excluded=list(excluded),
        user_id=user_id,
        recorded_at=at,
    )
