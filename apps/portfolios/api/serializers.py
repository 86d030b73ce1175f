"""What portfolios look like in REST: money, prices and quantities as strings, weights and returns as numbers."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.core.api.fields import DecimalString
from apps.core.api.serializers import StrictSerializer
from apps.core.money import MONEY_DIGITS, MONEY_PLACES, PRICE_DIGITS, PRICE_PLACES, QUANTITY_DIGITS, QUANTITY_PLACES
from apps.marketdata.domain.weights import Optimizer
from apps.portfolios.domain.stops import stop_price
from apps.portfolios.domain.valuation import PositionValue
from apps.portfolios.models import EntryKind, PortfolioStatus
from apps.portfolios.selectors.overviews import PortfolioOverview


class Money(DecimalString):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_digits=MONEY_DIGITS, decimal_places=MONEY_PLACES, **kwargs)


class Price(DecimalString):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_digits=PRICE_DIGITS, decimal_places=PRICE_PLACES, **kwargs)


class Quantity(DecimalString):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_digits=QUANTITY_DIGITS, decimal_places=QUANTITY_PLACES, **kwargs)


class NewPortfolioSerializer(StrictSerializer):
    """What opens a portfolio."""

    name = serializers.CharField(max_length=100)
    initial_capital = Money()
    benchmark_symbol = serializers.CharField(max_length=20, required=False, default="", allow_blank=True)
    currency = serializers.RegexField("^[A-Z]{3}$", required=False, default="USD")
    optimizer_type = serializers.ChoiceField(
        choices=[str(optimizer) for optimizer in Optimizer], required=False, default="", allow_blank=True, help_text="Empty: targets by hand"
    )
    num_positions = serializers.IntegerField(min_value=1, max_value=200, required=False, default=20)
    is_paper_trading = serializers.BooleanField(required=False, default=True)

    def validate_is_paper_trading(self, value: bool) -> bool:
        """A live account is connected by an operator, never by whoever opens a portfolio."""
        if not value:
            raise serializers.ValidationError("A portfolio is opened on paper. An operator connects a live account with manage.py connect_account.")
        return value


class PositionSerializer(serializers.Serializer):
    """An instrument's position over all books of a portfolio. null is unknown: no price, or no previous close."""

    ticker = serializers.CharField(source="symbol")
    instrument_id = serializers.IntegerField()
    shares = Quantity(source="quantity")
    entry_price = Price(source="average_cost", allow_null=True, help_text="Average cost per share, fees included")
    current_price = Price(source="price", allow_null=True)
    price_time = serializers.DateTimeField(allow_null=True, help_text="Market time of the price")
    price_source = serializers.CharField(help_text='Name of the feed, or "close" for a stored close')
    cost = Money(help_text="Signed like the shares")
    market_value = Money(allow_null=True)
    unrealized_pnl = Money(source="unrealised", allow_null=True)
    realized_pnl = Money(source="realised")
    day_pnl = Money(allow_null=True)
    current_weight = serializers.FloatField(source="weight", allow_null=True, help_text="Fraction of the portfolio's value")
    stop_loss_price = serializers.SerializerMethodField()

    @extend_schema_field(Price(allow_null=True, help_text="Average cost x (1 - the stop of the VIX's regime); null: a short, or no recent VIX"))
    def get_stop_loss_price(self, position: PositionValue) -> str | None:
        """The price of the stop in force (`context["stop"]`, a fraction or None)."""
        stop = self.context["stop"]
        if stop is None or position.quantity <= 0 or not position.average_cost:
            return None
        return str(Price().to_representation(stop_price(position.average_cost, stop)))


class TargetedPositionSerializer(PositionSerializer):
    """The same with its target, of the plan that holds now (`context["targets"]`, by symbol)."""

    target_weight = serializers.SerializerMethodField()

    @extend_schema_field(serializers.FloatField(allow_null=True, help_text="Fraction of the portfolio's value; null: there are no targets"))
    def get_target_weight(self, position: PositionValue) -> float | None:
        """0 for what the targets leave out, None without targets."""
        targets = self.context["targets"]
        return float(targets.get(position.symbol, 0)) if targets else None


class PositionQuerySerializer(serializers.Serializer):
    """What narrows the list of positions."""

    portfolio = serializers.IntegerField(required=False, min_value=1)
    symbol = serializers.CharField(required=False, max_length=20)


class OwnedPositionSerializer(PositionSerializer):
    """A position and whose it is."""

    portfolio_id = serializers.IntegerField()


class PortfolioSerializer(serializers.Serializer):
    """A portfolio at the latest prices. null is unknown: a price is missing (see missing_prices)."""

    id = serializers.IntegerField(source="portfolio.pk")
    name = serializers.CharField(source="portfolio.name")
    status = serializers.ChoiceField(source="portfolio.status", choices=PortfolioStatus.choices)
    currency = serializers.CharField(source="portfolio.base_currency")
    benchmark_symbol = serializers.CharField(source="portfolio.benchmark_symbol")
    optimizer_type = serializers.CharField(source="portfolio.optimizer_type")
    num_positions = serializers.IntegerField(source="portfolio.num_positions")
    is_paper_trading = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField(source="portfolio.created_at")
    current_value = Money(source="valuation.total", allow_null=True)
    cash = Money(source="valuation.cash")
    invested_value = Money(source="valuation.invested")
    net_deposits = Money(source="deposited")
    unrealized_pnl = Money(source="valuation.unrealised", allow_null=True)
    realized_pnl = Money(source="valuation.realised")
    day_pnl = Money(source="valuation.day_pnl", allow_null=True)
    day_return = serializers.FloatField(allow_null=True)
    total_return = serializers.FloatField(allow_null=True)
    missing_prices = serializers.ListField(source="valuation.missing", child=serializers.CharField())
    as_of = serializers.DateTimeField(source="market_time")

    @extend_schema_field(serializers.BooleanField(allow_null=True, help_text="null: it has no account, its orders would go nowhere"))
    def get_is_paper_trading(self, overview: PortfolioOverview) -> bool | None:
        """By the account that it trades through (`context["paper"]`)."""
        return self.context["paper"].get(overview.portfolio.pk)


class PortfolioReturnsSerializer(serializers.Serializer):
    """What it earned so far; more, by period, under `performance/`."""

    total_return = serializers.FloatField(allow_null=True)
    total_pnl = Money(allow_null=True)
    day_return = serializers.FloatField(allow_null=True)
    day_pnl = Money(source="valuation.day_pnl", allow_null=True)


class PortfolioDetailSerializer(PortfolioSerializer):
    """The same with its positions."""

    positions = TargetedPositionSerializer(source="valuation.positions", many=True)
    performance = PortfolioReturnsSerializer(source="*")


class LedgerEntrySerializer(serializers.Serializer):
    """One fact of the ledger."""

    id = serializers.IntegerField()
    kind = serializers.ChoiceField(choices=EntryKind.choices)
    book = serializers.CharField(source="book.name")
    symbol = serializers.CharField(source="instrument.symbol", default=None, allow_null=True)
    quantity = Quantity()
    price = Price(allow_null=True)
    amount = Money(help_text="Change of cash, fee included")
    fee = Money()
    currency = serializers.CharField()
    fx_rate = DecimalString(max_digits=20, decimal_places=10, help_text="Portfolio's currency for one of the entry's")
    base_amount = Money(help_text="The amount in the portfolio's currency")
    ratio = DecimalString(max_digits=24, decimal_places=10, allow_null=True, help_text="New shares per old of a split")
    cost = Money(allow_null=True, help_text="What transferred shares cost, signed like the quantity")
    market_value = Money(help_text="What transferred shares were worth when they were moved, in the portfolio's currency, signed like the quantity")
    lot_method = serializers.CharField(help_text="By which lots were closed; empty for cash")
    settles_on = serializers.DateField()
    source = serializers.CharField()  # type: ignore[assignment]
    source_ref = serializers.CharField()
    effective_at = serializers.DateTimeField()
    recorded_at = serializers.DateTimeField()
