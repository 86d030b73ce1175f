"""REST of live engines: how they are, what they did step by step, start, stop, reset, approval of live trading."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core import clock
from apps.core.api.idempotency import idempotent
from apps.core.api.serializers import StrictSerializer
from apps.core.api.users import desk_user
from apps.core.documents import plain
from apps.core.errors import Conflict
from apps.core.trading import TradingMode
from apps.execution.domain.cycles import Trigger
from apps.execution.models import TradingEngine
from apps.execution.selectors.engines import (
    STATUSES,
    approval_open,
    cycle_get,
    cycle_row,
    engine_cycles,
    engine_events,
    engine_get,
    engine_orders,
    engine_row,
    engine_rows,
    engines_visible,
)
from apps.execution.services.engines import engine_reset, engine_start, engine_stop, live_approve, live_request, live_revoke

#: Choices that the schema knows by a name of their own.
ENGINE_STATUSES = list(STATUSES)
ENGINE_MODES = [mode.value for mode in TradingMode]
ENGINE_TRIGGERS = [trigger.value for trigger in Trigger]


class EngineReasonSerializer(StrictSerializer):
    """Why."""

    reason = serializers.CharField(max_length=500)


class EngineStopSerializer(StrictSerializer):
    """Why, if there is something to say."""

    reason = serializers.CharField(max_length=500, default="", allow_blank=True)


class BreakerSerializer(serializers.Serializer):
    """The circuit breaker: active means open, so nothing new is opened."""

    active = serializers.BooleanField()
    reason = serializers.CharField(allow_blank=True)
    since = serializers.DateTimeField(allow_null=True)


class EngineSerializer(serializers.Serializer):
    """A live engine. `health` is the document of the health file, as of the last heartbeat."""

    id = serializers.IntegerField()
    strategy = serializers.CharField()
    portfolio_id = serializers.IntegerField()
    portfolio = serializers.CharField()
    book = serializers.CharField()
    symbols = serializers.ListField(child=serializers.CharField())
    parameters = serializers.DictField()
    configuration = serializers.DictField(help_text="Stops, limits, sizer; no secrets")
    config_digest = serializers.CharField()
    mode = serializers.ChoiceField(choices=ENGINE_MODES)
    wanted = serializers.BooleanField(help_text="People want it to run")
    status = serializers.ChoiceField(choices=ENGINE_STATUSES)
    runs_as = serializers.CharField()
    holder = serializers.CharField(allow_blank=True, help_text="Host and process that runs it")
    token = serializers.IntegerField(help_text="Fencing token: grows with each take-over and stop")
    heartbeat_at = serializers.DateTimeField(allow_null=True)
    cycles = serializers.IntegerField(help_text="Looks so far")
    last_cycle_at = serializers.DateTimeField(allow_null=True)
    last_bar = serializers.DateTimeField(allow_null=True)
    circuit_breaker = BreakerSerializer()
    failure = serializers.CharField(allow_blank=True, help_text="Why the strategy could not say anything about the last bar")
    peak = serializers.CharField(allow_null=True, help_text="Highest value of the portfolio, net of deposits since")
    marks = serializers.DictField(help_text="Highest price of each position as a multiple of its average cost")
    health = serializers.DictField()


class EngineCycleSerializer(serializers.Serializer):
    """One cycle that did something: its eleven steps with inputs and outcome, and what it decided to order."""

    number = serializers.IntegerField()
    trigger = serializers.ChoiceField(choices=ENGINE_TRIGGERS)
    bar = serializers.DateTimeField(allow_null=True)
    market_time = serializers.DateTimeField()
    recorded_at = serializers.DateTimeField()
    token = serializers.IntegerField()
    finished = serializers.BooleanField(help_text="False while its orders are being sent, and after a crash until somebody goes on")
    steps = serializers.ListField(child=serializers.DictField())
    decisions = serializers.ListField(child=serializers.DictField())


class LiveApprovalSerializer(serializers.Serializer):
    """A request for live trading of one configuration, and who approved it."""

    id = serializers.IntegerField(source="pk")
    config_digest = serializers.CharField()
    reason = serializers.CharField()
    requested_by = serializers.CharField(source="requested_by.username")
    requested_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    approved_by = serializers.CharField(source="approved_by.username", allow_null=True, default=None)
    approved_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)


class EngineViewSet(viewsets.GenericViewSet):
    """Live engines of the portfolios that the user sees."""

    serializer_class = EngineSerializer
    lookup_value_regex = "[0-9]{1,18}"
    queryset = TradingEngine.objects.none()

    def get_queryset(self) -> "QuerySet[TradingEngine]":
        """Others' engines do not exist."""
        return engines_visible(desk_user(self.request))

    @extend_schema(responses=EngineSerializer(many=True))
    def list(self, request: Request) -> Response:
        """Engines with how they are."""
        page = self.paginate_queryset(self.get_queryset())
        return self.get_paginated_response(plain(engine_rows(page or (), clock.now())))

    @extend_schema(responses=EngineSerializer)
    def retrieve(self, request: Request, pk: str) -> Response:
        """One engine."""
        return Response(_row(request, pk))

    @extend_schema(responses={200: EngineSerializer, 503: EngineSerializer})
    @action(detail=True, methods=["get"])
    def health(self, request: Request, pk: str) -> Response:
        """The same for monitors: 200 while a process runs it or nobody wants it to, 503 when it is wanted and silent, or its strategy fails."""
        row = _row(request, pk)
        well = row["status"] in ("running", "breaker_open", "stopped")
        return Response(row, status=status.HTTP_200_OK if well else status.HTTP_503_SERVICE_UNAVAILABLE)

    @extend_schema(responses=EngineCycleSerializer(many=True))
    @action(detail=True, methods=["get"])
    def cycles(self, request: Request, pk: str) -> Response:
        """Cycles that did something, newest first."""
        page = self.paginate_queryset(engine_cycles(engine_get(user=desk_user(request), engine_id=int(pk))))
        return self.get_paginated_response([plain(cycle_row(cycle)) for cycle in page or ()])

    @extend_schema(responses=EngineCycleSerializer, parameters=[OpenApiParameter("number", int, OpenApiParameter.PATH)])
    @action(detail=True, methods=["get"], url_path="cycles/(?P<number>[0-9]{1,18})")
    def cycle(self, request: Request, pk: str, number: str) -> Response:
        """One cycle: why an order was sent, or was not."""
        return Response(plain(cycle_row(cycle_get(engine_get(user=desk_user(request), engine_id=int(pk)), int(number)))))

    @extend_schema(responses=serializers.ListSerializer(child=serializers.DictField()))
    @action(detail=True, methods=["get"], pagination_class=None)
    def orders(self, request: Request, pk: str) -> Response:
        """Its last 50 orders, each with the cycle that explains it."""
        return Response(plain(engine_orders(engine_get(user=desk_user(request), engine_id=int(pk)))))

    @extend_schema(responses=serializers.ListSerializer(child=serializers.DictField()))
    @action(detail=True, methods=["get"], pagination_class=None)
    def events(self, request: Request, pk: str) -> Response:
        """What people and hosts did with it: the last 50, newest first."""
        return Response(plain(engine_events(engine_get(user=desk_user(request), engine_id=int(pk)))))

    @extend_schema(request=None, responses=EngineSerializer)
    @action(detail=True, methods=["post"])
    @idempotent
    def start(self, request: Request, pk: str) -> Response:
        """Let a free host run it."""
        engine_start(engine_id=int(pk), user=desk_user(request), at=clock.now())
        return Response(_row(request, pk))

    @extend_schema(request=EngineStopSerializer, responses=EngineSerializer)
    @action(detail=True, methods=["post"])
    @idempotent
    def stop(self, request: Request, pk: str) -> Response:
        """From this moment it orders nothing more. Orders that work, work on."""
        engine_stop(engine_id=int(pk), user=desk_user(request), reason=_reason(EngineStopSerializer, request), at=clock.now())
        return Response(_row(request, pk))

    @extend_schema(request=EngineReasonSerializer, responses=EngineSerializer)
    @action(detail=True, methods=["post"])
    @idempotent
    def reset(self, request: Request, pk: str) -> Response:
        """Close the circuit breaker. 409 when it is not open."""
        engine_reset(engine_id=int(pk), user=desk_user(request), reason=_reason(EngineReasonSerializer, request), at=clock.now())
        return Response(_row(request, pk))

    @extend_schema(request=EngineReasonSerializer, responses={201: LiveApprovalSerializer})
    @action(detail=True, methods=["post"], url_path="live")
    @idempotent
    def live(self, request: Request, pk: str) -> Response:
        """Ask that it may trade live, as it is configured now. A second person approves."""
        reason = _reason(EngineReasonSerializer, request)
        approval = live_request(engine_id=int(pk), user=desk_user(request), reason=reason, at=clock.now())
        return Response(LiveApprovalSerializer(approval).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=None, responses=LiveApprovalSerializer)
    @action(detail=True, methods=["post"], url_path="live/approve")
    @idempotent
    def approve(self, request: Request, pk: str) -> Response:
        """The second person's yes to the open request."""
        return Response(LiveApprovalSerializer(live_approve(approval_id=_open(request, pk), user=desk_user(request), at=clock.now())).data)

    @extend_schema(request=EngineReasonSerializer, responses=LiveApprovalSerializer)
    @action(detail=True, methods=["post"], url_path="live/revoke")
    @idempotent
    def revoke(self, request: Request, pk: str) -> Response:
        """Take a request or an approval back; one person does it alone."""
        reason = _reason(EngineReasonSerializer, request)
        approval = live_revoke(approval_id=_open(request, pk), user=desk_user(request), reason=reason, at=clock.now())
        return Response(LiveApprovalSerializer(approval).data)


def _row(request: Request, pk: str) -> dict[str, Any]:
    row: dict[str, Any] = plain(engine_row(engine_get(user=desk_user(request), engine_id=int(pk)), clock.now()))
    return row


def _reason(kind: type[StrictSerializer], request: Request) -> str:
    serializer = kind(data=request.data)
    serializer.is_valid(raise_exception=True)
    return str(serializer.validated_data["reason"])


def _open(request: Request, pk: str) -> int:
    approval = approval_open(engine_get(user=desk_user(request), engine_id=int(pk)))
    if approval is None:
        raise Conflict("nobody has asked that it trades live", field="engine")
    return approval.pk
