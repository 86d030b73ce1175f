"""REST of what risk was: back-tests of value at risk and the history of snapshots."""

from datetime import datetime

from django.utils.dateparse import parse_datetime
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.core import clock
from apps.core.api.filters import refuse_unknown_parameters
from apps.core.api.users import desk_user
from apps.portfolios.selectors.portfolios import portfolio_get
from apps.risk.api.measured_serializers import BackTestSerializer, SnapshotSerializer
from apps.risk.domain.portfolio_risk import CONFIDENCES
from apps.risk.domain.tail_risk import Method
from apps.risk.selectors.portfolio_risk import portfolio_risk_now
from apps.risk.selectors.snapshots import MOST, risk_history
from apps.risk.selectors.var_backtests import hypothetical_back_tests, stored_back_test


class BackTestView(APIView):
    """Whether value at risk was right."""

    @extend_schema(
        parameters=[
            OpenApiParameter("method", str, description="One of the five; without it the historical one"),
            OpenApiParameter("hypothetical", bool, description="true: today's positions moved through history, in place of stored forecasts"),
        ],
        responses=BackTestSerializer(many=True),
        operation_id="risk_backtest_list",
    )
    def get(self, request: Request, portfolio_id: int) -> Response:
        """Kupiec, Christoffersen and the Basel zone at 95 and 99 %, and every tested session, of at most 250."""
        refuse_unknown_parameters(request, {"method", "hypothetical"})
        portfolio_get(user=desk_user(request), portfolio_id=portfolio_id)
        method = _method(request.query_params.get("method", Method.HISTORICAL.value))
        if _flag(request.query_params.get("hypothetical", "false")):
            tests = hypothetical_back_tests(portfolio_risk_now(portfolio_id=portfolio_id, now=clock.now()), (method,), CONFIDENCES)
        else:
            tests = tuple(stored_back_test(portfolio_id=portfolio_id, method=method, confidence=confidence) for confidence in CONFIDENCES)
        return Response(BackTestSerializer(tests, many=True).data)


class RiskHistoryView(APIView):
    """Snapshots of a portfolio's risk."""

    @extend_schema(
        parameters=[
            OpenApiParameter("start", datetime, description="Market time, included"),
            OpenApiParameter("end", datetime, description="Market time, included"),
        ],
        responses=SnapshotSerializer(many=True),
        operation_id="risk_history_list",
    )
    def get(self, request: Request, portfolio_id: int) -> Response:
        """Oldest first; of a range with more than 5,000 the latest."""
        refuse_unknown_parameters(request, {"start", "end"})
        portfolio_get(user=desk_user(request), portfolio_id=portfolio_id)
        rows = risk_history(portfolio_id, start=_time(request, "start"), end=_time(request, "end"), most=MOST)
        return Response(SnapshotSerializer(rows, many=True).data)


def _method(text: str) -> Method:
    if text not in [method.value for method in Method]:
        raise ValidationError({"method": [f"One of {', '.join(Method)} is required."]})
    return Method(text)


def _flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValidationError({"hypothetical": ["true or false is required."]})
    return text == "true"


def _time(request: Request, name: str) -> datetime | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    try:
        found = parse_datetime(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise ValidationError({name: ["A time with a zone is required, for example 2026-11-19T21:00:00Z."]})
    return found
