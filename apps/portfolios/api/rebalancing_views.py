"""Endpoints of targets, drift and what was proposed. Proposing and executing belong to the app that executes."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.core.api.filters import refuse_unknown_parameters
from apps.core.api.users import desk_user
from apps.core.clock import now
from apps.marketdata.selectors.market import market_clock
from apps.portfolios.api.rebalancing_serializers import (
    DriftSerializer,
    NewTargetsSerializer,
    ProposalSerializer,
    RebalanceEventSerializer,
    TargetsSerializer,
)
from apps.portfolios.models import RebalanceEvent, RebalanceProposal
from apps.portfolios.selectors.drift import portfolio_drift
from apps.portfolios.selectors.portfolios import portfolio_get
from apps.portfolios.selectors.rebalances import proposals, rebalance_events
from apps.portfolios.selectors.targets import target_history
from apps.portfolios.services.targets import PlanTerms, targets_set


class PortfolioTargets(APIView):
    """The targets of a portfolio."""

    @extend_schema(operation_id="portfolio_targets_list", responses=TargetsSerializer(many=True))
    def get(self, request: Request, portfolio_id: int) -> Response:
        """All targets that were ever set, the ones that hold last first: the first that is effective now holds."""
        refuse_unknown_parameters(request, set())
        portfolio = portfolio_get(user=desk_user(request), portfolio_id=portfolio_id)
        return Response(TargetsSerializer(target_history(portfolio.pk), many=True).data)

    @extend_schema(request=NewTargetsSerializer, responses=TargetsSerializer)
    def put(self, request: Request, portfolio_id: int) -> Response:
        """Set the targets from a date on; earlier ones stay in the history. The same again changes nothing. Managers of the portfolio only."""
        refuse_unknown_parameters(request, set())
        given = NewTargetsSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        data: dict[str, Any] = dict(given.validated_data)
        at = now()
        today = market_clock(at).session
        plan = targets_set(
            user=desk_user(request),
            portfolio_id=portfolio_id,
            weights=data.pop("weights"),
            reason=data.pop("reason"),
            effective_on=data.pop("effective_on") or today,
            today=today,
            recorded_at=at,
            terms=PlanTerms(**data),
        )
        return Response(TargetsSerializer(plan).data)


class PortfolioDriftView(APIView):
    """How far a portfolio is from its targets."""

    @extend_schema(operation_id="portfolio_drift_retrieve", responses=DriftSerializer)
    def get(self, request: Request, portfolio_id: int) -> Response:
        """The drift at the latest prices."""
        refuse_unknown_parameters(request, set())
        portfolio = portfolio_get(user=desk_user(request), portfolio_id=portfolio_id)
        return Response(DriftSerializer(portfolio_drift(portfolio, market=market_clock(now()))).data)


class PortfolioRebalances(ListAPIView):
    """Proposals of a portfolio, newest first."""

    queryset = RebalanceProposal.objects.none()
    serializer_class = ProposalSerializer

    def get_queryset(self) -> Any:
        if getattr(self, "swagger_fake_view", False):  # the schema is made without a user
            return RebalanceProposal.objects.none()
        return proposals(portfolio_get(user=desk_user(self.request), portfolio_id=self.kwargs["portfolio_id"]).pk)


class PortfolioRebalanceEvents(ListAPIView):
    """Every step of every rebalance, newest first."""

    queryset = RebalanceEvent.objects.none()
    serializer_class = RebalanceEventSerializer

    def get_queryset(self) -> Any:
        if getattr(self, "swagger_fake_view", False):
            return RebalanceEvent.objects.none()
        return rebalance_events(portfolio_get(user=desk_user(self.request), portfolio_id=self.kwargs["portfolio_id"]).pk)
