"""Addresses of the risk endpoints, under /api/v1/ and /api/."""

from django.urls import path

from apps.risk.api import views

urlpatterns = [
    path("portfolios/<int:portfolio_id>/risk/", views.PortfolioRiskView.as_view(), name="api-portfolio-risk"),
    path("trading-state/", views.TradingStateView.as_view(), name="api-trading-state"),
    path("release/", views.ReleaseView.as_view(), name="api-release"),
    path("release/<int:request_id>/approve/", views.ReleaseApproveView.as_view(), name="api-release-approve"),
    path("limits/", views.RiskLimitViewSet.as_view({"get": "list"}), name="api-limits"),
]
