"""Addresses of strategies and backtests below /api/v1/."""

from django.urls import path

from apps.strategies.api.views import BacktestDetail, BacktestList, StrategyList

urlpatterns = [
    path("strategies/", StrategyList.as_view(), name="api-strategies"),
    path("backtests/", BacktestList.as_view(), name="api-backtests"),
    path("backtests/<int:backtest_id>/", BacktestDetail.as_view(), name="api-backtest"),
]
