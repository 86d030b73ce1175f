"""What REST takes and gives."""

from datetime import date, datetime
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.core.api.fields import ZonedTime
from apps.core.api.serializers import StrictModelSerializer, StrictSerializer
from apps.core.errors import InvalidInput
from apps.marketdata.domain.adjustment import Adjustment
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.models import Instrument

LIMIT = 500
MOST_BARS = 5_000


class InstrumentSerializer(StrictModelSerializer):
    """An instrument. Tick and lot size are strings."""

    class Meta:
        model = Instrument
        fields = ["id", "symbol", "name", "asset_class", "currency", "calendar", "tick_size", "lot_size", "tradable"]


@extend_schema_field({"type": "string", "enum": [timeframe.code for timeframe in Timeframe], "default": "1d"})
class TimeframeField(serializers.Field):
    """A time frame by its code."""

    def to_internal_value(self, data: Any) -> Timeframe:
        """The time frame. Raises ValidationError which lists the codes."""
        try:
            return Timeframe.parse(str(data))
        except InvalidInput as error:
            raise serializers.ValidationError(error.detail) from error

    def to_representation(self, value: Timeframe) -> str:
        """Its code."""
        return value.code


@extend_schema_field({"type": "string", "example": "2012-01-03", "description": "a date, or a time with its zone (2012-01-03T14:30:00Z)"})
class MomentField(serializers.Field):
    """A date or a time with time zone."""

    def to_internal_value(self, data: Any) -> date | datetime:
        """The date or the aware datetime. Raises ValidationError for anything else: a zone is never guessed."""
        text = str(data)
        try:
            if len(text) == len("2012-01-03"):
                return date.fromisoformat(text)
            moment = datetime.fromisoformat(text)
        except ValueError as error:
            raise serializers.ValidationError("Not a date like 2012-01-03 or a time like 2012-01-03T14:30:00Z.") from error
        if moment.tzinfo is None:
            raise serializers.ValidationError("A time needs its zone, for example 2012-01-03T14:30:00Z.")
        return moment

    def to_representation(self, value: date | datetime) -> str:
        """ISO 8601."""
        return value.isoformat()


@extend_schema_field({"type": "string", "enum": list(Adjustment), "default": "none"})
class AdjustmentField(serializers.Field):
    """An adjustment by its name."""

    def to_internal_value(self, data: Any) -> Adjustment:
        """The adjustment. Raises ValidationError which lists the names."""
        try:
            return Adjustment.parse(str(data))
        except InvalidInput as error:
            raise serializers.ValidationError(error.detail) from error

    def to_representation(self, value: Adjustment) -> str:
        """Its name."""
        return value.value


class BarQuery(StrictSerializer):
    """Which bars. `start` is inclusive; `end` includes its day when it is a date and is exclusive when it is a time.

    Adjusted prices are told in shares of `adjusted_to`, by default of the answer's last day. `as_of`: as the desk knew them then.
    """

    symbol = serializers.CharField(max_length=20)
    timeframe = TimeframeField(default=Timeframe.DAY)
    start = MomentField(required=False, default=None)
    end = MomentField(required=False, default=None)
    limit = serializers.IntegerField(min_value=1, max_value=MOST_BARS, default=LIMIT)
    adjustment = AdjustmentField(default=Adjustment.NONE)
    adjusted_to = serializers.DateField(required=False, default=None)
    as_of = ZonedTime(required=False, default=None)


class BarSerializer(serializers.Serializer):
    """One bar; `ts` is its start. Series are numbers."""

    ts = serializers.DateTimeField()
    open = serializers.FloatField()
    high = serializers.FloatField()
    low = serializers.FloatField()
    close = serializers.FloatField()
    volume = serializers.FloatField()


class BarPage(serializers.Serializer):
    """Bars in time order, the newest of the range; `next` leads to older ones."""

    symbol = serializers.CharField()
    timeframe = serializers.CharField()
    adjustment = serializers.CharField()
    adjusted_to = serializers.DateField(allow_null=True)
    results = BarSerializer(many=True)
    next = serializers.URLField(allow_null=True)


class ActionQuery(StrictSerializer):
    """As of when."""

    as_of = ZonedTime(required=False, default=None)


class ActionSerializer(serializers.Serializer):
    """A split (`value` new shares per old share) or a dividend (`value` cash per share as paid)."""

    id = serializers.IntegerField()
    kind = serializers.CharField()
    ex_date = serializers.DateField()
    value = serializers.DecimalField(max_digits=24, decimal_places=10)
    currency = serializers.CharField()
    source = serializers.CharField()  # type: ignore[assignment]  # a declared field, not the attribute
    status = serializers.CharField()
    doubt = serializers.CharField()
    reason = serializers.CharField()
    revision = serializers.IntegerField()
    recorded_at = serializers.DateTimeField()


class ActionList(serializers.Serializer):
    """All actions of one instrument."""

    symbol = serializers.CharField()
    results = ActionSerializer(many=True)
