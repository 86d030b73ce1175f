"""REST of parent orders, brackets and OCO pairs."""

from typing import Any

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core import clock
from apps.core.api.fields import DecimalString
from apps.core.api.filters import StrictFilterBackend
from apps.core.api.idempotency import idempotent
from apps.core.api.problems import problem, problem_response
from apps.core.api.schema import ProblemSerializer
from apps.core.api.serializers import StrictSerializer
from apps.core.api.users import desk_user
from apps.core.money import PRICE_DIGITS, PRICE_PLACES, QUANTITY_DIGITS, QUANTITY_PLACES
from apps.core.trading import Side, TimeInForce
from apps.execution.api.serializers import CancelSerializer, OrderIntentSerializer, OrderSerializer
from apps.execution.domain.algos import Algo, AlgoStatus
from apps.execution.domain.groups import GroupKind
from apps.execution.models import AlgoOrder, OrderGroup
from apps.execution.selectors.algos import algo_blocking_checks, algo_detail, algo_row, algo_rows, algos_visible
from apps.execution.selectors.groups import group_get, group_row, groups_visible
from apps.execution.services.algo_engine import algo_advance
from apps.execution.services.algos import algo_cancel, algo_submit
from apps.execution.services.groups import bracket_submit, group_cancel, oco_submit

HALT = "TRADING_HALTED"

#: Choices that the schema knows by a name of their own.
SIDES = [x.value for x in Side]
GROUP_KINDS = [x.value for x in GroupKind]
ALGO_STATUSES = [x.value for x in AlgoStatus]


class AlgoSubmitSerializer(StrictSerializer):
    """A parent order. Times are market times inside one session; without them it works from now to the close."""

    portfolio_id = serializers.IntegerField(min_value=1)
    symbol = serializers.CharField(max_length=20)
    side = serializers.ChoiceField(choices=SIDES)
    quantity = DecimalString(max_digits=QUANTITY_DIGITS, decimal_places=QUANTITY_PLACES, help_text="Above zero, in whole lots")
    limit_price = DecimalString(max_digits=PRICE_DIGITS, decimal_places=PRICE_PLACES, default=None, allow_null=True)
    algo = serializers.ChoiceField(choices=[x.value for x in Algo])
    parameters = serializers.DictField(
        default=dict,
        help_text="twap: slices, jitter. vwap: slices, curve. pov: rate. iceberg: display. is: slices, risk_aversion. smart: remainder",
    )
    participation_cap = DecimalString(max_digits=5, decimal_places=4, default=None, allow_null=True, help_text="Share of the total volume, to 0.5")
    start_at = serializers.DateTimeField(default=None, allow_null=True)
    end_at = serializers.DateTimeField(default=None, allow_null=True)
    client_order_id = serializers.UUIDField(default=None, allow_null=True, help_text="Yours, or made from the Idempotency-Key")
    book = serializers.CharField(max_length=100, default="main")
    strategy = serializers.CharField(max_length=100, default="", allow_blank=True)
    note = serializers.CharField(max_length=200, default="", allow_blank=True)


class AlgoSerializer(serializers.Serializer):
    """A parent order with its progress. Quantities and prices are strings, times UTC."""

    id = serializers.IntegerField()
    client_order_id = serializers.UUIDField()
    portfolio_id = serializers.IntegerField()
    portfolio = serializers.CharField()
    book = serializers.CharField()
    symbol = serializers.CharField()
    side = serializers.ChoiceField(choices=SIDES)
    quantity = serializers.CharField()
    limit_price = serializers.CharField(allow_null=True)
    algo = serializers.ChoiceField(choices=[x.value for x in Algo])
    parameters = serializers.DictField()
    participation_cap = serializers.CharField(allow_null=True)
    start_at = serializers.DateTimeField()
    end_at = serializers.DateTimeField()
    status = serializers.ChoiceField(choices=ALGO_STATUSES)
    reason = serializers.CharField(allow_blank=True)
    filled_quantity = serializers.CharField()
    working_quantity = serializers.CharField()
    left_quantity = serializers.CharField()
    progress = serializers.CharField(help_text="Filled part of the whole, 0 to 1")
    children = serializers.IntegerField(help_text="How many there are so far")
    average_price = serializers.CharField(allow_null=True)
    reference_price = serializers.CharField(allow_null=True, help_text="The price at the gate")
    slippage_bps = serializers.CharField(allow_null=True, help_text="Against the reference price, positive is a cost")
    basis = serializers.CharField(allow_blank=True, help_text="From what the schedule was made")
    strategy = serializers.CharField(allow_blank=True)
    note = serializers.CharField(allow_blank=True)
    created_by = serializers.CharField()
    market_time = serializers.DateTimeField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class AlgoDetailSerializer(AlgoSerializer):
    """A parent with its schedule, children, events, decisions and, for a smart one, the routing decision."""

    schedule = serializers.ListField(child=serializers.ListField(), help_text="[seconds of algorithm time, shares] per slice")
    plan = serializers.DictField()
    orders = OrderSerializer(many=True)
    events = serializers.ListField(child=serializers.DictField())
    decisions = serializers.ListField(child=serializers.DictField())
    routing = serializers.DictField(allow_null=True)


class RoutingSerializer(serializers.Serializer):
    """Which venues took which part, with every quote that was seen."""

    algo_id = serializers.IntegerField()
    quantity = serializers.CharField()
    best_bid = serializers.CharField(allow_null=True)
    best_ask = serializers.CharField(allow_null=True)
    order_protection = serializers.BooleanField()
    quotes = serializers.ListField(child=serializers.DictField())
    routes = serializers.ListField(child=serializers.DictField())
    remainder = serializers.DictField()
    market_time = serializers.DateTimeField()
    recorded_at = serializers.DateTimeField()


class AlgoFilter(filters.FilterSet):
    """Parents by what they are and where they stand."""

    status = filters.ChoiceFilter(choices=[(x.value, x.value) for x in AlgoStatus])
    algo = filters.ChoiceFilter(choices=[(x.value, x.value) for x in Algo])
    symbol = filters.CharFilter(field_name="instrument__symbol")
    portfolio = filters.NumberFilter(field_name="portfolio_id")


class AlgoViewSet(viewsets.GenericViewSet):
    """Parent orders of the portfolios that the user sees, newest first."""

    serializer_class = AlgoSerializer
    filter_backends = [StrictFilterBackend]
    filterset_class = AlgoFilter
    lookup_value_regex = "[0-9]{1,18}"
    queryset = AlgoOrder.objects.none()

    def get_queryset(self) -> "QuerySet[AlgoOrder]":
        """Others' parents do not exist."""
        return algos_visible(desk_user(self.request))

    @extend_schema(responses=AlgoSerializer(many=True))
    def list(self, request: Request) -> Response:
        """Parents with their progress."""
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(algo_rows(page or ()))

    @extend_schema(responses=AlgoDetailSerializer)
    def retrieve(self, request: Request, pk: str) -> Response:
        """One parent with its schedule, children, events and decisions."""
        return Response(_detail(request, int(pk)))

    @extend_schema(
        request=AlgoSubmitSerializer,
        responses={
            201: AlgoSerializer,
            422: OpenApiResponse(ProblemSerializer, "Denied: `checks` says why, `algo` is the stored parent"),
            423: OpenApiResponse(ProblemSerializer, "Trading is halted; the denied parent is stored"),
        },
    )
    @idempotent
    def create(self, request: Request) -> Response:
        """Submit a parent. It is judged for its whole quantity now; what is due at once is sent with this request."""
        data = _validated(AlgoSubmitSerializer, request)
        if data["client_order_id"] is None:
            data["client_order_id"] = request.idempotency_uuid  # type: ignore[attr-defined]
        parent = algo_submit(user=desk_user(request), at=clock.now(), **data)
        if parent.status == AlgoStatus.DENIED:
            return _denied(parent, request)
        algo_advance(algo_id=parent.pk, portfolio_id=parent.portfolio_id, at=clock.now())
        parent.refresh_from_db()
        return Response(algo_row(parent), status=status.HTTP_201_CREATED, headers={"Location": f"/api/v1/algos/{parent.pk}/"})

    @extend_schema(request=CancelSerializer, responses=AlgoSerializer)
    @action(detail=True, methods=["post"])
    @idempotent
    def cancel(self, request: Request, pk: str) -> Response:
        """End the parent and cancel its children. One that has ended is answered 409."""
        data = _validated(CancelSerializer, request)
        return Response(algo_row(algo_cancel(algo_id=int(pk), user=desk_user(request), at=clock.now(), reason=data["reason"])))


class BracketSubmitSerializer(OrderIntentSerializer):
    """A bracket's entry and the prices of its exits; with kind "oco" two exits of a position, whose own prices come from here too."""

    kind = serializers.ChoiceField(choices=GROUP_KINDS, default=GroupKind.BRACKET.value)
    client_order_id = None  # type: ignore[assignment] # the members' ids follow from the group's
    client_group_id = serializers.UUIDField(default=None, allow_null=True, help_text="Yours, or made from the Idempotency-Key")
    take_profit = DecimalString(max_digits=PRICE_DIGITS, decimal_places=PRICE_PLACES)
    stop_loss = DecimalString(max_digits=PRICE_DIGITS, decimal_places=PRICE_PLACES)
    exit_time_in_force = serializers.ChoiceField(choices=[TimeInForce.DAY.value, TimeInForce.GTC.value], default=TimeInForce.GTC.value)
    note = serializers.CharField(max_length=200, default="", allow_blank=True)


class GroupSerializer(serializers.Serializer):
    """A bracket or an OCO pair with its orders as they stand."""

    id = serializers.IntegerField()
    kind = serializers.ChoiceField(choices=GROUP_KINDS)
    client_group_id = serializers.UUIDField()
    portfolio_id = serializers.IntegerField()
    portfolio = serializers.CharField()
    book = serializers.CharField()
    symbol = serializers.CharField()
    exit_side = serializers.ChoiceField(choices=SIDES)
    quantity = serializers.CharField()
    take_profit = serializers.CharField()
    stop_loss = serializers.CharField()
    exit_time_in_force = serializers.CharField()
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    orders = OrderSerializer(many=True)

    def to_representation(self, instance: OrderGroup) -> dict[str, Any]:
        """The row of the group."""
        return group_row(instance)


class GroupFilter(filters.FilterSet):
    """Groups by portfolio, symbol and kind."""

    portfolio = filters.NumberFilter(field_name="portfolio_id")
    symbol = filters.CharFilter(field_name="instrument__symbol")
    kind = filters.ChoiceFilter(choices=[(x.value, x.value) for x in GroupKind])


class BracketViewSet(mixins.ListModelMixin, viewsets.GenericViewSet):
    """Brackets and OCO pairs of the portfolios that the user sees, newest first."""

    serializer_class = GroupSerializer
    filter_backends = [StrictFilterBackend]
    filterset_class = GroupFilter
    lookup_value_regex = "[0-9]{1,18}"
    queryset = OrderGroup.objects.none()

    def get_queryset(self) -> "QuerySet[OrderGroup]":
        """Others' groups do not exist."""
        return groups_visible(desk_user(self.request))

    @extend_schema(responses=GroupSerializer)
    def retrieve(self, request: Request, pk: str) -> Response:
        """One group with its orders."""
        return Response(group_row(group_get(user=desk_user(request), group_id=int(pk))))

    @extend_schema(request=BracketSubmitSerializer, responses={201: GroupSerializer})
    @idempotent
    def create(self, request: Request) -> Response:
        """Submit a bracket or an OCO pair. A denied entry is among its orders, with its reason."""
        data = _validated(BracketSubmitSerializer, request)
        if data["client_group_id"] is None:
            data["client_group_id"] = request.idempotency_uuid  # type: ignore[attr-defined]
        user, at = desk_user(request), clock.now()
        if data.pop("kind") == GroupKind.OCO:
            dropped = ("order_type", "time_in_force", "limit_price", "stop_price", "trail_offset", "expire_at", "note")
            group = oco_submit(user=user, at=at, **{name: value for name, value in data.items() if name not in dropped})
        else:
            group = bracket_submit(user=user, at=at, **data)
        row = group_row(group_get(user=user, group_id=group.pk))
        return Response(row, status=status.HTTP_201_CREATED, headers={"Location": f"/api/v1/brackets/{group.pk}/"})

    @extend_schema(request=CancelSerializer, responses=GroupSerializer)
    @action(detail=True, methods=["post"])
    @idempotent
    def cancel(self, request: Request, pk: str) -> Response:
        """Cancel all orders of the group that still work."""
        _validated(CancelSerializer, request)
        group = group_get(user=desk_user(request), group_id=int(pk))
        group_cancel(group_id=group.pk, user=desk_user(request), at=clock.now())
        return Response(group_row(group))


def _validated(kind: type[serializers.Serializer], request: Request) -> dict[str, Any]:
    serializer = kind(data=request.data)
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


def _detail(request: Request, algo_id: int) -> dict[str, Any]:
    found = algo_detail(user=desk_user(request), algo_id=algo_id)
    return {
        **found.algo,
        "orders": list(found.children),
        "events": list(found.events),
        "decisions": list(found.decisions),
        "routing": found.routing,
    }


def _denied(parent: AlgoOrder, request: Request) -> Response:
    """A refusal by the gate: 423 while trading is halted, else 422, with everything that did not pass."""
    checks = algo_blocking_checks(parent)
    halted = any(check["code"] == HALT and check["outcome"] == "block" for check in checks)
    body = problem(
        status.HTTP_423_LOCKED if halted else status.HTTP_422_UNPROCESSABLE_ENTITY,
        code="HALTED" if halted else "ORDER_DENIED",
        detail="; ".join(check["message"] for check in checks if check["outcome"] == "block") or parent.reason,
        instance=request.path,
        extra={"checks": checks, "algo_id": parent.pk, "algo": algo_row(parent)},
    )
    return problem_response(body)
