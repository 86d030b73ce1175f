"""REST of stress scenarios and of what a session's result is made of. Money of the ledger is strings, of scenarios numbers."""

from datetime import date

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.core import clock
from apps.core.api.filters import refuse_unknown_parameters
from apps.core.api.users import desk_user
from apps.portfolios.selectors.portfolios import portfolio_get
from apps.risk.selectors.pnl_explain import session_explained
from apps.risk.selectors.scenarios import scenario_terms
from apps.risk.selectors.stress import stress_report


class ScenarioSerializer(serializers.Serializer):
    """A scenario as it is written down; `shocks` by factor, or "factor:key"."""

    name = serializers.CharField()
    title = serializers.CharField()
    kind = serializers.CharField()
    start = serializers.DateField(allow_null=True)
    end = serializers.DateField(allow_null=True)
    index_return = serializers.FloatField(allow_null=True)
    shocks = serializers.DictField(child=serializers.FloatField())
    loss = serializers.FloatField(allow_null=True)


class ScenarioOutcomeSerializer(serializers.Serializer):
    """What a scenario does; `coverage` is the share of gross value in it. `pnl` is null when the state allows no number."""

    name = serializers.CharField()
    title = serializers.CharField()
    kind = serializers.CharField()
    state = serializers.CharField(help_text="ok, partial, empty, price_missing or insufficient_data")
    pnl = serializers.FloatField(allow_null=True)
    fraction = serializers.FloatField(allow_null=True, help_text="Of equity")
    coverage = serializers.FloatField()
    by_symbol = serializers.DictField(child=serializers.FloatField())
    proxied = serializers.ListField(child=serializers.CharField())
    excluded = serializers.ListField(child=serializers.CharField())
    unpriced = serializers.ListField(child=serializers.CharField())
    distance = serializers.FloatField(allow_null=True, help_text="Of a reverse scenario, in daily standard deviations of the portfolio")
    moves = serializers.DictField(child=serializers.FloatField(), help_text="Of a reverse scenario, fractions by symbol")
    note = serializers.CharField(allow_blank=True)


class StressSerializer(serializers.Serializer):
    """Every scenario on the positions at one moment."""

    portfolio_id = serializers.IntegerField()
    currency = serializers.CharField()
    equity = serializers.FloatField(allow_null=True)
    market_time = serializers.DateTimeField()
    computed_at = serializers.DateTimeField()
    outcomes = ScenarioOutcomeSerializer(many=True)


class SymbolPartSerializer(serializers.Serializer):
    """What one instrument earned, in the portfolio's currency."""

    price = serializers.DecimalField(max_digits=24, decimal_places=4)
    trading = serializers.DecimalField(max_digits=24, decimal_places=4)
    income = serializers.DecimalField(max_digits=24, decimal_places=4)
    fees = serializers.DecimalField(max_digits=24, decimal_places=4)


class ExplainSerializer(serializers.Serializer):
    """The parts of a result; they and the residual sum to it."""

    result = serializers.DecimalField(max_digits=24, decimal_places=4)
    price = serializers.DecimalField(max_digits=24, decimal_places=4)
    trading = serializers.DecimalField(max_digits=24, decimal_places=4)
    fees = serializers.DecimalField(max_digits=24, decimal_places=4)
    income = serializers.DecimalField(max_digits=24, decimal_places=4)
    fx = serializers.DecimalField(max_digits=24, decimal_places=4)
    residual = serializers.DecimalField(max_digits=24, decimal_places=4)
    bound = serializers.DecimalField(max_digits=24, decimal_places=4)
    by_symbol = serializers.DictField(child=SymbolPartSerializer())


class SessionExplainSerializer(serializers.Serializer):
    """A session's result and its parts; `explain` is null when the state is not_recorded or price_missing."""

    portfolio_id = serializers.IntegerField()
    session = serializers.DateField()
    state = serializers.CharField(help_text="ok, residual (beyond its bound), price_missing or not_recorded")
    currency = serializers.CharField(allow_blank=True)
    opened_at = serializers.DateTimeField(allow_null=True)
    closed_at = serializers.DateTimeField(allow_null=True)
    missing = serializers.ListField(child=serializers.CharField())
    explain = ExplainSerializer(allow_null=True)


class ScenariosView(APIView):
    """The desk's scenarios."""

    @extend_schema(responses=ScenarioSerializer(many=True), operation_id="scenarios_list")
    def get(self, request: Request) -> Response:
        """The active ones, in the order in which results come."""
        refuse_unknown_parameters(request, set())
        return Response(ScenarioSerializer(scenario_terms(), many=True).data)


class StressView(APIView):
    """Stress scenarios on one portfolio."""

    @extend_schema(
        parameters=[OpenApiParameter("scenario", str, many=True, description="Only this one, active or not; may be repeated")],
        responses=StressSerializer,
        operation_id="portfolio_stress_retrieve",
    )
    def get(self, request: Request, portfolio_id: int) -> Response:
        """Today's positions at the latest prices under each active scenario. An unknown scenario is 404 and names those that exist."""
        refuse_unknown_parameters(request, {"scenario"})
        portfolio_get(user=desk_user(request), portfolio_id=portfolio_id)
        report = stress_report(portfolio_id=portfolio_id, now=clock.now(), names=request.query_params.getlist("scenario"))
        return Response(StressSerializer(report).data)


class PnlExplainView(APIView):
    """What a session's result is made of."""

    @extend_schema(
        parameters=[OpenApiParameter("session", date, description="By default the last session that has closed")],
        responses=SessionExplainSerializer,
        operation_id="portfolio_pnl_explain_retrieve",
    )
    def get(self, request: Request, portfolio_id: int) -> Response:
        """Price, trading, fees, income, currencies, and the residual with its bound. A day without a session is 400."""
        refuse_unknown_parameters(request, {"session"})
        portfolio_get(user=desk_user(request), portfolio_id=portfolio_id)
        found = session_explained(portfolio_id=portfolio_id, now=clock.now(), session=session_asked(request))
        return Response(SessionExplainSerializer(found).data)


def session_asked(request: Request) -> date | None:
    """The parameter `session`. Raises ValidationError for what is no date."""
    text = request.query_params.get("session")
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ValidationError({"session": ["A date like 2026-11-20 is required."]}) from error
