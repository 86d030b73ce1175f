"""REST of orders and trades."""

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import mixins, status, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core import clock
from apps.core.api.filters import StrictFilterBackend
from apps.core.api.idempotency import idempotent
from apps.core.api.problems import problem, problem_response
from apps.core.api.schema import ProblemSerializer
from apps.core.api.serializers import validated
from apps.core.api.users import desk_user
from apps.core.errors import PreconditionFailed
from apps.execution.api.algos import RoutingSerializer
from apps.execution.api.filters import FillFilter, OrderFilter
from apps.execution.api.serializers import (
    ApprovalSerializer,
    CancelSerializer,
    FillProofSerializer,
    FillSerializer,
    OrderDetailSerializer,
    OrderIntentSerializer,
    OrderSerializer,
    OrderSubmitSerializer,
    PreviewSerializer,
    ReplaceSerializer,
)
from apps.execution.api.sizing import SizeRequestSerializer, SizeSerializer
from apps.execution.api.trades import ManualTradeAnswerSerializer, ManualTradeSerializer, manual_intent, manual_row
from apps.execution.domain.states import OrderStatus
from apps.execution.models import Fill, Order
from apps.execution.selectors.algos import order_routing
from apps.execution.selectors.orders import blocking_checks, fills_visible, order_detail, order_get, orders_visible
from apps.execution.selectors.proofs import fill_get, fill_proof
from apps.execution.selectors.rows import order_row
from apps.execution.services.approvals import order_approve
from apps.execution.services.intents import intent_build
from apps.execution.services.orders import OrderLink, order_cancel, order_submit
from apps.execution.services.preview import order_preview
from apps.execution.services.replacements import order_replace
from apps.execution.services.sizing import order_size

HALT = "TRADING_HALTED"


def _revision(header: str) -> int | None:
    """The revision that an If-Match names; None without the header and for "*". Raises PreconditionFailed for a tag that no order ever had."""
    tag = header.strip().strip('"')
    if tag in ("", "*"):
        return None
    if not tag.isdecimal():
        raise PreconditionFailed(f"{header[:40]} is no ETag of an order")
    return int(tag)


class OrderViewSet(mixins.ListModelMixin, viewsets.GenericViewSet):
    """Orders of the portfolios that the user sees, newest first."""

    serializer_class = OrderSerializer
    filter_backends = [StrictFilterBackend]
    filterset_class = OrderFilter
    lookup_value_regex = "[0-9]{1,18}"
    queryset = Order.objects.none()

    def get_queryset(self) -> "QuerySet[Order]":
        """Others' orders do not exist."""
        return orders_visible(desk_user(self.request))

    @extend_schema(responses=OrderDetailSerializer)
    def retrieve(self, request: Request, pk: str) -> Response:
        """One order with its events, decisions and fills. Its `ETag` is another one after each change of the order."""
        detail = order_detail(user=desk_user(request), order_id=int(pk))
        return Response(OrderDetailSerializer(detail).data, headers={"ETag": f'"{detail.revision}"'})

    @extend_schema(
        request=OrderSubmitSerializer,
        responses={
            201: OrderSerializer,
            422: OpenApiResponse(ProblemSerializer, "Denied: `checks` says why, `order_id` names the stored order"),
            423: OpenApiResponse(ProblemSerializer, "Trading is halted; the denied order is stored"),
        },
    )
    @idempotent
    def create(self, request: Request) -> Response:
        """Submit an order. A paper order that can trade at once comes back filled."""
        data = validated(OrderSubmitSerializer, request.data)
        note, lots = data.pop("note"), data.pop("lots", ())
        if data["client_order_id"] is None:
            data["client_order_id"] = request.idempotency_uuid  # type: ignore[attr-defined]
        intent = intent_build(user=desk_user(request), **data)
        link = OrderLink(lots=tuple((one["lot"], one["quantity"]) for one in lots))
        order = order_submit(intent=intent, user=desk_user(request), at=clock.now(), note=note, link=link)
        if order.status == OrderStatus.DENIED:
            return _denied(order, request)
        return Response(order_row(order), status=status.HTTP_201_CREATED, headers={"Location": f"/api/v1/orders/{order.pk}/"})

    @extend_schema(request=OrderIntentSerializer, responses=PreviewSerializer)
    @action(detail=False, methods=["post"])
    def preview(self, request: Request) -> Response:
        """Every check with its numbers, the estimated cost, cash and position after. The answer is kept, and compared with the order later."""
        intent = intent_build(user=desk_user(request), **validated(OrderIntentSerializer, request.data))
        return Response(PreviewSerializer(order_preview(intent=intent, user=desk_user(request), at=clock.now())).data)

    @extend_schema(request=SizeRequestSerializer, responses=SizeSerializer)
    @action(detail=False, methods=["post"])
    def size(self, request: Request) -> Response:
        """How many shares a sizer would order now, with its formula, its numbers and what capped it. Orders nothing and keeps nothing."""
        size = order_size(user=desk_user(request), at=clock.now(), **validated(SizeRequestSerializer, request.data))
        return Response(SizeSerializer(size).data)

    @extend_schema(request=ApprovalSerializer, responses=OrderSerializer)
    @action(detail=True, methods=["post"])
    def approve(self, request: Request, pk: str) -> Response:
        """Approve an order of somebody else that waits for a second person, or refuse it. Approved, it is judged anew and sent."""
        data = validated(ApprovalSerializer, request.data)
        order = order_approve(order_id=int(pk), user=desk_user(request), at=clock.now(), **data)
        return Response(order_row(order))

    @extend_schema(
        request=ReplaceSerializer,
        parameters=[OpenApiParameter("If-Match", str, OpenApiParameter.HEADER, description="The `ETag` of the order that is meant")],
        responses={
            200: OrderSerializer,
            412: OpenApiResponse(ProblemSerializer, "It has changed since: `If-Match` is not its `ETag` any more"),
            422: OpenApiResponse(ProblemSerializer, "Refused: `checks` says why; the order works on as it was"),
        },
    )
    @action(detail=True, methods=["post"])
    @idempotent
    def replace(self, request: Request, pk: str) -> Response:
        """Change quantity, prices or time in force of a working order. Until the broker has changed it, it works as it was."""
        order = order_replace(
            order_id=int(pk),
            user=desk_user(request),
            replacement_id=request.idempotency_uuid,  # type: ignore[attr-defined]
            changes=validated(ReplaceSerializer, request.data),
            seen=_revision(request.headers.get("If-Match", "")),
            at=clock.now(),
        )
        return Response(order_row(order))

    @extend_schema(request=CancelSerializer, responses=OrderSerializer)
    @action(detail=True, methods=["post"])
    @idempotent
    def cancel(self, request: Request, pk: str) -> Response:
        """Cancel what has not traded yet. An order that has ended is answered 409."""
        data = validated(CancelSerializer, request.data)
        order = order_cancel(order_id=int(pk), user=desk_user(request), at=clock.now(), reason=data["reason"])
        return Response(order_row(order))

    @extend_schema(responses=RoutingSerializer)
    @action(detail=True, methods=["get"])
    def routing(self, request: Request, pk: str) -> Response:
        """How its parent was routed, with every quote that was seen. 404 for an order that no smart router sent."""
        return Response(order_routing(order_get(user=desk_user(request), order_id=int(pk))))


class TradeViewSet(mixins.ListModelMixin, viewsets.GenericViewSet):
    """Fills in the portfolios that the user sees, newest first; trades by hand."""

    lookup_value_regex = "[0-9]{1,18}"
    serializer_class = FillSerializer
    filter_backends = [StrictFilterBackend]
    filterset_class = FillFilter
    queryset = Fill.objects.none()

    def get_queryset(self) -> "QuerySet[Fill]":
        """Others' fills do not exist."""
        return fills_visible(desk_user(self.request))

    @extend_schema(
        request=ManualTradeSerializer,
        responses={
            201: ManualTradeAnswerSerializer,
            422: OpenApiResponse(ProblemSerializer, "Denied: `checks` says why, `order_id` names the stored order"),
            423: OpenApiResponse(ProblemSerializer, "Trading is halted; the denied order is stored"),
        },
    )
    @idempotent
    def create(self, request: Request) -> Response:
        """Trade by hand: an order like any other, through the same gate."""
        user = desk_user(request)
        intent = manual_intent(user, validated(ManualTradeSerializer, request.data), request.idempotency_uuid)  # type: ignore[attr-defined]
        order = order_submit(intent=intent, user=user, at=clock.now(), note="entered by hand")
        if order.status == OrderStatus.DENIED:
            return _denied(order, request)
        return Response(manual_row(order), status=status.HTTP_201_CREATED, headers={"Location": f"/api/v1/orders/{order.pk}/"})

    @extend_schema(responses=FillProofSerializer)
    @action(detail=True, methods=["get"])
    def proof(self, request: Request, pk: str) -> Response:
        """What a fill stands on: its order, who allowed it, what it was matched against, every step, the ledger. `missing` is empty."""
        return Response(FillProofSerializer(fill_proof(fill_get(user=desk_user(request), fill_id=int(pk)))).data)


def _denied(order: Order, request: Request) -> Response:
    """A refusal by the gate: 423 while trading is halted, else 422, with everything that did not pass."""
    checks = blocking_checks(order)
    halted = any(check["code"] == HALT and check["outcome"] == "block" for check in checks)
    body = problem(
        status.HTTP_423_LOCKED if halted else status.HTTP_422_UNPROCESSABLE_ENTITY,
        code="HALTED" if halted else "ORDER_DENIED",
        detail="; ".join(check["message"] for check in checks if check["outcome"] == "block") or order.reason,
        instance=request.path,
        extra={"checks": checks, "order_id": order.pk, "order": order_row(order)},
    )
    return problem_response(body)
