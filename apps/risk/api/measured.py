"""REST of what risk was: back-tests of value at risk and the history of snapshots."""

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.core import clock
from apps.core.api.fields import ZonedTime
from apps.core.api.serializers import StrictSerializer
from apps.core.api.users import desk_user
from apps.portfolios.selectors.portfolios import portfolio_get
from apps.risk.api.measured_serializers import BackTestSerializer, SnapshotSerializer
from apps.risk.domain.portfolio_risk import CONFIDENCES
from apps.risk.domain.tail_risk import Method
from apps.risk.selectors.portfolio_risk import portfolio_risk_now
from apps.risk.selectors.snapshots import MOST, risk_history
from apps.risk.selectors.var_backtests import hypothetical_back_tests, stored_back_test


class BackTestQuery(StrictSerializer):
    """Which back-tests."""

    method = serializers.ChoiceField(choices=[str(method) for method in Method], default=str(Method.HISTORICAL))
    hypothetical = serializers.ChoiceField(
        choices=["true", "false"], default="false", help_text="true: today's positions moved through history, in place of stored forecasts"
    )


class HistoryQuery(StrictSerializer):
    """Which snapshots: market times, both included."""

    start = ZonedTime(required=False, default=None)
    end = ZonedTime(required=False, default=None)


class BackTestView(APIView):
    """Whether value at risk was right."""

    @extend_schema(parameters=[BackTestQuery], responses=BackTestSerializer(many=True), operation_id="risk_backtest_list")
    def get(self, request: Request, portfolio_id: int) -> Response:
        """Kupiec, Christoffersen and the Basel zone at 95 and 99 %, and every tested session, of at most 250."""
        query = BackTestQuery(data=request.query_params.dict())
        query.is_valid(raise_exception=True)
        portfolio_get(user=desk_user(request), portfolio_id=portfolio_id)
        method = Method(query.validated_data["method"])
        if query.validated_data["hypothetical"] == "true":
            tests = hypothetical_back_tests(portfolio_risk_now(portfolio_id=portfolio_id, now=clock.now()), (method,), CONFIDENCES)
        else:
            tests = tuple(stored_back_test(portfolio_id=portfolio_id, method=method, confidence=confidence) for confidence in CONFIDENCES)
        return Response(BackTestSerializer(tests, many=True).data)


class RiskHistoryView(APIView):
    """Snapshots of a portfolio's risk."""

    @extend_schema(parameters=[HistoryQuery], responses=SnapshotSerializer(many=True), operation_id="risk_history_list")
    def get(self, request: Request, portfolio_id: int) -> Response:
        """Oldest first; of a range with more than 5,000 the latest."""
        query = HistoryQuery(data=request.query_params.dict())
        query.is_valid(raise_exception=True)
        portfolio_get(user=desk_user(request), portfolio_id=portfolio_id)
        rows = risk_history(portfolio_id, **query.validated_data, most=MOST)
        return Response(SnapshotSerializer(rows, many=True).data)
