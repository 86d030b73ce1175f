"""Addresses of performance below /api/v1/."""

from django.urls import path

from apps.analytics.api.views import PortfolioPerformance

urlpatterns = [path("portfolios/<int:portfolio_id>/performance/", PortfolioPerformance.as_view(), name="api-portfolio-performance")]
