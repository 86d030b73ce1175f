"""Trades in the shapes of the desk's first design: what a portfolio has traded, and entering a trade by hand."""

from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from rest_framework import serializers
from rest_framework.generics import ListAPIView

from apps.core.api.fields import DecimalString
from apps.core.api.filters import StrictFilterBackend
from apps.core.api.serializers import StrictSerializer
from apps.core.api.users import desk_user
from apps.core.documents import plain
from apps.core.errors import InvalidInput
from apps.core.money import PRICE_DIGITS, PRICE_PLACES, QUANTITY_DIGITS, QUANTITY_PLACES, ZERO
from apps.core.trading import OrderIntent, OrderType, Side
from apps.execution.api.algos import SIDES
from apps.execution.api.serializers import FillSerializer, OrderSerializer
from apps.execution.domain.amounts import trimmed
from apps.execution.domain.states import OrderStatus
from apps.execution.models import Fill, Order
from apps.execution.selectors.orders import fills_visible
from apps.execution.selectors.rows import fill_row, order_row
from apps.execution.services.intents import intent_build
from apps.portfolios.selectors.portfolios import portfolio_get

HOME_ZONE = ZoneInfo("America/New_York")
PENDING, EXECUTED, FAILED = "pending", "executed", "failed"
TRADE_STATUSES = [PENDING, EXECUTED, FAILED]
#: Fields of an order as a trade of the first design calls them.
NAMES = {"symbol": "ticker", "limit_price": "price"}


class PortfolioTradeSerializer(FillSerializer):
    """A fill with the keys of the first design beside the desk's own."""

    ticker = serializers.CharField()
    total_value = serializers.CharField(help_text="Quantity x price")
    commission = serializers.CharField()
    slippage = serializers.CharField(allow_null=True, help_text="Quantity x how much worse than the price at the gate; negative is better")
    status = serializers.ChoiceField(choices=TRADE_STATUSES)

    def to_representation(self, instance: Fill) -> dict[str, Any]:
        """The row of the fill, and what the first design calls it."""
        return trade_row(instance)


def trade_row(fill: Fill) -> dict[str, Any]:
    """A fill as a trade of the first design."""
    order = fill.order
    worse = None if order.reference_price is None else Side(order.side).sign * (fill.price - order.reference_price) * fill.quantity
    return {
        **fill_row(fill),
        "ticker": order.instrument.symbol,
        "total_value": trimmed(fill.quantity * fill.price),
        "commission": trimmed(fill.fee),
        "slippage": trimmed(worse),
        "status": EXECUTED,
    }


class PortfolioTradeFilter(filters.FilterSet):
    """By market date, both ends included, as New York's calendar has it."""

    start_date = filters.DateFilter(method="since")
    end_date = filters.DateFilter(method="until")
    symbol = filters.CharFilter(field_name="order__instrument__symbol")

    def since(self, fills: "QuerySet[Fill]", _name: str, day: date) -> "QuerySet[Fill]":
        """From the day's beginning."""
        return fills.filter(market_time__gte=_midnight(day))

    def until(self, fills: "QuerySet[Fill]", _name: str, day: date) -> "QuerySet[Fill]":
        """To the day's end."""
        return fills.filter(market_time__lt=_midnight(day + timedelta(days=1)))


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), HOME_ZONE)


class PortfolioTrades(ListAPIView):
    """What a portfolio has traded, newest first."""

    queryset = Fill.objects.none()
    serializer_class = PortfolioTradeSerializer
    filter_backends = (StrictFilterBackend,)
    filterset_class = PortfolioTradeFilter

    def get_queryset(self) -> "QuerySet[Fill]":
        """Its fills. A portfolio of others is 404."""
        if getattr(self, "swagger_fake_view", False):  # the schema is made without a user
            return Fill.objects.none()
        user = desk_user(self.request)
        return fills_visible(user).filter(order__portfolio=portfolio_get(user=user, portfolio_id=self.kwargs["portfolio_id"]))


class ManualTradeSerializer(StrictSerializer):
    """A trade by hand: an order at the market, or with a `price` one that trades at that price or better."""

    portfolio_id = serializers.IntegerField(min_value=1)
    ticker = serializers.CharField(max_length=20)
    side = serializers.ChoiceField(choices=SIDES)
    quantity = DecimalString(max_digits=QUANTITY_DIGITS, decimal_places=QUANTITY_PLACES, help_text="Above zero, in whole lots")
    price = DecimalString(max_digits=PRICE_DIGITS, decimal_places=PRICE_PLACES, required=False, default=None, allow_null=True)


class ManualTradeAnswerSerializer(serializers.Serializer):
    """What became of it. `id` is the order's; null is unknown while nothing has traded."""

    id = serializers.IntegerField()
    status = serializers.ChoiceField(choices=TRADE_STATUSES)
    portfolio_id = serializers.IntegerField()
    ticker = serializers.CharField()
    side = serializers.ChoiceField(choices=SIDES)
    quantity = serializers.CharField(help_text="Asked for")
    executed_quantity = serializers.CharField()
    price = serializers.CharField(allow_null=True, help_text="Average")
    total_value = serializers.CharField(allow_null=True)
    commission = serializers.CharField()
    executed_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    order = OrderSerializer()


def manual_intent(user: Any, data: dict[str, Any], client_order_id: Any) -> OrderIntent:
    """The order of a trade by hand. Errors name the trade's own fields."""
    price = data["price"]
    try:
        return intent_build(
            user=user,
            portfolio_id=data["portfolio_id"],
            symbol=data["ticker"],
            side=data["side"],
            quantity=data["quantity"],
            order_type=OrderType.MARKET if price is None else OrderType.LIMIT,
            limit_price=price,
            client_order_id=client_order_id,
        )
    except InvalidInput as error:
        raise InvalidInput(error.detail, field=NAMES.get(error.field, error.field)) from error


def manual_row(order: Order) -> dict[str, Any]:
    """What became of a trade by hand."""
    fills = list(order.fills.order_by("id"))
    status = OrderStatus(order.status)
    return {
        "id": order.pk,
        "status": EXECUTED if status is OrderStatus.FILLED else FAILED if status.is_terminal else PENDING,
        "portfolio_id": order.portfolio_id,
        "ticker": order.instrument.symbol,
        "side": str(order.side),
        "quantity": trimmed(order.quantity),
        "executed_quantity": trimmed(order.cumulative_quantity),
        "price": trimmed(order.average_price),
        "total_value": trimmed(sum((fill.quantity * fill.price for fill in fills), ZERO)) if fills else None,
        "commission": trimmed(sum((fill.fee for fill in fills), ZERO)),
        "executed_at": plain(fills[-1].executed_at) if fills else None,
        "created_at": plain(order.created_at),
        "order": order_row(order),
    }
