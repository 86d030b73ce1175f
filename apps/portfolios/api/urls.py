"""Addresses of portfolios below /api/v1/."""

from django.urls import path

from apps.portfolios.api.booking_views import BookingDecide, BookingWithdraw, PortfolioBookings
from apps.portfolios.api.borrow_views import BorrowRates
from apps.portfolios.api.ledger_views import PortfolioCash, PortfolioLotMethod, PortfolioLots, PortfolioRoundTrips, PositionTree
from apps.portfolios.api.rebalancing_views import PortfolioDriftView, PortfolioRebalanceEvents, PortfolioRebalances, PortfolioTargets
from apps.portfolios.api.views import PortfolioDetail, PortfolioLedger, PortfolioList, PortfolioPositions, PositionList

urlpatterns = [
    path("positions/", PositionList.as_view(), name="api-positions"),
    path("positions/tree/", PositionTree.as_view(), name="api-position-tree"),
    path("portfolios/", PortfolioList.as_view(), name="api-portfolios"),
    path("portfolios/<int:portfolio_id>/", PortfolioDetail.as_view(), name="api-portfolio"),
    path("portfolios/<int:portfolio_id>/positions/", PortfolioPositions.as_view(), name="api-portfolio-positions"),
    path("portfolios/<int:portfolio_id>/ledger/", PortfolioLedger.as_view(), name="api-portfolio-ledger"),
    path("portfolios/<int:portfolio_id>/round-trips/", PortfolioRoundTrips.as_view(), name="api-portfolio-round-trips"),
    path("portfolios/<int:portfolio_id>/cash/", PortfolioCash.as_view(), name="api-portfolio-cash"),
    path("borrow-rates/", BorrowRates.as_view(), name="api-borrow-rates"),
    path("portfolios/<int:portfolio_id>/bookings/", PortfolioBookings.as_view(), name="api-portfolio-bookings"),
    path("portfolios/<int:portfolio_id>/bookings/<int:booking_id>/decide/", BookingDecide.as_view(), name="api-booking-decide"),
    path("portfolios/<int:portfolio_id>/bookings/<int:booking_id>/withdraw/", BookingWithdraw.as_view(), name="api-booking-withdraw"),
    path("portfolios/<int:portfolio_id>/lots/", PortfolioLots.as_view(), name="api-portfolio-lots"),
    path("portfolios/<int:portfolio_id>/lot-method/", PortfolioLotMethod.as_view(), name="api-portfolio-lot-method"),
    path("portfolios/<int:portfolio_id>/targets/", PortfolioTargets.as_view(), name="api-portfolio-targets"),
    path("portfolios/<int:portfolio_id>/drift/", PortfolioDriftView.as_view(), name="api-portfolio-drift"),
    path("portfolios/<int:portfolio_id>/rebalances/", PortfolioRebalances.as_view(), name="api-portfolio-rebalances"),
    path("portfolios/<int:portfolio_id>/rebalance-events/", PortfolioRebalanceEvents.as_view(), name="api-portfolio-rebalance-events"),
]
