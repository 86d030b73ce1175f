"""Endpoints of performance."""

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.analytics.domain.performance import Performance, Period
from apps.analytics.selectors.performance import portfolio_performance
from apps.core.api.serializers import StrictSerializer
from apps.core.api.users import desk_user
from apps.portfolios.selectors.portfolios import portfolio_get


class PerformanceQuery(StrictSerializer):
    period = serializers.ChoiceField(choices=[(str(period), str(period)) for period in Period], default=str(Period.ALL))


class ChartPoint(serializers.Serializer):
    """One recorded value; `return` is cumulative since the period's beginning."""

    date = serializers.DateField(help_text="UTC date of the market's time")
    value = serializers.FloatField()

    def get_fields(self) -> dict:
        return {**super().get_fields(), "return": serializers.FloatField()}  # no attribute of a class can have this name


class PerformanceSerializer(serializers.Serializer):
    """Measures of a period, time-weighted and net of fees. null is unknown: too few values."""

    period = serializers.ChoiceField(choices=[(str(period), str(period)) for period in Period])
    observations = serializers.IntegerField(help_text="Number of returns")
    total_return = serializers.FloatField(allow_null=True)
    annualized_return = serializers.FloatField(allow_null=True)
    volatility = serializers.FloatField(allow_null=True)
    sharpe_ratio = serializers.FloatField(allow_null=True)
    sortino_ratio = serializers.FloatField(allow_null=True)
    calmar_ratio = serializers.FloatField(allow_null=True)
    max_drawdown = serializers.FloatField(allow_null=True, help_text="Fraction <= 0")
    win_rate = serializers.FloatField(allow_null=True, help_text="Share of sessions with a positive return")
    chart_data = ChartPoint(many=True)


class PortfolioPerformance(APIView):
    """What a portfolio achieved."""

    @extend_schema(parameters=[PerformanceQuery], responses=PerformanceSerializer)
    def get(self, request: Request, portfolio_id: int) -> Response:
        """Performance over a period that ends with the last recorded value."""
        query = PerformanceQuery(data=request.query_params.dict())
        query.is_valid(raise_exception=True)
        portfolio = portfolio_get(user=desk_user(request), portfolio_id=portfolio_id)
        found = portfolio_performance(portfolio, Period(query.validated_data["period"]))
        return Response(PerformanceSerializer(_body(found)).data)


#: What the answer takes from `Performance` as it is.
MEASURES = tuple(name for name in PerformanceSerializer._declared_fields if name != "chart_data")


def _body(found: Performance) -> dict:
    measures = {name: getattr(found, name) for name in MEASURES}
    points = zip(found.ts.astype("datetime64[D]").tolist(), found.value.tolist(), found.cumulative.tolist(), strict=True)
    return {**measures, "chart_data": [{"date": day, "value": value, "return": cumulative} for day, value, cumulative in points]}
