"""The watch: while the market is open, positions are held to the stop of the VIX's regime and portfolios to their targets.

It proposes and tells the members. It trades only where a plan says that a stop exits, on paper, in the name of who set that plan.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from apps.alerts.services import alert_raise
from apps.core import clock as wall
from apps.core.errors import DeskError
from apps.core.trading import TradingMode
from apps.execution.models import BrokerageAccount
from apps.execution.services.rebalancing import costs_of, margins_of, rebalance_execute, stop_terms
from apps.marketdata.selectors.market import MarketClock, market_clock
from apps.portfolios.domain.rebalancing import Every, RebalanceReason, RebalanceStatus, StopAction, period
from apps.portfolios.selectors.drift import PortfolioDrift, portfolio_drift
from apps.portfolios.selectors.portfolios import portfolio_members
from apps.portfolios.selectors.rebalances import stop_proposed, watched_in_period
from apps.portfolios.services.rebalancing import Proposed, StopTerms, rebalance_propose

logger = logging.getLogger(__name__)

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """One look at all portfolios: ids of the proposals made, and of those executed at once."""

    proposed: tuple[int, ...]
    executed: tuple[int, ...]


def rebalances_watch(*, at: datetime, clock: Clock = wall.now) -> Watched:
    """Look at every active portfolio with an account. One that cannot be looked at is logged and does not stop the others."""
    market = market_clock(at)
    if not market.is_open:
        return Watched(proposed=(), executed=())  # nothing could trade at these prices
    stop = stop_terms(market.market_time)
    accounts = BrokerageAccount.objects.filter(portfolio__status="active").select_related("portfolio").order_by("portfolio_id")
    proposed, executed = [], []
    for account in accounts:
        try:
            found = _look(account, market, stop, at)
            if found is None or found.proposal is None:
                continue
            proposed.append(found.proposal.pk)
            if _exits(account, found) and _exit(found, clock):
                executed.append(found.proposal.pk)
        except DeskError as error:
            logger.warning("portfolio %s was not held to its targets: %s", account.portfolio_id, error.detail)
    return Watched(proposed=tuple(proposed), executed=tuple(executed))


def _look(account: BrokerageAccount, market: MarketClock, stop: StopTerms | None, at: datetime) -> Proposed | None:
    """The proposal that is due now, or None."""
    view = portfolio_drift(account.portfolio, market=market)
    reason = _stop_due(view, stop, at) or _drift_due(view)
    if reason is None:
        return None
    found = rebalance_propose(
        portfolio_id=account.portfolio_id,
        reason=reason,
        costs=costs_of(account),
        margins=margins_of(costs_of(account)),
        stop=stop,
        market=market,
        user_id=None,
        recorded_at=at,
    )
    if found.proposal is not None:
        _tell(found, at)
    return found


def _stop_due(view: PortfolioDrift, stop: StopTerms | None, at: datetime) -> RebalanceReason | None:
    """A breach is proposed once a session, and again while it stands once the last proposal is no longer valid."""
    if stop is None or (view.plan is not None and view.plan.stop_loss == StopAction.OFF):
        return None
    exits = frozenset(one.symbol for one in view.positions if stop.breached(one))
    if not exits or stop_proposed(view.portfolio.pk, symbols=exits, session=view.market.session, at=at):
        return None
    return RebalanceReason.STOP_LOSS


def _drift_due(view: PortfolioDrift) -> RebalanceReason | None:
    """Once in each period, at the first look that finds something."""
    plan = view.plan
    if plan is None or view.missing:
        return None
    session = view.market.session
    for reason, every, due in (
        (RebalanceReason.DRIFT, Every(plan.drift_check), view.exceeded),
        (RebalanceReason.SCHEDULED, Every(plan.schedule), period(Every(plan.schedule), session) > period(Every(plan.schedule), plan.effective_on)),
    ):
        if due and every is not Every.NEVER and not watched_in_period(view.portfolio.pk, reason=reason, every=every, session=session):
            return reason
    return None


def _exits(account: BrokerageAccount, found: Proposed) -> bool:
    plan, proposal = found.drift.plan, found.proposal
    asked = plan is not None and plan.stop_loss == StopAction.EXIT and proposal is not None and proposal.reason == RebalanceReason.STOP_LOSS
    return asked and account.mode == TradingMode.PAPER


def _exit(found: Proposed, clock: Clock) -> bool:
    """Execute a stop's exit in the name of who set the plan. True when all of it traded."""
    plan, proposal = found.drift.plan, found.proposal
    assert plan is not None and proposal is not None  # noqa: S101, PT018 - `_exits` has looked
    try:
        done = rebalance_execute(user=plan.created_by, portfolio_id=proposal.portfolio_id, clock=clock, proposal_id=proposal.pk)
        executed, text = done.ending.status == RebalanceStatus.EXECUTED, done.ending.detail
    except DeskError as error:
        executed, text = False, error.detail
    at = clock()
    if not executed:
        alert_raise(
            code="STOP_EXIT_FAILED",
            severity="critical",
            title=f"{found.drift.portfolio.name}: a stop's exit was not executed in full",
            detail=text,
            subject=f"portfolio:{proposal.portfolio_id}",
            data={"portfolio_id": proposal.portfolio_id, "proposal_id": proposal.pk},
            recipients=portfolio_members(proposal.portfolio_id),
            occurred_at=at,
            recorded_at=at,
        )
    return executed


def _tell(found: Proposed, at: datetime) -> None:
    proposal = found.proposal
    assert proposal is not None  # noqa: S101 - the caller has looked
    trades = [f"{trade.side} {trade.quantity.normalize():f} {trade.instrument.symbol}" for trade in proposal.trades.select_related("instrument")]
    stopped = proposal.reason == RebalanceReason.STOP_LOSS
    alert_raise(
        code="STOP_LOSS" if stopped else "REBALANCE_DUE",
        severity="critical" if stopped else "warning",
        title=f"{found.drift.portfolio.name}: {_why(found)}",
        detail=f"Proposal {proposal.pk}: {', '.join(trades)}",
        subject=f"portfolio:{proposal.portfolio_id}",
        data={
            "portfolio_id": proposal.portfolio_id,
            "proposal_id": proposal.pk,
            "max_drift": proposal.max_drift,
            "vix": proposal.vix,
            "stop_threshold": proposal.stop_threshold,
        },
        recipients=portfolio_members(proposal.portfolio_id),
        occurred_at=proposal.market_time,
        recorded_at=at,
    )


def _why(found: Proposed) -> str:
    proposal = found.proposal
    assert proposal is not None  # noqa: S101 - the caller has looked
    if proposal.reason == RebalanceReason.STOP_LOSS:
        exits = [t.instrument.symbol for t in proposal.trades.filter(reason="stop_loss").select_related("instrument").order_by("number")]
        return f"{', '.join(exits)} fell through the stop of {(proposal.stop_threshold or 0) * 100:.0f} % ({proposal.vix_regime}, VIX {proposal.vix})"
    if proposal.reason == RebalanceReason.SCHEDULED:
        return "a scheduled rebalance is due"
    return f"its largest drift is {proposal.max_drift * 100:.1f} %"
