"""Addresses of strategies and backtests below /api/v1/, with or without the last slash."""

from django.urls import re_path

from apps.strategies.api.views import BacktestDetail, BacktestList, StrategyList

urlpatterns = [
    re_path(r"^strategies/?$", StrategyList.as_view(), name="api-strategies"),
    re_path(r"^backtests/?$", BacktestList.as_view(), name="api-backtests"),
    re_path(r"^backtests/(?P<backtest_id>[0-9]{1,18})/?$", BacktestDetail.as_view(), name="api-backtest"),
]
