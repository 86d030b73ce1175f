"""Addresses of the portfolios' pages and charts."""

from django.urls import path

from apps.portfolios import pages

urlpatterns = [
    path("portfolios", pages.portfolio_list, name="portfolios"),
    path("portfolios/new", pages.portfolio_new, name="portfolio-new"),
    path("portfolios/<int:portfolio_id>/close", pages.portfolio_end, name="portfolio-close"),
    path("portfolios/<int:portfolio_id>", pages.portfolio_detail, name="portfolio-detail"),
    path("portfolios/<int:portfolio_id>/ledger.csv", pages.ledger_csv, name="portfolio-ledger-csv"),
    path("portfolios/<int:portfolio_id>/targets", pages.targets_save, name="portfolio-targets"),
    path("portfolios/<int:portfolio_id>/bookings", pages.booking_ask, name="portfolio-bookings"),
    path("portfolios/<int:portfolio_id>/bookings/<int:booking_id>", pages.booking_answer, name="portfolio-booking"),
    path("charts/portfolios/<int:portfolio_id>/drift", pages.drift_chart, name="chart-portfolio-drift"),
    path("charts/portfolios/<int:portfolio_id>/equity", pages.equity_chart, name="chart-portfolio-equity"),
    path("charts/portfolios/<int:portfolio_id>/allocation", pages.allocation_chart, name="chart-portfolio-allocation"),
]
