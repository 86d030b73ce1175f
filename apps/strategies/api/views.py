"""Endpoints of strategies and backtests."""

from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.core.api.filters import StrictFilterBackend, refuse_unknown_parameters
from apps.core.api.idempotency import idempotent
from apps.core.api.permissions import HasPermission
from apps.core.api.users import desk_user
from apps.core.api.views import JobSerializer
from apps.core.clock import now
from apps.marketdata.domain.timeframes import Timeframe
from apps.strategies.api.serializers import BacktestDetailSerializer, BacktestSerializer, NewBacktestSerializer, StrategySerializer
from apps.strategies.models import BacktestRun
from apps.strategies.selectors.strategies import strategy_describe, strategy_names
from apps.strategies.services.backtests import BacktestRequest, backtest_get, backtest_request, universe_symbols

VIEW = HasPermission("strategies.view_backtestrun", methods=("GET",))


class BacktestFilter(filters.FilterSet):
    strategy = filters.CharFilter()
    engine = filters.CharFilter()
    created_at__gte = filters.IsoDateTimeFilter(field_name="created_at", lookup_expr="gte")

    class Meta:
        model = BacktestRun
        fields = ("strategy", "engine")


class BacktestList(ListAPIView):
    """Stored runs, and asking for another one."""

    queryset = BacktestRun.objects.select_related("requested_by").defer("equity", "trades")
    serializer_class = BacktestSerializer
    filter_backends = (StrictFilterBackend,)
    filterset_class = BacktestFilter
    permission_classes = (VIEW, HasPermission("strategies.add_backtestrun", methods=("POST",)))

    @extend_schema(request=NewBacktestSerializer, responses={202: JobSerializer})
    @idempotent
    def post(self, request: Request) -> Response:
        """Queue a run: 202 with the job, whose result names the backtest."""
        refuse_unknown_parameters(request, set())
        given = NewBacktestSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        values = {**given.validated_data, "timeframe": Timeframe.parse(given.validated_data["timeframe"])}
        if "universe" in values:
            values["symbols"] = universe_symbols(values["universe"], on=values["start"])
        uuid = request.idempotency_uuid  # type: ignore[attr-defined]
        job = backtest_request(request=BacktestRequest(**values), user=desk_user(request), at=now(), request_uuid=uuid)
        return Response(JobSerializer(job).data, status=status.HTTP_202_ACCEPTED, headers={"Location": f"/api/v1/jobs/{job.pk}/"})


class BacktestDetail(APIView):
    """One run."""

    permission_classes = (VIEW,)

    @extend_schema(responses=BacktestDetailSerializer)
    def get(self, request: Request, backtest_id: str) -> Response:
        """The run with its equity curve and round trips."""
        refuse_unknown_parameters(request, set())
        return Response(BacktestDetailSerializer(backtest_get(int(backtest_id))).data)


class StrategyList(APIView):
    """The strategies that the desk knows by name."""

    permission_classes = (VIEW,)

    @extend_schema(responses=StrategySerializer(many=True))
    def get(self, request: Request) -> Response:
        """Strategies with their parameters."""
        refuse_unknown_parameters(request, set())
        return Response([strategy_describe(name) for name in strategy_names()])
