"""Reported figures over REST, as they were known."""

from datetime import datetime

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.core.api.fields import ZonedTime
from apps.core.api.serializers import StrictSerializer
from apps.core.clock import now
from apps.core.documents import plain
from apps.marketdata.domain.fundamentals import METRICS
from apps.marketdata.selectors.fundamentals import fundamentals_as_of
from apps.marketdata.selectors.market import market_clock


class FundamentalQuery(StrictSerializer):
    """Which figure as known when. A moment in the market's future is answered as of the market's time."""

    metric = serializers.ChoiceField(choices=sorted(METRICS), required=False, default=None)
    as_of = ZonedTime(required=False, default=None)


class FundamentalSerializer(serializers.Serializer):
    """One figure: of which period, worth what, known since when, said by whom."""

    symbol = serializers.CharField()
    metric = serializers.CharField()
    period = serializers.CharField()
    period_end = serializers.DateField()
    value = serializers.FloatField()
    unit = serializers.CharField()
    published_at = serializers.DateTimeField()
    source = serializers.CharField()  # type: ignore[assignment]
    revision = serializers.IntegerField()


class InstrumentFundamentals(APIView):
    @extend_schema(
        operation_id="instrument_fundamentals",
        summary="Reported figures of an instrument, as they were known",
        description="Of each figure and period the newest that had been published, in its last published version. Never what was published later.",
        parameters=[FundamentalQuery],
        responses=FundamentalSerializer(many=True),
        tags=["market data"],
    )
    def get(self, request: Request, symbol: str) -> Response:
        """The figures by name and period."""
        query = FundamentalQuery(data=request.query_params.dict())
        query.is_valid(raise_exception=True)
        asked = query.validated_data
        market: datetime = market_clock(now()).market_time
        moment = market if asked["as_of"] is None else min(asked["as_of"], market)
        metrics = None if asked["metric"] is None else [asked["metric"]]
        return Response(plain(fundamentals_as_of([symbol], metrics, moment)))
