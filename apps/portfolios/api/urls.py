"""Addresses of portfolios below /api/v1/."""

from django.urls import path

from apps.portfolios.api.views import PortfolioDetail, PortfolioLedger, PortfolioList, PortfolioPositions, PositionList

urlpatterns = [
    path("positions/", PositionList.as_view(), name="api-positions"),
    path("portfolios/", PortfolioList.as_view(), name="api-portfolios"),
    path("portfolios/<int:portfolio_id>/", PortfolioDetail.as_view(), name="api-portfolio"),
    path("portfolios/<int:portfolio_id>/positions/", PortfolioPositions.as_view(), name="api-portfolio-positions"),
    path("portfolios/<int:portfolio_id>/ledger/", PortfolioLedger.as_view(), name="api-portfolio-ledger"),
]
