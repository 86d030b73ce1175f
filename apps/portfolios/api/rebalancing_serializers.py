"""Targets, drift and rebalances in REST: weights of plans are strings, which are never rounded; drifts and other ratios are numbers."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.core.api.fields import DecimalString
from apps.core.api.serializers import StrictSerializer
from apps.core.trading import Side
from apps.portfolios.api.serializers import Money, Price, Quantity
from apps.portfolios.domain.drift import WEIGHT_DIGITS, WEIGHT_PLACES
from apps.portfolios.domain.rebalancing import Every, RebalanceReason, RebalanceStatus, StopAction, TradeReason
from apps.portfolios.models import RebalanceTrade, TargetPlan

#: Choices that the schema knows by a name of their own.
EVERY = [x.value for x in Every]
STOP_ACTIONS = [x.value for x in StopAction]
REASONS = [x.value for x in RebalanceReason]
TRADE_REASONS = [x.value for x in TradeReason]
REBALANCE_STATUSES = [x.value for x in RebalanceStatus]
TRADE_SIDES = [x.value for x in Side]


class Weight(DecimalString):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_digits=WEIGHT_DIGITS, decimal_places=WEIGHT_PLACES, **kwargs)


class Fraction(DecimalString):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_digits=12, decimal_places=8, **kwargs)


class NewTargetsSerializer(StrictSerializer):
    """The targets from a market date on; what is left out of the terms has its default. What is not invested is cash."""

    weights = serializers.DictField(child=Weight(), help_text="Symbol to fraction of the equity; at most 1 in all")
    reason = serializers.CharField(max_length=200)
    effective_on = serializers.DateField(required=False, default=None, allow_null=True, help_text="Market date; default: the session that it is now")
    drift_threshold = Fraction(required=False, help_text="A larger drift asks for a rebalance; 0.05")
    band = Fraction(required=False, help_text="A drift up to this is not traded; 0.005")
    price_tolerance = Fraction(required=False, help_text="A proposal is stale once a price has moved by more; 0.02")
    drift_check = serializers.ChoiceField(choices=EVERY, required=False, help_text="How often the watch proposes because of drift; weekly")
    schedule = serializers.ChoiceField(choices=EVERY, required=False, help_text="How often the watch proposes anyway; never")
    stop_loss = serializers.ChoiceField(choices=STOP_ACTIONS, required=False, help_text="What a breached stop does; propose")


class TargetsSerializer(serializers.Serializer):
    """Targets as they were set. They hold from `effective_on` until the next ones."""

    id = serializers.IntegerField()
    effective_on = serializers.DateField()
    weights = serializers.SerializerMethodField()
    reason = serializers.CharField()
    drift_threshold = Fraction()
    band = Fraction()
    price_tolerance = Fraction()
    drift_check = serializers.ChoiceField(choices=EVERY)
    schedule = serializers.ChoiceField(choices=EVERY)
    stop_loss = serializers.ChoiceField(choices=STOP_ACTIONS)
    created_by = serializers.CharField()
    recorded_at = serializers.DateTimeField()

    @extend_schema_field(serializers.DictField(child=serializers.CharField()))
    def get_weights(self, plan: TargetPlan) -> dict[str, str]:
        """By symbol."""
        return dict(sorted((one.instrument.symbol, str(one.weight)) for one in plan.weights.all()))


class DriftPositionSerializer(serializers.Serializer):
    """An instrument of the book "main" and its target. null is unknown: no price."""

    ticker = serializers.CharField(source="symbol")
    shares = Quantity(source="quantity")
    current_price = Price(source="reference.price", default=None, allow_null=True)
    current_weight = serializers.FloatField(allow_null=True)
    target_weight = serializers.FloatField()
    drift = serializers.FloatField(allow_null=True, help_text="Current less target weight")
    stopped = serializers.BooleanField(help_text="A stop sold it: its target is 0 until the targets are set anew")


class DriftSerializer(serializers.Serializer):
    """Drift from the targets that hold now. null is unknown: no targets, or a price is missing (see missing_prices)."""

    max_drift = serializers.FloatField(source="drift.max_drift", default=None, allow_null=True, help_text="Largest |drift|")
    total_drift = serializers.FloatField(source="drift.total_drift", default=None, allow_null=True, help_text="Sum of |drift|")
    turnover = serializers.FloatField(source="drift.turnover", default=None, allow_null=True, help_text="Half of the sum with cash")
    cash_weight = serializers.FloatField(source="drift.cash_weight", default=None, allow_null=True)
    cash_target = serializers.FloatField(source="drift.cash_target", default=None, allow_null=True)
    threshold = serializers.FloatField(source="plan.drift_threshold", default=None, allow_null=True)
    exceeded = serializers.BooleanField()
    positions = DriftPositionSerializer(source="by_size", many=True)
    missing_prices = serializers.ListField(source="missing", child=serializers.CharField())
    targets_id = serializers.IntegerField(source="plan.pk", default=None, allow_null=True)
    as_of = serializers.DateTimeField(source="market_time")


class RebalanceTradeSerializer(serializers.Serializer):
    """A trade of a proposal. Money in the portfolio's currency."""

    ticker = serializers.CharField(source="instrument.symbol")
    side = serializers.ChoiceField(choices=TRADE_SIDES)
    quantity = serializers.SerializerMethodField()
    price = Price(help_text="The price that it was proposed at")
    value = Money()
    commission = Money()
    slippage = Money()
    weight_before = serializers.FloatField()
    target_weight = serializers.FloatField()
    weight_after = serializers.FloatField()
    reason = serializers.ChoiceField(choices=TRADE_REASONS)
    drawdown = serializers.FloatField(allow_null=True, help_text="From the average cost, of what a stop ends")
    realized_pnl = Money(source="realised", allow_null=True, help_text="Of the lots that the sale would close; null for a purchase")
    realized_short_term = Money(source="realised_short_term", allow_null=True, help_text="The part of lots held for a year or less")
    client_order_id = serializers.UUIDField(help_text="Under which its order is sent")

    @extend_schema_field(Quantity())
    def get_quantity(self, trade: RebalanceTrade) -> str:
        """As the ticket takes it."""
        return format(trade.quantity.normalize(), "f")


class ProposalSerializer(serializers.Serializer):
    """A proposal without its trades."""

    id = serializers.IntegerField()
    reason = serializers.ChoiceField(choices=REASONS)
    status = serializers.ChoiceField(choices=REBALANCE_STATUSES)
    session = serializers.DateField()
    market_time = serializers.DateTimeField()
    equity = Money()
    cash_before = Money()
    cash_after = Money()
    max_drift = serializers.FloatField()
    total_drift = serializers.FloatField()
    turnover = serializers.FloatField()
    estimated_cost = Money()
    vix_current = serializers.FloatField(source="vix", allow_null=True)
    vix_regime = serializers.CharField()
    stop_loss_threshold = serializers.FloatField(source="stop_threshold", allow_null=True)
    skipped = serializers.ListField(child=serializers.ListField(child=serializers.CharField()), help_text="[ticker, why it is left as it is]")
    targets_id = serializers.IntegerField(source="plan_id", allow_null=True)
    expires_at = serializers.DateTimeField()
    created_by = serializers.CharField(default=None, allow_null=True, help_text="null: the watch")
    recorded_at = serializers.DateTimeField()


class RebalanceEventSerializer(serializers.Serializer):
    """One step of a rebalance."""

    id = serializers.IntegerField()
    portfolio_id = serializers.IntegerField()
    proposal_id = serializers.IntegerField()
    date = serializers.DateField()
    reason = serializers.ChoiceField(choices=REASONS)
    max_drift = serializers.FloatField()
    num_trades = serializers.IntegerField()
    total_cost = Money()
    status = serializers.ChoiceField(choices=REBALANCE_STATUSES)
    detail = serializers.CharField()
    excluded = serializers.ListField(child=serializers.CharField())
    user = serializers.CharField(default=None, allow_null=True, help_text="null: the watch")
    created_at = serializers.DateTimeField(source="recorded_at")
