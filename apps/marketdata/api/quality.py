"""REST of data quality: what the last checks say, asking for a check, and quarantine."""

from typing import Any

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_view
from rest_framework import serializers, status
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.core.api.filters import StrictFilterBackend, refuse_unknown_parameters
from apps.core.api.idempotency import idempotent
from apps.core.api.pagination import CatalogueOrder, RecordedOrder
from apps.core.api.permissions import HasPermission
from apps.core.api.serializers import StrictSerializer
from apps.core.api.users import desk_user
from apps.core.api.views import JobSerializer
from apps.core.clock import now
from apps.core.errors import InvalidInput
from apps.marketdata.api.serializers import TimeframeField
from apps.marketdata.domain.quality.findings import QualityCheck, Severity
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.models import QualityFinding, Quarantine
from apps.marketdata.selectors.quality import latest_findings
from apps.marketdata.services.quality import CheckRequest, check_queue
from apps.marketdata.services.quarantine import quarantine_open, quarantine_release

TAGS = ["market data"]


class FindingSerializer(serializers.ModelSerializer):
    """One finding of a series' newest check. `first` and `last` are starts of bars, `numbers` what the check compared."""

    symbol = serializers.CharField(source="instrument.symbol")
    timeframe = serializers.SerializerMethodField()
    check = serializers.CharField(source="check_code")

    class Meta:
        model = QualityFinding
        fields = ("id", "run", "symbol", "timeframe", "check", "severity", "first", "last", "count", "text", "numbers", "found_at")

    def get_timeframe(self, finding: QualityFinding) -> str:
        """Its code."""
        return Timeframe(finding.timeframe).code


class FindingFilter(filters.FilterSet):
    symbol = filters.CharFilter(field_name="instrument__symbol")
    check = filters.ChoiceFilter(field_name="check_code", choices=[(check.value, check.value) for check in QualityCheck])
    severity = filters.ChoiceFilter(choices=[(severity.value, severity.value) for severity in Severity])
    timeframe = filters.CharFilter(method="of_timeframe")

    class Meta:
        model = QualityFinding
        fields: list[str] = []

    def of_timeframe(self, queryset: "QuerySet[QualityFinding]", _name: str, code: str) -> "QuerySet[QualityFinding]":
        """Findings in bars of one time frame. Raises ValidationError for an unknown code."""
        try:
            return queryset.filter(timeframe=int(Timeframe.parse(code)))
        except InvalidInput as error:
            raise serializers.ValidationError({"timeframe": [error.detail]}) from error


@extend_schema_field({"type": "array", "items": {"type": "string"}, "maxItems": len(Timeframe), "description": "time frames by their codes"})
class TimeframeListField(serializers.ListField):
    """Several time frames."""

    child = TimeframeField()


class NewCheckSerializer(StrictSerializer):
    """What to check; nothing is everything."""

    symbols = serializers.ListField(child=serializers.CharField(max_length=20), default=list, max_length=500)
    timeframes = TimeframeListField(default=list, max_length=len(Timeframe))
    start = serializers.DateField(default=None, allow_null=True)
    end = serializers.DateField(default=None, allow_null=True)


@extend_schema_view(get=extend_schema(operation_id="data_quality_list", summary="Findings of the newest data checks", tags=TAGS))
class QualityList(ListAPIView):
    serializer_class = FindingSerializer
    pagination_class = CatalogueOrder
    filter_backends = [StrictFilterBackend]
    filterset_class = FindingFilter
    permission_classes = [
        HasPermission("marketdata.view_qualityfinding", methods=("GET",)),
        HasPermission("marketdata.add_qualityrun", methods=("POST",)),
    ]

    def get_queryset(self) -> "QuerySet[QualityFinding]":
        """Errors first, then warnings, the newest bars first."""
        return latest_findings().order_by("severity", "-first", "id")

    @extend_schema(
        operation_id="data_quality_check", summary="Check stored bars", request=NewCheckSerializer, responses={202: JobSerializer}, tags=TAGS
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Queue a check: 202 with the job."""
        refuse_unknown_parameters(request, set())
        given = NewCheckSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        values = given.validated_data
        wanted = CheckRequest(symbols=tuple(values["symbols"]), timeframes=tuple(values["timeframes"]), start=values["start"], end=values["end"])
        job = check_queue(request=wanted, user=desk_user(request), at=now())
        return Response(JobSerializer(job).data, status=status.HTTP_202_ACCEPTED, headers={"Location": f"/api/v1/jobs/{job.pk}/"})


class QuarantineSerializer(serializers.ModelSerializer):
    """A quarantine. `timeframe` null: all time frames; `from_date` null: from the beginning; `to_date` null: until further notice."""

    symbol = serializers.CharField(source="instrument.symbol")
    timeframe = serializers.SerializerMethodField()
    opened_by = serializers.CharField(source="opened_by.username", default=None)
    released_by = serializers.CharField(source="released_by.username", default=None)

    class Meta:
        model = Quarantine
        fields = (
            "id", "symbol", "timeframe", "reason", "from_date", "to_date",
            "opened_by", "opened_at", "released_by", "released_at", "release_reason",
        )  # fmt: skip

    def get_timeframe(self, quarantine: Quarantine) -> str | None:
        """Its code."""
        return None if quarantine.timeframe is None else Timeframe(quarantine.timeframe).code


class QuarantineFilter(filters.FilterSet):
    symbol = filters.CharFilter(field_name="instrument__symbol")
    open = filters.BooleanFilter(field_name="released_at", lookup_expr="isnull", label="true: only those that hold now")

    class Meta:
        model = Quarantine
        fields: list[str] = []


class NewQuarantineSerializer(StrictSerializer):
    """Data that must not be used."""

    symbol = serializers.CharField(max_length=20)
    timeframe = TimeframeField(default=None, allow_null=True)
    reason = serializers.CharField(max_length=500)
    from_date = serializers.DateField(default=None, allow_null=True)
    to_date = serializers.DateField(default=None, allow_null=True)


class ReleaseQuarantineSerializer(StrictSerializer):
    """Why the data may be used again."""

    reason = serializers.CharField(max_length=500)


@extend_schema_view(get=extend_schema(operation_id="data_quarantines_list", summary="Quarantines, newest first", tags=TAGS))
class QuarantineList(ListAPIView):
    serializer_class = QuarantineSerializer
    pagination_class = RecordedOrder
    filter_backends = [StrictFilterBackend]
    filterset_class = QuarantineFilter
    queryset = Quarantine.objects.select_related("instrument", "opened_by", "released_by")
    permission_classes = [
        HasPermission("marketdata.view_quarantine", methods=("GET",)),
        HasPermission("marketdata.add_quarantine", methods=("POST",)),
    ]

    @extend_schema(
        operation_id="data_quarantines_open",
        summary="Put data into quarantine",
        request=NewQuarantineSerializer,
        responses={201: QuarantineSerializer},
        tags=TAGS,
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Open a quarantine; 409 when this instrument and time frame have one."""
        refuse_unknown_parameters(request, set())
        given = NewQuarantineSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        made = quarantine_open(**given.validated_data, user=desk_user(request), at=now())
        return Response(_shown(made), status=status.HTTP_201_CREATED)


class QuarantineRelease(APIView):
    permission_classes = [HasPermission("marketdata.change_quarantine")]

    @extend_schema(
        operation_id="data_quarantines_release",
        summary="Release data from quarantine",
        request=ReleaseQuarantineSerializer,
        responses=QuarantineSerializer,
        tags=TAGS,
    )
    @idempotent
    def post(self, request: Request, quarantine_id: int) -> Response:
        """Release it; 409 when it is released already."""
        refuse_unknown_parameters(request, set())
        given = ReleaseQuarantineSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        found = quarantine_release(quarantine_id=quarantine_id, reason=given.validated_data["reason"], user=desk_user(request), at=now())
        return Response(_shown(found))


def _shown(quarantine: Quarantine) -> Any:
    return QuarantineSerializer(quarantine).data
