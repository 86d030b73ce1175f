"""What REST takes and gives of orders. The rows come from `selectors.rows`, so that REST and the live streams say the same."""

from dataclasses import asdict
from typing import Any

from rest_framework import serializers

from apps.core.api.fields import DecimalString, ZonedTime
from apps.core.api.schema import ProblemCheckSerializer
from apps.core.api.serializers import StrictSerializer
from apps.core.money import PRICE_DIGITS, PRICE_PLACES, QUANTITY_DIGITS, QUANTITY_PLACES
from apps.core.trading import OrderType, Side, TimeInForce, TradingMode
from apps.execution.models import Fill, Order
from apps.execution.models.orders import STATUS_CHOICES
from apps.execution.selectors.orders import OrderDetail
from apps.execution.selectors.proofs import FillProof
from apps.execution.selectors.rows import fill_row, order_row
from apps.execution.services.preview import Preview, preview_row


def _choices(kind: Any) -> list[str]:
    return [item.value for item in kind]


class OrderIntentSerializer(StrictSerializer):
    """An order as it is asked for. Prices are there exactly when the order type needs them."""

    portfolio_id = serializers.IntegerField(min_value=1)
    symbol = serializers.CharField(max_length=20)
    side = serializers.ChoiceField(choices=_choices(Side))
    quantity = DecimalString(max_digits=QUANTITY_DIGITS, decimal_places=QUANTITY_PLACES, help_text="Above zero, in whole lots")
    order_type = serializers.ChoiceField(choices=_choices(OrderType), default=OrderType.MARKET.value)
    time_in_force = serializers.ChoiceField(choices=_choices(TimeInForce), default=TimeInForce.DAY.value)
    limit_price = DecimalString(max_digits=PRICE_DIGITS, decimal_places=PRICE_PLACES, default=None, allow_null=True)
    stop_price = DecimalString(max_digits=PRICE_DIGITS, decimal_places=PRICE_PLACES, default=None, allow_null=True)
    trail_offset = DecimalString(
        max_digits=PRICE_DIGITS,
        decimal_places=PRICE_PLACES,
        default=None,
        allow_null=True,
        help_text="How far a trailing stop follows the best price",
    )
    expire_at = ZonedTime(default=None, allow_null=True, help_text="End of a good-till-date order (gtd), in market time")
    client_order_id = serializers.UUIDField(default=None, allow_null=True, help_text="Yours, or made from the Idempotency-Key")
    book = serializers.CharField(max_length=100, default="main")
    strategy = serializers.CharField(max_length=100, default="", allow_blank=True)


class OrderLotSerializer(StrictSerializer):
    """An open lot of the order's book, and how much of it the order closes."""

    lot = serializers.IntegerField(min_value=1)
    quantity = DecimalString(max_digits=QUANTITY_DIGITS, decimal_places=QUANTITY_PLACES, help_text="Above zero; all together are the order's")


class OrderSubmitSerializer(OrderIntentSerializer):
    """The same with a note for people, and the lots that the order names."""

    note = serializers.CharField(max_length=200, default="", allow_blank=True)
    lots = OrderLotSerializer(many=True, required=False, help_text="Lots that it shall close, in this order; by the lot method when left out")


class ReplaceSerializer(StrictSerializer):
    """What of a working order changes; what is left out stays as it is."""

    quantity = DecimalString(max_digits=QUANTITY_DIGITS, decimal_places=QUANTITY_PLACES, required=False, help_text="In all, what has traded included")
    limit_price = DecimalString(max_digits=PRICE_DIGITS, decimal_places=PRICE_PLACES, required=False)
    stop_price = DecimalString(max_digits=PRICE_DIGITS, decimal_places=PRICE_PLACES, required=False)
    trail_offset = DecimalString(max_digits=PRICE_DIGITS, decimal_places=PRICE_PLACES, required=False)
    time_in_force = serializers.ChoiceField(choices=_choices(TimeInForce), required=False)
    expire_at = ZonedTime(required=False, allow_null=True)


class CancelSerializer(StrictSerializer):
    """Why an order is cancelled."""

    reason = serializers.CharField(max_length=200, default="", allow_blank=True)


class OrderSerializer(serializers.Serializer):
    """An order. Quantities and prices are strings, times UTC."""

    id = serializers.IntegerField()
    client_order_id = serializers.UUIDField()
    portfolio_id = serializers.IntegerField()
    portfolio = serializers.CharField()
    book = serializers.CharField()
    symbol = serializers.CharField()
    side = serializers.ChoiceField(choices=_choices(Side))
    quantity = serializers.CharField()
    cumulative_quantity = serializers.CharField(help_text="Traded so far")
    leaves_quantity = serializers.CharField(help_text="What may still trade")
    order_type = serializers.ChoiceField(choices=_choices(OrderType))
    time_in_force = serializers.ChoiceField(choices=_choices(TimeInForce))
    limit_price = serializers.CharField(allow_null=True)
    stop_price = serializers.CharField(allow_null=True)
    trail_offset = serializers.CharField(allow_null=True)
    working_stop = serializers.CharField(allow_null=True, help_text="Where a trailing stop stands now")
    expire_at = serializers.DateTimeField(allow_null=True)
    stop_triggered = serializers.BooleanField()
    average_price = serializers.CharField(allow_null=True)
    reference_price = serializers.CharField(allow_null=True, help_text="The price at the gate")
    slippage_bps = serializers.CharField(allow_null=True, help_text="Against the reference price, positive is a cost")
    status = serializers.ChoiceField(choices=STATUS_CHOICES)
    reason = serializers.CharField(allow_blank=True)
    strategy = serializers.CharField(allow_blank=True)
    note = serializers.CharField(allow_blank=True)
    lots = OrderLotSerializer(many=True, help_text="Lots that it closes, in this order; empty: by the lot method")
    algo_id = serializers.IntegerField(allow_null=True, help_text="The parent whose child it is")
    slice = serializers.IntegerField(allow_null=True)
    venue = serializers.CharField(allow_blank=True, help_text="Where it was routed to")
    group_id = serializers.IntegerField(allow_null=True, help_text="Its bracket or OCO pair")
    group_role = serializers.CharField(allow_blank=True)
    created_by = serializers.CharField()
    account = serializers.CharField()
    mode = serializers.ChoiceField(choices=_choices(TradingMode))
    market_time = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()

    def to_representation(self, instance: Order) -> dict[str, Any]:
        """The row of the order."""
        return order_row(instance)


class FillSerializer(serializers.Serializer):
    """One execution of an order."""

    id = serializers.IntegerField()
    order_id = serializers.IntegerField()
    execution_id = serializers.CharField()
    broker = serializers.CharField()
    portfolio_id = serializers.IntegerField()
    portfolio = serializers.CharField()
    book = serializers.CharField()
    symbol = serializers.CharField()
    side = serializers.ChoiceField(choices=_choices(Side))
    quantity = serializers.CharField()
    price = serializers.CharField()
    fee = serializers.CharField()
    strategy = serializers.CharField(allow_blank=True)
    quote = serializers.DictField(help_text="What it was matched against")
    explanation = serializers.CharField(help_text="The same in words, with slippage, fee and the distance from the arrival price")
    market_time = serializers.DateTimeField()
    executed_at = serializers.DateTimeField()
    recorded_at = serializers.DateTimeField()

    def to_representation(self, instance: Fill) -> dict[str, Any]:
        """The row of the fill."""
        return fill_row(instance)


class OrderEventSerializer(serializers.Serializer):
    """One step of an order's life."""

    id = serializers.IntegerField()
    kind = serializers.CharField()
    from_status = serializers.CharField(allow_blank=True)
    to_status = serializers.CharField()
    source = serializers.CharField()  # type: ignore[assignment]
    data = serializers.DictField()  # type: ignore[assignment]
    occurred_at = serializers.DateTimeField()
    recorded_at = serializers.DateTimeField()
    latency_ms = serializers.FloatField(allow_null=True, help_text="Since the step before, by the database's clock")


class CheckSerializer(ProblemCheckSerializer):
    """One pre-trade check with its numbers, as strings; null where a rule has none."""

    authority = serializers.ChoiceField(choices=["risk", "compliance"], required=False)


class OrderDecisionSerializer(serializers.Serializer):
    """What one authority said of the order."""

    authority = serializers.ChoiceField(choices=["risk", "compliance"])
    allowed = serializers.BooleanField()
    of_change = serializers.BooleanField(help_text="Of a change that somebody asked for, made or refused, and not of the order as it was sent")
    intent_digest = serializers.CharField()
    checks = CheckSerializer(many=True)
    decided_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()


class PreviewComparedSerializer(serializers.Serializer):
    """What was said of an order before it was sent, beside what became of it. Values and fees are of what has traded."""

    id = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    allowed = serializers.BooleanField()
    checks = CheckSerializer(many=True)
    estimated_price = serializers.CharField(allow_null=True)
    actual_price = serializers.CharField(allow_null=True)
    price_difference_bps = serializers.CharField(allow_null=True, help_text="Against the estimate, positive is a cost")
    estimated_value = serializers.CharField(allow_null=True)
    actual_value = serializers.CharField(allow_null=True)
    estimated_fee = serializers.CharField()
    actual_fee = serializers.CharField(allow_null=True)
    cost_difference = serializers.CharField(allow_null=True, help_text="In money, price and fee together, positive is a cost")


class ApprovalSerializer(StrictSerializer):
    """A second person's word on an order that waits for it."""

    approve = serializers.BooleanField(help_text="False refuses the order, which cancels it")
    reason = serializers.CharField(max_length=200)


class OrderDetailSerializer(OrderSerializer):
    """An order with its whole life."""

    events = OrderEventSerializer(many=True)
    decisions = OrderDecisionSerializer(many=True)
    fills = FillSerializer(many=True)
    preview = PreviewComparedSerializer(allow_null=True)

    def to_representation(self, instance: OrderDetail) -> dict[str, Any]:  # type: ignore[override]
        """The row, with events, decisions, fills and the preview beside it."""
        return {
            **instance.order,
            "events": instance.events,
            "decisions": instance.decisions,
            "fills": instance.fills,
            "preview": instance.preview,
        }


class FillProofSerializer(serializers.Serializer):
    """A fill with all that it stands on. `missing` is empty when everything is there."""

    fill = FillSerializer()
    order = OrderSerializer()
    intent_digest = serializers.CharField()
    decisions = OrderDecisionSerializer(many=True)
    events = OrderEventSerializer(many=True)
    entries = serializers.ListField(child=serializers.DictField(), help_text="Ledger entries under the fill's reference")
    missing = serializers.ListField(child=serializers.CharField())

    def to_representation(self, instance: FillProof) -> dict[str, Any]:
        """The parts are plain already."""
        return asdict(instance)


class ReferencePriceSerializer(serializers.Serializer):
    """The price that an order is judged by."""

    price = serializers.CharField()
    market_time = serializers.DateTimeField()
    received_at = serializers.DateTimeField()
    source = serializers.CharField()  # type: ignore[assignment]
    bid = serializers.CharField(allow_null=True, help_text="Best bid, where the feed says it")
    ask = serializers.CharField(allow_null=True)


class RiskChangeSerializer(serializers.Serializer):
    """What the order does to one number of risk: a day's loss at 95 %, or the loss in a scenario, in the portfolio's currency."""

    name = serializers.CharField(help_text="var, es, normal_var, normal_es, stress (the worst scenario) or a scenario's name")
    title = serializers.CharField()
    state = serializers.CharField(help_text="ok; otherwise there are no numbers: price_missing, no_history or insufficient_data")
    before = serializers.CharField(allow_null=True)
    after = serializers.CharField(allow_null=True)
    n = serializers.IntegerField(help_text="Sessions that were used, 0 for a scenario")
    note = serializers.CharField(allow_blank=True)


class PreviewSerializer(serializers.Serializer):
    """What would happen to an order. Amounts in the portfolio's currency; null while a price is missing."""

    allowed = serializers.BooleanField()
    checks = CheckSerializer(many=True)
    impact = RiskChangeSerializer(many=True, help_text="To inform; limits of these numbers are among the checks. Empty while nothing is known")
    reference = ReferencePriceSerializer(allow_null=True)
    estimated_price = serializers.CharField(allow_null=True)
    estimated_value = serializers.CharField(allow_null=True)
    estimated_slippage = serializers.CharField(allow_null=True)
    commission = serializers.CharField()
    cash_before = serializers.CharField()
    cash_after = serializers.CharField(allow_null=True)
    position_before = serializers.CharField()
    position_after = serializers.CharField()
    currency = serializers.CharField()
    mode = serializers.ChoiceField(choices=_choices(TradingMode))
    client_order_id = serializers.UUIDField(help_text="Sent with the order, it finds this preview again")
    preview_id = serializers.IntegerField(help_text="Under which this answer is kept")

    def to_representation(self, instance: Preview) -> dict[str, Any]:
        """The preview as plain values, checks flat with their authority."""
        return preview_row(instance)
