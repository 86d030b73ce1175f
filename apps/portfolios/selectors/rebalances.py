"""Proposals and what became of them."""

from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime

from django.db.models import OuterRef, Q, QuerySet, Subquery

from apps.core.errors import NotFound
from apps.portfolios.domain.rebalancing import ENDED, Every, RebalanceReason, RebalanceStatus, period
from apps.portfolios.models import RebalanceEvent, RebalanceProposal, RebalanceTrade


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalView:
    """A proposal with its trades in the order in which they are sent, and its last event."""

    proposal: RebalanceProposal
    trades: tuple[RebalanceTrade, ...]
    last: RebalanceEvent

    @property
    def status(self) -> RebalanceStatus:
        return RebalanceStatus(self.last.status)


def proposals(portfolio_id: int) -> QuerySet[RebalanceProposal]:
    """All proposals, newest first, each with its `status`."""
    last = RebalanceEvent.objects.filter(proposal=OuterRef("pk")).order_by("-id").values("status")[:1]
    return (
        RebalanceProposal.objects.filter(portfolio_id=portfolio_id)
        .annotate(status=Subquery(last))
        .select_related("created_by", "plan", "portfolio")
        .order_by("-id")
    )


def proposal_view(*, portfolio_id: int, proposal_id: int | None = None) -> ProposalView:
    """One proposal of the portfolio, or the newest. Raises NotFound."""
    found = proposals(portfolio_id)
    proposal = (found if proposal_id is None else found.filter(pk=proposal_id)).first()
    if proposal is None:
        raise NotFound(f"portfolio {portfolio_id} has no rebalance" + ("" if proposal_id is None else f" {proposal_id}"), field="proposal_id")
    trades = proposal.trades.select_related("instrument", "book").order_by("number")
    last = proposal.events.select_related("user").order_by("-id")[0]
    return ProposalView(proposal=proposal, trades=tuple(trades), last=last)


def rebalance_events(portfolio_id: int) -> QuerySet[RebalanceEvent]:
    """Every step of every rebalance, newest first."""
    return RebalanceEvent.objects.filter(portfolio_id=portfolio_id).select_related("user").order_by("-id")


def watched_in_period(portfolio_id: int, *, reason: RebalanceReason, every: Every, session: date) -> bool:
    """Whether the watch has made a proposal for this reason in the period of the session."""
    found = RebalanceProposal.objects.filter(portfolio_id=portfolio_id, reason=reason.value, created_by__isnull=True)
    last = found.order_by("-session").values_list("session", flat=True).first()
    return last is not None and period(every, last) >= period(every, session)


def stop_proposed(portfolio_id: int, *, symbols: frozenset[str], session: date, at: datetime) -> bool:
    """Whether the watch has proposed to end all of these positions in this session, or a moment ago so that the proposal is still valid."""
    found = _watched_stops(portfolio_id).filter(Q(session=session) | Q(expires_at__gte=at))
    return symbols <= set(RebalanceTrade.objects.filter(proposal__in=found).values_list("instrument__symbol", flat=True))


def stop_pending(portfolio_id: int, *, symbols: frozenset[str], at: datetime) -> ProposalView | None:
    """The watch's newest proposal to end just these positions, while it is valid and its execution has not ended."""
    last = _watched_stops(portfolio_id).filter(expires_at__gte=at).order_by("-id").first()
    view = None if last is None else proposal_view(portfolio_id=portfolio_id, proposal_id=last.pk)
    if view is None or view.status in ENDED:
        return None
    named = {trade.instrument.symbol for trade in view.trades} | {symbol for symbol, _ in view.proposal.skipped}
    return view if named == symbols else None


def _watched_stops(portfolio_id: int) -> QuerySet[RebalanceProposal]:
    return RebalanceProposal.objects.filter(portfolio_id=portfolio_id, reason=RebalanceReason.STOP_LOSS.value, created_by__isnull=True)


def rebalances_by_month(portfolio_ids: Collection[int], *, since: date | None, until: date | None) -> dict[date, Counter[str]]:
    """Rebalances that were executed, wholly or in part, or failed, by the first day of their session's month: how many of each status."""
    ended = RebalanceEvent.objects.filter(portfolio__in=portfolio_ids, status__in=ENDED)
    if since is not None:
        ended = ended.filter(date__gte=since)
    if until is not None:
        ended = ended.filter(date__lt=until)
    months: defaultdict[date, Counter[str]] = defaultdict(Counter)
    for session, status in ended.values_list("date", "status"):
        months[session.replace(day=1)][status] += 1
    return dict(sorted(months.items()))
