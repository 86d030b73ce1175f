"""What follows from the ledger, as REST shows it: round trips, the position tree, cash, the lot method."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.core.api.serializers import StrictSerializer
from apps.portfolios.api.serializers import Money, Price, Quantity
from apps.portfolios.domain.closing import LotMethod
from apps.portfolios.domain.tree import Node


class RoundTripSerializer(serializers.Serializer):
    """One piece of a lot from entry to exit. Excursions are fractions of the entry price; null without bars of the days between."""

    id = serializers.IntegerField()
    symbol = serializers.CharField()
    book = serializers.CharField()
    entry_time = serializers.DateTimeField()
    exit_time = serializers.DateTimeField()
    quantity = Quantity(help_text="Negative for a short, in shares of the exit")
    entry_price = Price(help_text="Cost per share, fees included")
    exit_price = Price(help_text="Proceeds per share, fees included")
    cost = Money()
    proceeds = Money()
    pnl = Money()
    holding_days = serializers.FloatField()
    lot_method = serializers.ChoiceField(choices=[method.value for method in LotMethod])
    mae = serializers.FloatField(source="excursion.adverse", default=None, allow_null=True, help_text="Maximum adverse excursion, <= 0")
    mfe = serializers.FloatField(source="excursion.favourable", default=None, allow_null=True, help_text="Maximum favourable excursion, >= 0")

    def get_fields(self) -> dict[str, Any]:
        """With "return", which is a word of Python's."""
        return {**super().get_fields(), "return": serializers.FloatField(source="return_", allow_null=True)}


class LotSerializer(serializers.Serializer):
    """What is open of a lot. Signed: negative for a short."""

    id = serializers.IntegerField(help_text="What an order names it by")
    symbol = serializers.CharField(source="instrument.symbol")
    book = serializers.CharField(source="book.name")
    opened_at = serializers.DateTimeField(help_text="When it was acquired, in market time")
    quantity = Quantity(help_text="As it was opened, in shares of today")
    remaining = Quantity()
    remaining_cost = Money(help_text="In the portfolio's currency, fees included")
    unit_cost = Price(help_text="Cost per share of what remains")
    entry_id = serializers.IntegerField(help_text="The ledger entry that opened it")


class NodeSerializer(serializers.Serializer):
    """A part of the desk and what it is worth. null is unknown: a price is missing, or the level has none of it."""

    level = serializers.ChoiceField(choices=["desk", "portfolio", "book", "position"])
    id = serializers.IntegerField(allow_null=True)
    name = serializers.CharField()
    currency = serializers.CharField(help_text="Empty for a desk of several currencies, which has no sums")
    quantity = Quantity(allow_null=True)
    cash = Money(allow_null=True)
    cost = Money(allow_null=True)
    market_value = Money(allow_null=True)
    unrealized_pnl = Money(source="unrealised", allow_null=True)
    realized_pnl = Money(source="realised", allow_null=True)
    total = Money(allow_null=True)
    missing_prices = serializers.ListField(source="missing", child=serializers.CharField())
    children = serializers.SerializerMethodField()

    @extend_schema_field({"type": "array", "items": {"$ref": "#/components/schemas/Node"}})
    def get_children(self, node: Node) -> Any:
        """The parts of this part."""
        return NodeSerializer(node.children, many=True).data


class CashSerializer(serializers.Serializer):
    """Cash in one currency, at trade date and at settlement date."""

    currency = serializers.CharField()
    traded = Money()
    settled = Money()
    unsettled = Money()


class CashQuerySerializer(serializers.Serializer):
    """The day whose end is asked for."""

    on = serializers.DateField(required=False)


class LotMethodSerializer(StrictSerializer):
    """Which lots sales close first, from now on."""

    lot_method = serializers.ChoiceField(choices=[method.value for method in LotMethod])
    reason = serializers.CharField(max_length=100)
