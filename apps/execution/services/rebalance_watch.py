"""The watch: while the market is open, positions are held to the stop of the VIX's regime and portfolios to their targets.

It proposes and tells the members. It trades only where a plan says that a stop exits, on paper, in the name of who set that plan.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from apps.alerts.selectors.alerts import alert_last
from apps.alerts.services import alert_raise
from apps.core import clock as wall
from apps.core.errors import DeskError
from apps.core.trading import TradingMode
from apps.execution.models import BrokerageAccount
from apps.execution.services.rebalancing import costs_of, margins_of, outdated_reason, rebalance_execute, stop_terms
from apps.marketdata.selectors.market import MarketClock, market_clock
from apps.portfolios.domain.rebalancing import Every, RebalanceReason, RebalanceStatus, StopAction, TradeReason, period
from apps.portfolios.selectors.drift import PortfolioDrift, portfolio_drift
from apps.portfolios.selectors.portfolios import portfolio_members
from apps.portfolios.selectors.rebalances import stop_pending, stop_proposed, watched_in_period
from apps.portfolios.services.rebalancing import Proposed, StopTerms, rebalance_propose

if TYPE_CHECKING:
    from apps.alerts.models import Alert
    from apps.portfolios.models import RebalanceProposal

logger = logging.getLogger(__name__)

Clock = Callable[[], datetime]

FAILED, OUT = "STOP_EXIT_FAILED", "STOP_EXIT_DONE"
#: For so long an exit that has failed is waited for.
REMEMBERED = timedelta(days=5)


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
    looks = [_Look(account=account, market=market, stop=stop, at=at) for account in accounts]
    for look in looks:
        try:
            view = portfolio_drift(look.account.portfolio, market=market)
            # After an exit the weights are others than those looked at: the drift is looked at a minute later.
            if not _hold_stops(look, view, clock) and (reason := _drift_due(view)):
                _propose(look, reason)
        except DeskError as error:
            logger.warning("portfolio %s was not held to its targets: %s", look.account.portfolio_id, error.detail)
        except Exception:  # a deadlock or a fault in one portfolio leaves the stops of the others held
            logger.exception("portfolio %s was not held to its targets: it is tried again", look.account.portfolio_id)
    return Watched(proposed=tuple(pk for look in looks for pk in look.proposed), executed=tuple(pk for look in looks for pk in look.executed))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """One look at one portfolio: with what, and what came of it."""

    account: BrokerageAccount
    market: MarketClock
    stop: StopTerms | None
    at: datetime
    proposed: list[int] = field(default_factory=list)
    executed: list[int] = field(default_factory=list)


def _propose(look: _Look, reason: RebalanceReason, *, tell: bool = True) -> "RebalanceProposal | None":
    costs = costs_of(look.account)
    found = rebalance_propose(
        portfolio_id=look.account.portfolio_id,
        reason=reason,
        costs=costs,
        margins=margins_of(costs),
        stop=look.stop,
        market=look.market,
        user_id=None,
        recorded_at=look.at,
    )
    if found.proposal is not None:
        look.proposed.append(found.proposal.pk)
        if tell:
            _tell(found, look.at)
    return found.proposal


def _hold_stops(look: _Look, view: PortfolioDrift, clock: Clock) -> bool:
    """Propose to end what has fallen through its stop, or end it where the plan says so. True when something was sold.

    A breach is proposed once a session, and again while it stands once the last proposal is no longer valid. An exit is tried at each look
    until it is out: with the proposal that is pending while that is right, else with another one.
    """
    plan, stop = view.plan, look.stop
    exits_at_once = plan is not None and plan.stop_loss == StopAction.EXIT and look.account.mode == TradingMode.PAPER
    if exits_at_once:
        _tell_when_out(view, look.at)
    if stop is None or (plan is not None and plan.stop_loss == StopAction.OFF):
        return False
    exits = frozenset(one.symbol for one in view.positions if stop.breached(one))
    if not exits:
        return False
    told = stop_proposed(view.portfolio.pk, symbols=exits, session=view.market.session, at=look.at)
    if told and not exits_at_once:
        return False
    proposal = _pending(view, exits, look.at) if exits_at_once else None
    proposal = proposal or _propose(look, RebalanceReason.STOP_LOSS, tell=not told)
    if not exits_at_once or proposal is None or not _exits_alone(proposal):
        return False
    done = _exit(view, proposal, exits, clock)
    if done:
        look.executed.append(proposal.pk)
    return done


def _pending(view: PortfolioDrift, exits: frozenset[str], at: datetime) -> "RebalanceProposal | None":
    """The exit that was proposed before and did not go through, if its numbers are still right or its execution was cut off."""
    found = stop_pending(view.portfolio.pk, symbols=exits, at=at)
    if found is None or (found.status is RebalanceStatus.PENDING and outdated_reason(found, found.trades, at)):
        return None
    return found.proposal


def _exits_alone(proposal: "RebalanceProposal") -> bool:
    """Nothing else is ever executed unattended."""
    return set(proposal.trades.values_list("reason", flat=True)) == {TradeReason.STOP_LOSS.value}


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


def _exit(view: PortfolioDrift, proposal: "RebalanceProposal", exits: frozenset[str], clock: Clock) -> bool:
    """Execute a stop's exit in the name of who set the plan, and tell the members what came of it. True when all of it traded."""
    plan = view.plan
    assert plan is not None  # noqa: S101 - the caller has looked
    try:
        done = rebalance_execute(user=plan.created_by, portfolio_id=proposal.portfolio_id, clock=clock, proposal_id=proposal.pk)
        executed, text = done.ending.status == RebalanceStatus.EXECUTED, done.ending.detail
    except DeskError as error:
        executed, text = False, error.detail
    at = clock()
    if executed:
        _tell_out(view, sorted(exits), f"Proposal {proposal.pk} was executed.", at)
        return True
    failed = _failed_before(view.portfolio.pk, at)
    going_on = failed is not None and failed.data["session"] == str(proposal.session) and exits <= set(failed.data["symbols"])
    alert_raise(
        code=FAILED,
        severity="critical",
        title=f"{view.portfolio.name}: a stop's exit was not executed in full",
        detail=f"{text}. It is tried again each minute.",
        subject=f"portfolio:{proposal.portfolio_id}",
        data={
            "portfolio_id": proposal.portfolio_id,
            "proposal_id": proposal.pk,
            "symbols": sorted(exits),
            "session": str(proposal.session),
        },
        recipients=portfolio_members(proposal.portfolio_id),
        occurred_at=at,
        recorded_at=at,
        key=failed.key if failed is not None and going_on else f"stop-exit:{proposal.pk}",
        lasting=True,
    )
    return False


def _failed_before(portfolio_id: int, at: datetime) -> "Alert | None":
    """The alert about an exit that has failed, while nobody was told that it got out."""
    last = alert_last(portfolio_id=portfolio_id, codes=(FAILED, OUT), since=at - REMEMBERED)
    return last if last is not None and last.code == FAILED and last.key else None


def _tell_when_out(view: PortfolioDrift, at: datetime) -> None:
    """An exit that failed may get out without the watch: its order fills late, or somebody sells by hand."""
    failed = _failed_before(view.portfolio.pk, at)
    symbols = [] if failed is None else failed.data["symbols"]
    if symbols and not any(one.quantity for one in view.positions if one.symbol in symbols):
        _tell_out(view, symbols, "It is not held any more.", at)


def _tell_out(view: PortfolioDrift, symbols: Sequence[str], detail: str, at: datetime) -> None:
    portfolio = view.portfolio
    alert_raise(
        code=OUT,
        severity="warning",
        title=f"{portfolio.name}: {', '.join(symbols)} is out after its stop",
        detail=detail,
        subject=f"portfolio:{portfolio.pk}",
        data={"portfolio_id": portfolio.pk, "symbols": list(symbols)},
        recipients=portfolio_members(portfolio.pk),
        occurred_at=at,
        recorded_at=at,
    )


def _tell(found: Proposed, at: datetime) -> None:
    proposal = found.proposal
    assert proposal is not None  # noqa: S101 - the caller has looked
    trades = list(proposal.trades.select_related("instrument").order_by("number"))
    stopped = proposal.reason == RebalanceReason.STOP_LOSS
    state = f"rebalance:{proposal.portfolio_id}:{proposal.session}:{proposal.reason}"
    exits = f":{len(trades)}:{' '.join(trade.instrument.symbol for trade in trades)}" if stopped else ""
    alert_raise(
        code="STOP_LOSS" if stopped else "REBALANCE_DUE",
        severity="critical" if stopped else "warning",
        title=f"{found.drift.portfolio.name}: {_why(found)}",
        detail=f"Proposal {proposal.pk}: {', '.join(f'{t.side} {t.quantity.normalize():f} {t.instrument.symbol}' for t in trades)}",
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
        key=(state + exits)[:120],
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
