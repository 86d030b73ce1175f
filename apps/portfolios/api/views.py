"""Endpoints of portfolios. A portfolio of others is 404."""

from typing import Any

from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.generics import GenericAPIView, ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.core.api.filters import StrictFilterBackend, refuse_unknown_parameters
from apps.core.api.pagination import CatalogueOrder
from apps.core.api.permissions import HasPermission
from apps.core.api.users import desk_user
from apps.core.clock import now
from apps.marketdata.selectors.market import MarketClock, market_clock
from apps.portfolios.api.serializers import (
    LedgerEntrySerializer,
    NewPortfolioSerializer,
    OwnedPositionSerializer,
    PortfolioDetailSerializer,
    PortfolioSerializer,
    PositionQuerySerializer,
    PositionSerializer,
    TargetedPositionSerializer,
)
from apps.portfolios.models import EntryKind, LedgerEntry, Portfolio, PortfolioStatus
from apps.portfolios.selectors.accounts import paper_trading
from apps.portfolios.selectors.overviews import ledger_entries, portfolio_overview, portfolio_overviews
from apps.portfolios.selectors.portfolios import portfolio_get, portfolios_visible
from apps.portfolios.selectors.stops import stop_threshold
from apps.portfolios.selectors.targets import plan_weights, target_plan
from apps.portfolios.services.portfolios import portfolio_close, portfolio_open


class PortfolioFilter(filters.FilterSet):
    status = filters.ChoiceFilter(choices=PortfolioStatus.choices)
    name = filters.CharFilter()

    class Meta:
        model = Portfolio
        fields = ("status", "name")


class PortfolioList(GenericAPIView):
    """The portfolios that the user sees, valued now; opening another one."""

    queryset = Portfolio.objects.none()
    serializer_class = PortfolioSerializer
    pagination_class = CatalogueOrder
    filter_backends = (StrictFilterBackend,)
    filterset_class = PortfolioFilter
    permission_classes = (HasPermission("portfolios.add_portfolio", methods=("POST",)),)

    @extend_schema(operation_id="portfolios_list", responses=PortfolioSerializer(many=True))
    def get(self, request: Request) -> Response:
        """Portfolios by name, at the latest prices."""
        rows = self.paginate_queryset(self.filter_queryset(portfolios_visible(desk_user(request))))
        overviews = portfolio_overviews(list(rows or ()), market=market_clock(now()))
        context = {"paper": paper_trading([overview.portfolio.pk for overview in overviews])}
        return self.get_paginated_response(PortfolioSerializer(overviews, many=True, context=context).data)

    @extend_schema(request=NewPortfolioSerializer, responses={201: PortfolioDetailSerializer})
    def post(self, request: Request) -> Response:
        """Open a portfolio with a paper account: the user becomes its manager, the capital its first deposit, at the market's time."""
        refuse_unknown_parameters(request, set())
        given = NewPortfolioSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        at = now()
        market = market_clock(at)
        portfolio = portfolio_open(owner=desk_user(request), effective_at=market.market_time, recorded_at=at, **given.validated_data)
        body = _detail(portfolio, market)
        return Response(body, status=status.HTTP_201_CREATED, headers={"Location": f"{request.path}{portfolio.pk}/"})


class PortfolioDetail(APIView):
    """One portfolio."""

    @extend_schema(responses=PortfolioDetailSerializer)
    def get(self, request: Request, portfolio_id: int) -> Response:
        """The portfolio with its positions, at the latest prices."""
        refuse_unknown_parameters(request, set())
        portfolio = portfolio_get(user=desk_user(request), portfolio_id=portfolio_id)
        return Response(_detail(portfolio, market_clock(now())))

    @extend_schema(parameters=[OpenApiParameter("reason", str, description="Kept in the portfolio's history")], responses={204: None})
    def delete(self, request: Request, portfolio_id: int) -> Response:
        """Close the portfolio for trading. Its numbers stay; open positions and working orders are a conflict."""
        refuse_unknown_parameters(request, {"reason"})
        portfolio_close(user=desk_user(request), portfolio_id=portfolio_id, reason=request.query_params.get("reason", ""))
        return Response(status=status.HTTP_204_NO_CONTENT)


def _detail(portfolio: Portfolio, market: MarketClock) -> dict[str, Any]:
    context = {"paper": paper_trading([portfolio.pk]), **_targets(portfolio, market)}
    return PortfolioDetailSerializer(portfolio_overview(portfolio, market=market), context=context).data


def _targets(portfolio: Portfolio, market: MarketClock) -> dict[str, Any]:
    return {"targets": plan_weights(target_plan(portfolio.pk, market.session)), "stop": stop_threshold(market.market_time)}


class PortfolioPositions(APIView):
    """The open positions of a portfolio."""

    @extend_schema(responses=TargetedPositionSerializer(many=True))
    def get(self, request: Request, portfolio_id: int) -> Response:
        """Positions by symbol over all books, at the latest prices, with their targets."""
        refuse_unknown_parameters(request, set())
        portfolio, market = portfolio_get(user=desk_user(request), portfolio_id=portfolio_id), market_clock(now())
        positions = portfolio_overview(portfolio, market=market).valuation.positions
        return Response(TargetedPositionSerializer(positions, many=True, context=_targets(portfolio, market)).data)


class PositionList(APIView):
    """The open positions of all portfolios that the user sees."""

    @extend_schema(
        operation_id="positions_list",
        parameters=[OpenApiParameter("portfolio", int), OpenApiParameter("symbol", str)],
        responses=OwnedPositionSerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        """Positions by portfolio and symbol, at the latest prices."""
        refuse_unknown_parameters(request, {"portfolio", "symbol"})
        asked = PositionQuerySerializer(data=request.query_params)
        asked.is_valid(raise_exception=True)
        portfolios = portfolios_visible(desk_user(request))
        if portfolio_id := asked.validated_data.get("portfolio"):
            portfolios = portfolios.filter(pk=portfolio_id)
        symbol = asked.validated_data.get("symbol")
        market = market_clock(now())
        context = {"stop": stop_threshold(market.market_time)}
        owned = [
            {"portfolio_id": overview.portfolio.pk, **PositionSerializer(position, context=context).data}
            for overview in portfolio_overviews(list(portfolios), market=market)
            for position in overview.valuation.positions
            if symbol in (None, position.symbol)
        ]
        return Response(owned)


class LedgerFilter(filters.FilterSet):
    kind = filters.ChoiceFilter(choices=EntryKind.choices)
    symbol = filters.CharFilter(field_name="instrument__symbol")
    book = filters.CharFilter(field_name="book__name")
    effective_at__gte = filters.IsoDateTimeFilter(field_name="effective_at", lookup_expr="gte")
    effective_at__lt = filters.IsoDateTimeFilter(field_name="effective_at", lookup_expr="lt")

    class Meta:
        model = LedgerEntry
        fields = ("kind",)


class PortfolioLedger(ListAPIView):
    """The ledger of a portfolio, newest first."""

    queryset = LedgerEntry.objects.none()
    serializer_class = LedgerEntrySerializer
    filter_backends = (StrictFilterBackend,)
    filterset_class = LedgerFilter

    def get_queryset(self) -> Any:
        if getattr(self, "swagger_fake_view", False):  # the schema is made without a user
            return LedgerEntry.objects.none()
        portfolio = portfolio_get(user=desk_user(self.request), portfolio_id=self.kwargs["portfolio_id"])
        return ledger_entries(portfolio.pk)
