"""Addresses of the risk page, its tables and charts, and the end of a halt."""

from django.urls import path

from apps.risk.pages import charts, monitor, release

urlpatterns = [
    path("risk", monitor.risk, name="risk"),
    path("risk/<int:portfolio_id>/<slug:name>", monitor.part, name="risk-part"),
    path("risk/release", release.release, name="trading-release"),
    path("risk/release/<int:request_id>/approve", release.approve, name="release-approve"),
    path("risk/release/<int:request_id>/withdraw", release.withdraw, name="release-withdraw"),
    path("charts/risk/<int:portfolio_id>/drawdown", charts.drawdown_chart, name="chart-drawdown"),
    path("charts/risk/<int:portfolio_id>/correlation", charts.correlation_chart, name="chart-correlation"),
    path("charts/risk/<int:portfolio_id>/stress", charts.stress_chart, name="chart-stress"),
    path("charts/risk/<int:portfolio_id>/backtest", charts.backtest_chart, name="chart-backtest"),
    path("charts/risk/<int:portfolio_id>/treemap", charts.treemap_chart, name="chart-treemap"),
    path("charts/risk/vix", charts.vix_chart, name="chart-stop-regimes"),
]
