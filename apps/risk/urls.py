"""Addresses of the risk page, its chart and the end of a halt."""

from django.urls import path

from apps.risk import pages

urlpatterns = [
    path("risk", pages.risk, name="risk"),
    path("risk/release", pages.release, name="trading-release"),
    path("risk/release/<int:request_id>/approve", pages.approve, name="release-approve"),
    path("risk/release/<int:request_id>/withdraw", pages.withdraw, name="release-withdraw"),
    path("charts/risk/<int:portfolio_id>/drawdown", pages.drawdown_chart, name="chart-drawdown"),
]
