"""Addresses of the strategy lab."""

from django.urls import path

from apps.strategies import pages

urlpatterns = [
    path("lab", pages.lab, name="lab"),
    path("lab/<int:run_id>", pages.report, name="lab-report"),
    path("charts/lab/<int:run_id>/equity", pages.equity_chart, name="chart-lab-equity"),
    path("charts/lab/<int:run_id>/drawdown", pages.drawdown_chart, name="chart-lab-drawdown"),
    path("charts/lab/<int:run_id>/price", pages.price_chart, name="chart-lab-price"),
]
