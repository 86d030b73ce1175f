"""Addresses of the portfolios' pages and charts."""

from django.urls import path

from apps.portfolios.pages import charts, portfolios

urlpatterns = [
    path("portfolios", portfolios.portfolio_list, name="portfolios"),
    path("portfolios/new", portfolios.portfolio_new, name="portfolio-new"),
    path("portfolios/<int:portfolio_id>/close", portfolios.portfolio_end, name="portfolio-close"),
    path("portfolios/<int:portfolio_id>", portfolios.portfolio_detail, name="portfolio-detail"),
    path("portfolios/<int:portfolio_id>/ledger.csv", portfolios.ledger_csv, name="portfolio-ledger-csv"),
    path("portfolios/<int:portfolio_id>/targets", portfolios.targets_save, name="portfolio-targets"),
    path("portfolios/<int:portfolio_id>/bookings", portfolios.booking_ask, name="portfolio-bookings"),
    path("portfolios/<int:portfolio_id>/bookings/<int:booking_id>", portfolios.booking_answer, name="portfolio-booking"),
    path("charts/portfolios/<int:portfolio_id>/drift", charts.drift_chart, name="chart-portfolio-drift"),
    path("charts/portfolios/<int:portfolio_id>/equity", charts.equity_chart, name="chart-portfolio-equity"),
    path("charts/portfolios/<int:portfolio_id>/allocation", charts.allocation_chart, name="chart-portfolio-allocation"),
]
