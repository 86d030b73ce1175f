"""Bringing the data up to date, and how fresh it is."""

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.core.api.filters import refuse_unknown_parameters
from apps.core.api.idempotency import idempotent
from apps.core.api.permissions import HasPermission
from apps.core.api.serializers import StrictSerializer
from apps.core.api.users import desk_user
from apps.core.clock import now
from apps.core.documents import plain
from apps.marketdata.api.serializers import TimeframeField
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.selectors.data_status import data_status
from apps.marketdata.services.updates import UpdateRequest, data_update_request


class NewUpdateSerializer(StrictSerializer):
    """What to fetch. Everything may be left out: the daily bars that are missing in the last 30 days, of all instruments that may be
    traded or are scored (every listed stock and ETF).
    """

    provider = serializers.CharField(max_length=30, default="auto", help_text='A vendor, or "auto" for the enabled ones in their order')
    symbols = serializers.ListField(child=serializers.CharField(max_length=20), default=list, max_length=5_000)
    timeframe = TimeframeField(default=Timeframe.DAY)
    start = serializers.DateField(default=None, allow_null=True)
    end = serializers.DateField(default=None, allow_null=True)
    refresh = serializers.BooleanField(default=False, help_text="Ask for what is there already too; different values become revisions")


class StartedSerializer(serializers.Serializer):
    """The job that does it: see /api/v1/jobs/{id}/."""

    status = serializers.CharField()
    job_id = serializers.CharField()


class LiveFeedSerializer(serializers.Serializer):
    """One process of a live feed. Its counters are explained in docs/feed.md."""

    feed = serializers.CharField()
    provider = serializers.CharField()
    host = serializers.CharField()
    process = serializers.IntegerField()
    state = serializers.ChoiceField(choices=["running", "lost", "ended"])
    started_at = serializers.DateTimeField()
    age_seconds = serializers.FloatField()
    last_tick_age_seconds = serializers.FloatField(allow_null=True)
    shards = serializers.ListField(child=serializers.IntegerField())
    symbols = serializers.IntegerField()
    counters = serializers.DictField(child=serializers.IntegerField())


class DataStatusSerializer(serializers.Serializer):
    """How fresh the data is, by the market's time."""

    latest_price_date = serializers.DateField(allow_null=True)
    days_old = serializers.IntegerField(allow_null=True)
    num_etfs = serializers.IntegerField()
    latest_factor_date = serializers.DateField(allow_null=True)
    num_instruments = serializers.IntegerField()
    stale = serializers.IntegerField()
    stale_symbols = serializers.ListField(child=serializers.CharField())
    feed = serializers.ChoiceField(choices=["replay", "live", "none"])
    feed_stopped = serializers.BooleanField()
    market_time = serializers.DateTimeField()
    live_feeds = LiveFeedSerializer(many=True)


class DataUpdate(APIView):
    permission_classes = (HasPermission("marketdata.fetch_data"),)

    @extend_schema(
        operation_id="data_update",
        summary="Fetch what is missing and score the factors anew",
        request=NewUpdateSerializer,
        responses={202: StartedSerializer},
        tags=["market data"],
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Queue the update: 202 with the job's id and its address."""
        refuse_unknown_parameters(request, set())
        given = NewUpdateSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        asked = UpdateRequest(**{**given.validated_data, "symbols": tuple(given.validated_data["symbols"])})
        uuid = request.idempotency_uuid  # type: ignore[attr-defined]
        job = data_update_request(request=asked, user=desk_user(request), at=now(), request_uuid=uuid)
        body = {"status": "started", "job_id": str(job.pk)}
        return Response(body, status=status.HTTP_202_ACCEPTED, headers={"Location": f"/api/v1/jobs/{job.pk}/"})


class DataState(APIView):
    @extend_schema(operation_id="data_status", summary="How fresh the data is", responses=DataStatusSerializer, tags=["market data"])
    def get(self, request: Request) -> Response:
        """Dates of the newest prices and scores, and who is behind."""
        refuse_unknown_parameters(request, set())
        return Response(plain(data_status(now())))
