"""Target weights: which hold on a day, which held before, and what a stop has taken out of them."""

from datetime import date
from decimal import Decimal

from django.db.models import Exists, OuterRef, Prefetch, QuerySet

from apps.portfolios.domain.rebalancing import RebalanceStatus, TradeReason
from apps.portfolios.models import EntryKind, LedgerEntry, RebalanceTrade, TargetPlan, TargetWeight


def target_plans(portfolio_id: int) -> QuerySet[TargetPlan]:
    """All plans of a portfolio with who made them, the one that holds last first."""
    return TargetPlan.objects.filter(portfolio_id=portfolio_id).select_related("created_by", "portfolio").order_by("-effective_on", "-id")


def target_history(portfolio_id: int) -> QuerySet[TargetPlan]:
    """The same with their weights, by symbol."""
    weights = TargetWeight.objects.select_related("instrument").order_by("instrument__symbol")
    return target_plans(portfolio_id).prefetch_related(Prefetch("weights", weights))


def target_plan(portfolio_id: int, on: date) -> TargetPlan | None:
    """The plan that holds on a market date; None before the first one."""
    return target_plans(portfolio_id).filter(effective_on__lte=on).first()


def plan_weights(plan: TargetPlan | None) -> dict[str, Decimal]:
    """Its weights by symbol."""
    if plan is None:
        return {}
    return dict(plan.weights.order_by("instrument__symbol").values_list("instrument__symbol", "weight"))


def stopped_symbols(plan: TargetPlan | None) -> frozenset[str]:
    """What a stop has sold since the plan was made: it is not bought back until somebody sets the targets anew.

    Not what whoever executed left out, nor what was not sold in the end. A fill counts whenever it comes: also after the execution has ended.
    """
    if plan is None:
        return frozenset()
    sale = LedgerEntry.objects.filter(
        book_id=OuterRef("book_id"),
        instrument_id=OuterRef("instrument_id"),
        kind=EntryKind.TRADE,
        quantity__lt=0,
        recorded_at__gte=OuterRef("proposal__recorded_at"),
    )
    begun = RebalanceTrade.objects.filter(
        proposal__portfolio_id=plan.portfolio_id,
        proposal__recorded_at__gte=plan.recorded_at,
        proposal__events__status=RebalanceStatus.EXECUTING,
        reason=TradeReason.STOP_LOSS.value,
    )
    sold = begun.filter(Exists(sale)).values_list("instrument__symbol", "proposal__events__excluded")
    return frozenset(symbol for symbol, excluded in sold if symbol not in excluded)
