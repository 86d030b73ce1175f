"""Endpoints of what follows from the ledger. A portfolio of others is 404."""

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.core.api.filters import refuse_unknown_parameters
from apps.core.api.pagination import CatalogueOrder
from apps.core.api.users import desk_user
from apps.core.clock import now
from apps.marketdata.selectors.market import HOME_CALENDAR, market_clock
from apps.portfolios.api.ledger_serializers import (
    CashQuerySerializer,
    CashSerializer,
    LotMethodSerializer,
    LotSerializer,
    NodeSerializer,
    RoundTripSerializer,
)
from apps.portfolios.domain.settlement import local_date
from apps.portfolios.models import Lot, LotClosure
from apps.portfolios.selectors.cash import cash_lines
from apps.portfolios.selectors.overviews import open_lots
from apps.portfolios.selectors.portfolios import portfolio_get
from apps.portfolios.selectors.round_trips import closures, round_trips
from apps.portfolios.selectors.tree import position_tree
from apps.portfolios.services.portfolios import lot_method_set


class PortfolioRoundTrips(GenericAPIView):
    """What was opened and closed again in a portfolio."""

    queryset = LotClosure.objects.none()
    serializer_class = RoundTripSerializer
    filter_backends = ()

    @extend_schema(responses=RoundTripSerializer(many=True))
    def get(self, request: Request, portfolio_id: int) -> Response:
        """Closed pieces of lots, the latest first, with gain, holding period and excursions."""
        refuse_unknown_parameters(request, {"cursor", "limit"})
        portfolio = portfolio_get(user=desk_user(request), portfolio_id=portfolio_id)
        rows = self.paginate_queryset(closures(portfolio.pk)) or []
        return self.get_paginated_response(RoundTripSerializer(round_trips(rows), many=True).data)


class PortfolioLots(GenericAPIView):
    """Open tax lots of a portfolio."""

    queryset = Lot.objects.none()
    serializer_class = LotSerializer
    pagination_class = CatalogueOrder
    filter_backends = ()

    @extend_schema(responses=LotSerializer(many=True))
    def get(self, request: Request, portfolio_id: int) -> Response:
        """Open lots by symbol, the oldest first."""
        refuse_unknown_parameters(request, {"page", "limit"})
        portfolio = portfolio_get(user=desk_user(request), portfolio_id=portfolio_id)
        rows = self.paginate_queryset(open_lots(portfolio.pk)) or []
        return self.get_paginated_response(LotSerializer(rows, many=True).data)


class PositionTree(APIView):
    """All that the user sees, as one tree."""

    @extend_schema(operation_id="positions_tree", responses=NodeSerializer)
    def get(self, request: Request) -> Response:
        """Desk, portfolios, books and positions at the latest prices; every node is the sum of its children."""
        refuse_unknown_parameters(request, set())
        return Response(NodeSerializer(position_tree(desk_user(request), market=market_clock(now()))).data)


class PortfolioCash(APIView):
    """Cash of a portfolio by currency."""

    @extend_schema(
        operation_id="portfolios_cash",
        parameters=[OpenApiParameter("on", str, description="Settled by the end of this day; the market's day by default")],
        responses=CashSerializer(many=True),
    )
    def get(self, request: Request, portfolio_id: int) -> Response:
        """Cash at trade date, and what of it has settled."""
        refuse_unknown_parameters(request, {"on"})
        portfolio = portfolio_get(user=desk_user(request), portfolio_id=portfolio_id)
        asked = CashQuerySerializer(data=request.query_params)
        asked.is_valid(raise_exception=True)
        on = asked.validated_data.get("on") or local_date(HOME_CALENDAR, market_clock(now()).market_time)
        return Response(CashSerializer(cash_lines(portfolio.pk, on), many=True).data)


class PortfolioLotMethod(APIView):
    """How a portfolio closes its lots."""

    @extend_schema(request=LotMethodSerializer, responses=LotMethodSerializer)
    def put(self, request: Request, portfolio_id: int) -> Response:
        """Change the method for entries from now on. A manager's right; what was booked keeps its method."""
        refuse_unknown_parameters(request, set())
        given = LotMethodSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        portfolio = lot_method_set(
            user=desk_user(request),
            portfolio_id=portfolio_id,
            method=given.validated_data["lot_method"],
            reason=given.validated_data["reason"],
        )
        return Response({"lot_method": portfolio.lot_method, "reason": given.validated_data["reason"]})
