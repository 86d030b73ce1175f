"""The user's own alerts, and their acknowledgement."""

from typing import Any

from django.db.models import Count
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.alerts.models import AlertReceipt, Severity
from apps.alerts.selectors.alerts import receipts
from apps.alerts.services import alert_acknowledge
from apps.core.api.filters import StrictFilterBackend, refuse_unknown_parameters
from apps.core.api.pagination import RecordedOrder
from apps.core.api.serializers import StrictSerializer
from apps.core.api.users import desk_user
from apps.core.clock import now

STATES = (("open", "Not acknowledged"), ("all", "All"))


class AlertSerializer(serializers.Serializer):
    """One user's copy of an alert."""

    id = serializers.IntegerField(source="alert_id")
    code = serializers.CharField(source="alert.code")
    severity = serializers.ChoiceField(source="alert.severity", choices=Severity.choices)
    title = serializers.CharField(source="alert.title")
    detail = serializers.CharField(source="alert.detail")
    subject = serializers.CharField(source="alert.subject")
    portfolio = serializers.IntegerField(source="alert.portfolio_id", allow_null=True)
    repeats = serializers.IntegerField(help_text="How often the same came again, counted and not sent again")
    data = serializers.JSONField(source="alert.data")  # type: ignore[assignment]
    occurred_at = serializers.DateTimeField(source="alert.occurred_at", help_text="Market time")
    recorded_at = serializers.DateTimeField(source="alert.recorded_at")
    acknowledged_at = serializers.DateTimeField(allow_null=True)
    note = serializers.CharField()


class AcknowledgementSerializer(StrictSerializer):
    note = serializers.CharField(required=False, default="", allow_blank=True, max_length=500)


class AcknowledgedSerializer(serializers.Serializer):
    """What stands after an acknowledgement: that of the first one."""

    id = serializers.IntegerField()
    acknowledged_at = serializers.DateTimeField()
    note = serializers.CharField()


class AlertFilter(filters.FilterSet):
    state = filters.ChoiceFilter(choices=STATES, method="by_state", empty_label=None)
    severity = filters.ChoiceFilter(field_name="alert__severity", choices=Severity.choices)
    code = filters.CharFilter(field_name="alert__code")
    portfolio = filters.NumberFilter(field_name="alert__portfolio_id")

    class Meta:
        model = AlertReceipt
        fields = ("state",)

    def by_state(self, rows: Any, name: str, value: str) -> Any:
        return rows.filter(acknowledged_at__isnull=True) if value == "open" else rows


class NewestAlerts(RecordedOrder):
    ordering = "-alert_id"


class AlertList(ListAPIView):
    """The user's alerts, newest first; `state=open` leaves out those that were acknowledged."""

    queryset = AlertReceipt.objects.none()
    serializer_class = AlertSerializer
    pagination_class = NewestAlerts
    filter_backends = (StrictFilterBackend,)
    filterset_class = AlertFilter

    def get_queryset(self) -> Any:
        if getattr(self, "swagger_fake_view", False):  # the schema is made without a user
            return AlertReceipt.objects.none()
        return receipts(desk_user(self.request), only_open=False).annotate(repeats=Count("alert__repeats"))


class AlertAcknowledge(APIView):
    """Saying that an alert was seen."""

    @extend_schema(request=AcknowledgementSerializer, responses=AcknowledgedSerializer)
    def post(self, request: Request, alert_id: int) -> Response:
        """Acknowledge an alert of one's own, with a note. The first acknowledgement stands."""
        refuse_unknown_parameters(request, set())
        given = AcknowledgementSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        seen = alert_acknowledge(user=desk_user(request), alert_id=alert_id, note=given.validated_data["note"], at=now())
        return Response(AcknowledgedSerializer(seen).data)
