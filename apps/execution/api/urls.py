"""Addresses of execution's endpoints, with or without the last slash."""

from django.urls import include, path
from rest_framework.routers import SimpleRouter

from apps.execution.api.algos import AlgoViewSet, BracketViewSet
from apps.execution.api.engines import EngineViewSet
from apps.execution.api.halting import HaltPreviewView, HaltView
from apps.execution.api.rebalancing import PortfolioExecuteRebalance, PortfolioRebalance
from apps.execution.api.reconciliation import ReconciliationBreakViewSet, ReconciliationRunViewSet
from apps.execution.api.trades import PortfolioTrades
from apps.execution.api.views import OrderViewSet, TradeViewSet

router = SimpleRouter()
router.trailing_slash = "/?"
router.register("orders", OrderViewSet, basename="api-orders")
router.register("algos", AlgoViewSet, basename="api-algos")
router.register("brackets", BracketViewSet, basename="api-brackets")
router.register("engines", EngineViewSet, basename="api-engines")
router.register("reconciliation/runs", ReconciliationRunViewSet, basename="api-reconciliation-runs")
router.register("reconciliation/breaks", ReconciliationBreakViewSet, basename="api-reconciliation-breaks")
router.register("trades", TradeViewSet, basename="api-trades")

urlpatterns = [
    path("halt/", HaltView.as_view(), name="api-halt"),
    path("halt/preview/", HaltPreviewView.as_view(), name="api-halt-preview"),
    path("", include(router.urls)),
    path("portfolios/<int:portfolio_id>/rebalance/", PortfolioRebalance.as_view(), name="api-portfolio-rebalance"),
    path("portfolios/<int:portfolio_id>/execute-rebalance/", PortfolioExecuteRebalance.as_view(), name="api-portfolio-execute-rebalance"),
    path("portfolios/<int:portfolio_id>/trades/", PortfolioTrades.as_view(), name="api-portfolio-trades"),
]
