"""Target weights: which hold on a day, which held before, and what a stop has taken out of them."""

from collections.abc import Collection
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


def target_plans_on(portfolio_ids: Collection[int], on: date) -> dict[int, TargetPlan]:
    """The plans that hold on a market date, by portfolio; those without one are left out."""
    rows = TargetPlan.objects.filter(portfolio_id__in=portfolio_ids, effective_on__lte=on).select_related("created_by", "portfolio")
    return {plan.portfolio_id: plan for plan in rows.order_by("portfolio_id", "-effective_on", "-id").distinct("portfolio_id")}


def plan_weights(plan: TargetPlan | None) -> dict[str, Decimal]:
    """Its weights by symbol."""
    return {} if plan is None else plans_weights([plan])[plan.pk]


def plans_weights(plans: Collection[TargetPlan]) -> dict[int, dict[str, Decimal]]:
    """The weights of several plans by symbol, by plan."""
    found: dict[int, dict[str, Decimal]] = {plan.pk: {} for plan in plans}
    if found:
        rows = TargetWeight.objects.filter(plan__in=list(found)).order_by("instrument__symbol")
        for plan_id, symbol, weight in rows.values_list("plan_id", "instrument__symbol", "weight"):
            found[plan_id][symbol] = weight
    return found


def stopped_symbols(plan: TargetPlan | None) -> frozenset[str]:
    """What a stop has sold since the plan was made: it is not bought back until somebody sets the targets anew.

    Not what whoever executed left out, nor what was not sold in the end. A fill counts whenever it comes: also after the execution has ended.
    """
    return frozenset() if plan is None else stopped_of([plan])[plan.pk]


def stopped_of(plans: Collection[TargetPlan]) -> dict[int, frozenset[str]]:
    """The same for the plans of several portfolios, by plan."""
    if not plans:
        return {}
    sale = LedgerEntry.objects.filter(
        book_id=OuterRef("book_id"),
        instrument_id=OuterRef("instrument_id"),
        kind=EntryKind.TRADE,
        quantity__lt=0,
        recorded_at__gte=OuterRef("proposal__recorded_at"),
    )
    begun = RebalanceTrade.objects.filter(
        proposal__portfolio_id__in=[plan.portfolio_id for plan in plans],
        proposal__recorded_at__gte=min(plan.recorded_at for plan in plans),
        proposal__events__status=RebalanceStatus.EXECUTING,
        reason=TradeReason.STOP_LOSS.value,
    )
    sold = begun.filter(Exists(sale)).values_list(
        "proposal__portfolio_id", "proposal__recorded_at", "instrument__symbol", "proposal__events__excluded"
    )
    rows = list(sold)
    return {
        plan.pk: frozenset(
            symbol
            for portfolio_id, at, symbol, excluded in rows
            if portfolio_id == plan.portfolio_id and at >= plan.recorded_at and symbol not in excluded
        )
        for plan in plans
    }
