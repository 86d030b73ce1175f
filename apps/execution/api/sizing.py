"""REST of sizing: how many shares a sizer would order, with everything that leads there."""

from typing import Any

from rest_framework import serializers

from apps.core.api.fields import DecimalString
from apps.core.api.serializers import StrictSerializer
from apps.core.money import PRICE_DIGITS, PRICE_PLACES
from apps.core.trading import Side
from apps.execution.domain.amounts import trimmed
from apps.execution.services.sizing import OrderSize, SizeState

SIDES = [item.value for item in Side]
SIZE_STATES = [item.value for item in SizeState]


class SizeRequestSerializer(StrictSerializer):
    """A position that somebody thinks of, and the sizer to size it with."""

    portfolio_id = serializers.IntegerField(min_value=1)
    symbol = serializers.CharField(max_length=20)
    side = serializers.ChoiceField(choices=SIDES)
    sizer = serializers.DictField(
        help_text="`type` and its numbers, fractions as such (0.01 is 1 %). fixed: fixed_qty. percent: pct. risk_based: risk_pct, stop_pct. "
        "kelly: win_rate, win_loss_ratio, share, cap. volatility: risk_pct, multiplier, period. target_volatility: target, window, cap"
    )
    limit_price = DecimalString(
        max_digits=PRICE_DIGITS, decimal_places=PRICE_PLACES, default=None, allow_null=True, help_text="Sized at it; else at the latest price"
    )
    stop_price = DecimalString(
        max_digits=PRICE_DIGITS,
        decimal_places=PRICE_PLACES,
        default=None,
        allow_null=True,
        help_text="Where the position is given up: takes the place of stop_pct",
    )


class SizeTermSerializer(serializers.Serializer):
    """A number of the formula."""

    name = serializers.CharField()
    value = serializers.CharField()
    unit = serializers.CharField(help_text="money, price (both in the portfolio's currency), fraction, shares or ratio")


class SizeSerializer(serializers.Serializer):
    """A quantity and how it came to be. Numbers are strings."""

    state = serializers.ChoiceField(choices=SIZE_STATES, help_text="Without ok there is no quantity, and `message` says why")
    message = serializers.CharField()
    quantity = serializers.CharField(allow_null=True, help_text="Whole lots, rounded down")
    wanted = serializers.CharField(allow_null=True, help_text="Shares that the formula gives, before caps and rounding")
    lot_size = serializers.CharField()
    price = serializers.CharField(allow_null=True, help_text="In the instrument's currency")
    price_source = serializers.CharField(allow_blank=True)
    currency = serializers.CharField(help_text="The portfolio's")
    formula = serializers.CharField(allow_blank=True)
    terms = SizeTermSerializer(many=True)
    caps = serializers.ListField(child=serializers.CharField(), help_text="What made it smaller than the formula wants")
    value = serializers.CharField(allow_null=True)
    equity_share = serializers.CharField(allow_null=True)
    loss_at_stop = serializers.CharField(allow_null=True, help_text="What is lost when the stop price is met")

    def to_representation(self, instance: OrderSize) -> dict[str, Any]:
        """Decimals without trailing zeros."""
        numbers = ("quantity", "wanted", "lot_size", "price", "value", "equity_share", "loss_at_stop")
        return {
            "state": instance.state.value,
            "terms": [{"name": term.name, "value": trimmed(term.value), "unit": term.unit} for term in instance.terms],
            "caps": list(instance.caps),
            **{name: getattr(instance, name) for name in ("message", "price_source", "currency", "formula")},
            **{name: trimmed(getattr(instance, name)) for name in numbers},
        }
