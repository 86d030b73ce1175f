"""Addresses of the risk endpoints, under /api/v1/ and /api/."""

from django.urls import path

from apps.risk.api import limits, measured, reports, stress, views

urlpatterns = [
    path("portfolios/<int:portfolio_id>/risk/", views.PortfolioRiskView.as_view(), name="api-portfolio-risk"),
    path("portfolios/<int:portfolio_id>/stress/", stress.StressView.as_view(), name="api-portfolio-stress"),
    path("portfolios/<int:portfolio_id>/pnl-explain/", stress.PnlExplainView.as_view(), name="api-portfolio-pnl-explain"),
    path("portfolios/<int:portfolio_id>/reports/", reports.ReportsView.as_view(), name="api-portfolio-reports"),
    path("portfolios/<int:portfolio_id>/reports/<str:session>/<str:form>/", reports.ReportFileView.as_view(), name="api-portfolio-report-file"),
    path("risk/<int:portfolio_id>/backtest/", measured.BackTestView.as_view(), name="api-risk-backtest"),
    path("risk/<int:portfolio_id>/history/", measured.RiskHistoryView.as_view(), name="api-risk-history"),
    path("scenarios/", stress.ScenariosView.as_view(), name="api-scenarios"),
    path("trading-state/", views.TradingStateView.as_view(), name="api-trading-state"),
    path("release/", views.ReleaseView.as_view(), name="api-release"),
    path("release/<int:request_id>/approve/", views.ReleaseApproveView.as_view(), name="api-release-approve"),
    path("portfolios/<int:portfolio_id>/limits/", limits.PortfolioLimitsView.as_view(), name="api-portfolio-limits"),
    path("portfolios/<int:portfolio_id>/limits/history/", limits.PortfolioLimitHistoryView.as_view(), name="api-portfolio-limit-history"),
    path("limit-changes/", limits.LimitChangeViewSet.as_view({"get": "list", "post": "create"}), name="api-limit-changes"),
    path("limit-changes/<int:pk>/", limits.LimitChangeViewSet.as_view({"get": "retrieve"}), name="api-limit-change"),
    path("limit-changes/<int:pk>/replay/", limits.LimitChangeViewSet.as_view({"get": "replay"}), name="api-limit-change-replay"),
    path("limit-changes/<int:pk>/decide/", limits.LimitChangeViewSet.as_view({"post": "decide"}), name="api-limit-change-decide"),
    path("limit-changes/<int:pk>/withdraw/", limits.LimitChangeViewSet.as_view({"post": "withdraw"}), name="api-limit-change-withdraw"),
    path("limits/", views.RiskLimitViewSet.as_view({"get": "list"}), name="api-limits"),
]
