"""REST of the kill switch. Its end, by two people, is risk's."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.core import clock
from apps.core.api.filters import refuse_unknown_parameters
from apps.core.api.idempotency import idempotent
from apps.core.api.serializers import StrictSerializer
from apps.core.api.users import desk_user
from apps.execution.domain.halting import HaltLevel
from apps.execution.selectors.halting import halt_preview
from apps.execution.services.halting import trading_stop

#: Named for the schema.
HALT_LEVELS = [(level.value, level.value) for level in HaltLevel]
PORTFOLIO = OpenApiParameter("portfolio", int, description="A portfolio; without it the desk")


class HaltSerializer(StrictSerializer):
    """`portfolio` left out or null is the whole desk. `level`: "pause" lets reductions trade on, "cancel" (also when left out) stops all
    and cancels what works, "flatten" cancels and closes every position; `confirm` names the live accounts of a flattening, separated by
    commas. `reduce` true is the older name of "pause"."""

    portfolio = serializers.IntegerField(required=False, allow_null=True, min_value=1, default=None)
    reason = serializers.CharField(max_length=500)
    level = serializers.ChoiceField(choices=HALT_LEVELS, required=False)
    reduce = serializers.BooleanField(required=False, default=False)
    confirm = serializers.CharField(max_length=500, required=False, allow_blank=True, default="")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Settle the level from its two names."""
        wanted = attrs.get("level")
        if attrs["reduce"] and wanted not in (None, HaltLevel.PAUSE):
            raise ValidationError({"reduce": [f"It means the level pause, and the level given is {wanted}."]})
        attrs["level"] = HaltLevel(wanted or (HaltLevel.PAUSE if attrs["reduce"] else HaltLevel.CANCEL))
        return attrs


class HaltedSerializer(serializers.Serializer):
    """The stored halt."""

    id = serializers.IntegerField()
    portfolio = serializers.IntegerField(source="portfolio_id", allow_null=True)
    state = serializers.CharField()
    flatten = serializers.BooleanField()
    reason = serializers.CharField()
    changed_by: serializers.Field = serializers.StringRelatedField()
    approved_by: serializers.Field = serializers.StringRelatedField()
    recorded_at = serializers.DateTimeField()


class HaltPreviewSerializer(serializers.Serializer):
    """What a halt of the scope would meet. `gross` is the value of the positions without their signs, null where a price is missing."""

    state = serializers.CharField()
    portfolios = serializers.IntegerField()
    hidden = serializers.IntegerField()
    working_orders = serializers.IntegerField()
    working_buys = serializers.IntegerField()
    positions = serializers.IntegerField()
    gross = serializers.DecimalField(max_digits=24, decimal_places=4, allow_null=True)
    currency = serializers.CharField()
    missing = serializers.ListField(child=serializers.CharField())
    live_accounts = serializers.ListField(child=serializers.CharField())
    flatten_refused = serializers.CharField()


class HaltView(APIView):
    """The kill switch: one person is enough."""

    @extend_schema(request=HaltSerializer, responses={201: HaltedSerializer}, operation_id="halt_create")
    @idempotent
    def post(self, request: Request) -> Response:
        """Halt the desk or a portfolio, at one of three levels. Needs the permission risk.halt_trading."""
        form = HaltSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        data = form.validated_data
        change = trading_stop(
            portfolio_id=data["portfolio"],
            user=desk_user(request),
            level=data["level"],
            reason=data["reason"],
            confirm=data["confirm"],
            at=clock.now(),
        )
        return Response(HaltedSerializer(change).data, status=201)


class HaltPreviewView(APIView):
    """What the kill switch would meet."""

    @extend_schema(parameters=[PORTFOLIO], responses=HaltPreviewSerializer, operation_id="halt_preview")
    def get(self, request: Request) -> Response:
        """Working orders and positions of the desk or of a portfolio, as far as the user sees them, and what flattening would want."""
        refuse_unknown_parameters(request, {"portfolio"})
        given = request.query_params.get("portfolio")
        if given is not None and not (given.isdecimal() and len(given) <= 18):
            raise ValidationError({"portfolio": ["A whole number is required."]})
        preview = halt_preview(user=desk_user(request), portfolio_id=None if given is None else int(given), at=clock.now())
        return Response(HaltPreviewSerializer(preview).data)
