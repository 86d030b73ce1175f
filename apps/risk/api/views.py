"""REST of risk: summary, trading state, release, limits."""

from dataclasses import fields
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, viewsets
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.core import clock
from apps.core.api.filters import StrictFilterBackend, refuse_unknown_parameters
from apps.core.api.idempotency import idempotent
from apps.core.api.users import desk_user
from apps.portfolios.selectors.portfolios import portfolio_get, portfolios_visible
from apps.risk.api.serializers import (
    NothingSerializer,
    PortfolioRiskSerializer,
    ReleaseRequestSerializer,
    ReleaseSerializer,
    RiskLimitSerializer,
    StateChangeSerializer,
    StateSerializer,
)
from apps.risk.domain.risk_document import risk_document
from apps.risk.models import RiskLimit
from apps.risk.selectors.limits import limits_active
from apps.risk.selectors.portfolio_risk import risk_inputs
from apps.risk.selectors.state import trading_state
from apps.risk.selectors.stops import stop_status
from apps.risk.selectors.summary import risk_view_now
from apps.risk.services.state import release_approve, release_request

PORTFOLIO = OpenApiParameter("portfolio", int, description="A portfolio; without it the desk")


class PortfolioRiskView(APIView):
    """Risk of one portfolio."""

    @extend_schema(responses=PortfolioRiskSerializer, operation_id="portfolio_risk_retrieve")
    def get(self, request: Request, portfolio_id: int) -> Response:
        """Value, result, drawdown and limits at the latest prices, where positions stand to the stop of the VIX's regime, and `measures`:
        value at risk and shortfall by every method, whose risk it is, and what it stands on."""
        refuse_unknown_parameters(request, set())
        portfolio_get(user=desk_user(request), portfolio_id=portfolio_id)
        now = clock.now()
        view = risk_view_now(portfolio_id=portfolio_id, now=now)
        stops = stop_status(view)
        summary = view.summary
        risk = risk_inputs(view, now=now).full()
        known = {field.name: getattr(summary, field.name) for field in fields(summary)}
        stop = {"vix_current": stops.vix, "vix_regime": stops.regime, "stop_loss_threshold": stops.threshold, "positions_at_risk": stops.positions}
        return Response(PortfolioRiskSerializer(known | stop | {"measures": risk_document(risk)}).data)


class TradingStateView(APIView):
    """Whether trading is active, reducing or halted."""

    @extend_schema(parameters=[PORTFOLIO], responses=StateSerializer, operation_id="trading_state_retrieve")
    def get(self, request: Request) -> Response:
        """The state of the desk, or of one portfolio, in which the desk's counts where it is stricter."""
        refuse_unknown_parameters(request, {"portfolio"})
        given = request.query_params.get("portfolio")
        if given is None:
            return Response(StateSerializer(trading_state(None)).data)
        if not given.isdecimal():
            raise ValidationError({"portfolio": ["A whole number is required."]})
        portfolio = portfolio_get(user=desk_user(request), portfolio_id=int(given))
        return Response(StateSerializer(trading_state(portfolio.pk)).data)


class ReleaseView(APIView):
    """The first of the two people who end a halt."""

    @extend_schema(request=ReleaseSerializer, responses={201: ReleaseRequestSerializer}, operation_id="release_create")
    @idempotent
    def post(self, request: Request) -> Response:
        """Ask for the release; another person has 15 minutes to approve. Needs the permission risk.release_trading."""
        data = _validated(ReleaseSerializer, request)
        asked = release_request(portfolio_id=data["portfolio"], user=desk_user(request), reason=data["reason"], at=clock.now())
        return Response(ReleaseRequestSerializer(asked).data, status=201)


class ReleaseApproveView(APIView):
    """The second of the two people who end a halt."""

    @extend_schema(request=NothingSerializer, responses={201: StateChangeSerializer}, operation_id="release_approve")
    @idempotent
    def post(self, request: Request, request_id: int) -> Response:
        """Approve another person's request: trading goes on. Needs the permission risk.release_trading."""
        _validated(NothingSerializer, request)
        change = release_approve(request_id=request_id, approver=desk_user(request), at=clock.now())
        return Response(StateChangeSerializer(change).data, status=201)


class RiskLimitViewSet(mixins.ListModelMixin, viewsets.GenericViewSet):
    """Limits in force of the portfolios that the user sees."""

    serializer_class = RiskLimitSerializer
    filter_backends = [StrictFilterBackend]
    filterset_fields = ["portfolio", "kind"]
    queryset = RiskLimit.objects.none()

    def get_queryset(self) -> "QuerySet[RiskLimit]":
        """Limits of others' portfolios do not exist for this user."""
        return limits_active(clock.now()).filter(portfolio__in=portfolios_visible(desk_user(self.request)))


def _validated(serializer: type, request: Request) -> dict[str, Any]:
    form = serializer(data=request.data)
    form.is_valid(raise_exception=True)
    return form.validated_data
