"""Factor scores, recommendations and the volatility index over REST, in the shapes of the desk's first design."""

from datetime import UTC, date, datetime
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.core.api.serializers import StrictSerializer
from apps.core.clock import now
from apps.core.documents import plain
from apps.marketdata.domain.calendars import session_hours
from apps.marketdata.domain.vix import BANDS, vix_regime
from apps.marketdata.domain.weights import Optimizer
from apps.marketdata.models import Universe
from apps.marketdata.selectors.factor_view import ShownDate, recommendations, shown_date
from apps.marketdata.selectors.factors import FactorRow, factor_history, factor_scores, universe_of, universe_parse
from apps.marketdata.selectors.instruments import instrument_get
from apps.marketdata.selectors.market import HOME_CALENDAR
from apps.marketdata.selectors.vix import vix_shown

#: Header of an answer whose numbers lie in the market's future, as they do while a replay stands before the first of them.
NOTE = "X-Desk-Note"
UNIVERSES = [item.name.lower() for item in Universe]
SCORES = ("momentum", "quality", "value", "volatility", "composite", "rank")


class FactorQuery(StrictSerializer):
    """Whose scores of when; `date` is the last date that may be answered."""

    universe = serializers.ChoiceField(choices=UNIVERSES, default="etf")
    date = serializers.DateField(required=False, default=None)
    search = serializers.CharField(required=False, default="", max_length=50, help_text="part of the ticker or of the name")


class HistoryQuery(StrictSerializer):
    """How many dates, the newest of them."""

    days = serializers.IntegerField(min_value=1, max_value=5_000, default=90)


class VixQuery(StrictSerializer):
    """How many sessions, the newest of them."""

    days = serializers.IntegerField(min_value=1, max_value=10_000, default=252)


class RecommendationQuery(StrictSerializer):
    """How many positions, weighted how."""

    num_positions = serializers.IntegerField(min_value=1, max_value=200, default=20)
    optimizer = serializers.ChoiceField(
        choices=[str(item) for item in Optimizer],
        default=str(Optimizer.RANK_BASED),
        error_messages={"invalid_choice": f'"{{input}}" is none of {", ".join(Optimizer)}.'},
    )
    universe = serializers.ChoiceField(choices=UNIVERSES, default="etf")
    date = serializers.DateField(required=False, default=None)


class FactorSerializer(serializers.Serializer):
    """Scores in standard deviations, null where there is none (`missing` says why); `proxies` names scores that come from prices."""

    ticker = serializers.CharField()
    date = serializers.DateField()
    momentum = serializers.FloatField(allow_null=True)
    quality = serializers.FloatField(allow_null=True)
    value = serializers.FloatField(allow_null=True)
    volatility = serializers.FloatField(allow_null=True)
    composite = serializers.FloatField(allow_null=True)
    rank = serializers.IntegerField(allow_null=True)
    proxies = serializers.ListField(child=serializers.CharField())
    missing = serializers.DictField(child=serializers.CharField())


class FactorPointSerializer(FactorSerializer):
    """Scores of one date."""

    ticker = None  # type: ignore[assignment]


class FactorHistorySerializer(serializers.Serializer):
    """Scores of one instrument, oldest first."""

    ticker = serializers.CharField()
    history = FactorPointSerializer(many=True)


class RecommendationSerializer(serializers.Serializer):
    """One position."""

    ticker = serializers.CharField()
    composite_score = serializers.FloatField()
    target_weight = serializers.FloatField()


class RecommendationsSerializer(serializers.Serializer):
    """Positions whose weights sum to 1, best first, and the close that they were made from."""

    recommendations = RecommendationSerializer(many=True)
    generation_date = serializers.DateTimeField(allow_null=True)


class VixSerializer(serializers.Serializer):
    """The index's close and its regime."""

    date = serializers.DateField()
    value = serializers.FloatField()
    regime = serializers.ChoiceField(choices=[label for label, _ in BANDS])


class LatestFactors(APIView):
    @extend_schema(
        operation_id="factors_latest",
        summary="Latest factor scores of a universe",
        description="Of the last scored date that the market has seen. While a replay stands before all scores, the last ones: X-Desk-Note says so.",
        parameters=[FactorQuery],
        responses=FactorSerializer(many=True),
        tags=["market data"],
    )
    def get(self, request: Request) -> Response:
        """All instruments, the best rank first."""
        asked = _asked(FactorQuery, request)
        universe = universe_parse(asked["universe"])
        shown = shown_date(universe, now(), asked["date"])
        text = asked["search"].strip().lower()
        rows = factor_scores(universe, shown.day) if shown.day else []
        found = [_row(row) for row in rows if text in row.ticker.lower() or text in row.name.lower()]
        return Response(found, headers=_noted(shown))


class FactorHistory(APIView):
    @extend_schema(
        operation_id="factors_history",
        summary="Factor scores of one instrument",
        parameters=[HistoryQuery],
        responses=FactorHistorySerializer,
        tags=["market data"],
    )
    def get(self, request: Request, ticker: str) -> Response:
        """The newest `days` dates, oldest first."""
        asked = _asked(HistoryQuery, request)
        universe = universe_of(instrument_get(ticker))
        shown = shown_date(universe, now()) if universe else ShownDate(day=None, visible=True)
        rows = factor_history(ticker, last=asked["days"], until=shown.day) if shown.day else []
        history = [{key: value for key, value in _row(row).items() if key != "ticker"} for row in rows]
        return Response({"ticker": ticker, "history": history}, headers=_noted(shown))


class Recommendations(APIView):
    @extend_schema(
        operation_id="factors_recommendations",
        summary="The best instruments by composite score, with target weights",
        parameters=[RecommendationQuery],
        responses=RecommendationsSerializer,
        tags=["market data"],
    )
    def get(self, request: Request) -> Response:
        """At most `num_positions`, best first."""
        asked = _asked(RecommendationQuery, request)
        universe = universe_parse(asked["universe"])
        shown = shown_date(universe, now(), asked["date"])
        optimizer = Optimizer.parse(asked["optimizer"])
        found = recommendations(universe, shown.day, count=asked["num_positions"], optimizer=optimizer) if shown.day else []
        return Response({"recommendations": plain(found), "generation_date": plain(_closed_at(shown.day))}, headers=_noted(shown))


class VixHistory(APIView):
    @extend_schema(
        operation_id="vix_history",
        summary="The volatility index and its regime",
        description="Regimes: below 15 Low, from 15 Normal, from 20 Elevated, from 30 High Volatility.",
        parameters=[VixQuery],
        responses=VixSerializer(many=True),
        tags=["market data"],
    )
    def get(self, request: Request) -> Response:
        """The newest `days` closes, oldest first."""
        series, visible = vix_shown(now(), last=_asked(VixQuery, request)["days"])
        if series is None:
            return Response([])
        rows = zip(series.ts.astype("datetime64[D]").tolist(), series.close.tolist(), strict=True)
        shown = ShownDate(day=None, visible=visible, note="" if visible else "The market's time is before the first close: these lie in its future.")
        return Response([{"date": day.isoformat(), "value": value, "regime": vix_regime(value)} for day, value in rows], headers=_noted(shown))


def _asked(query: type[StrictSerializer], request: Request) -> dict[str, Any]:
    asked = query(data=request.query_params.dict())
    asked.is_valid(raise_exception=True)
    return dict(asked.validated_data)


def _noted(shown: ShownDate) -> dict[str, str]:
    return {NOTE: shown.note} if shown.note else {}


def _row(row: FactorRow) -> dict[str, Any]:
    return {
        "ticker": row.ticker,
        "date": row.date.isoformat(),
        **{name: getattr(row, name) for name in SCORES},
        "proxies": list(row.proxies),
        "missing": row.missing,
    }


def _closed_at(day: date | None) -> datetime | None:
    return None if day is None else session_hours(HOME_CALENDAR, day)[1].astimezone(UTC)
