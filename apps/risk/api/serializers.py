"""What REST sends and takes about risk. Money and limits are strings, ratios numbers."""

from typing import Any

from rest_framework import serializers

from apps.core.api.serializers import StrictSerializer
from apps.risk.api.measured_serializers import MeasuresSerializer
from apps.risk.models import ReleaseRequest, RiskLimit, TradingStateChange


class StateSerializer(serializers.Serializer):
    """What may be traded now. `scope` is "desk" or "portfolio"; `flatten`: everything is being closed."""

    state = serializers.CharField()
    reason = serializers.CharField()
    since = serializers.DateTimeField(allow_null=True)
    by = serializers.CharField()
    scope = serializers.SerializerMethodField()
    flatten = serializers.BooleanField()

    def get_scope(self, view: Any) -> str:
        """Whose state it is."""
        return "desk" if view.desk else "portfolio"


class LimitUseSerializer(serializers.Serializer):
    """A limit and how much of it is used; `utilisation` 1 is 100 %."""

    kind = serializers.CharField()
    unit = serializers.CharField()
    soft = serializers.DecimalField(max_digits=20, decimal_places=6, allow_null=True)
    hard = serializers.DecimalField(max_digits=20, decimal_places=6)
    used = serializers.DecimalField(max_digits=32, decimal_places=12, allow_null=True)
    utilisation = serializers.FloatField(allow_null=True)
    state = serializers.CharField()
    text = serializers.CharField()
    subject = serializers.CharField()
    scope = serializers.CharField(help_text="desk, portfolio, book, instrument or sector")
    not_known = serializers.CharField(help_text="What is not in `used`: it may be more, and the gate opens nothing new; empty for nothing")


class PositionAtRiskSerializer(serializers.Serializer):
    """A position that has fallen from its average cost."""

    ticker = serializers.CharField(source="symbol")
    current_dd = serializers.FloatField(source="drawdown")
    distance_to_stop = serializers.FloatField(source="distance")
    breached = serializers.BooleanField()
    stop_loss_price = serializers.FloatField(source="stop_price", help_text="Average cost x (1 - threshold)")


class PortfolioRiskSerializer(serializers.Serializer):
    """Risk of a portfolio at the latest prices; null means unknown, `missing` names the symbols without a price."""

    portfolio_id = serializers.IntegerField()
    currency = serializers.CharField()
    equity = serializers.DecimalField(max_digits=24, decimal_places=4, allow_null=True)
    gross = serializers.DecimalField(max_digits=24, decimal_places=4)
    net = serializers.DecimalField(max_digits=24, decimal_places=4)
    long = serializers.DecimalField(max_digits=24, decimal_places=4)
    short = serializers.DecimalField(max_digits=24, decimal_places=4)
    cash = serializers.DecimalField(max_digits=24, decimal_places=4)
    daily_pnl = serializers.DecimalField(max_digits=24, decimal_places=4, allow_null=True)
    daily_return = serializers.FloatField(allow_null=True)
    drawdown = serializers.FloatField(allow_null=True)
    limits = LimitUseSerializer(many=True)
    trading = StateSerializer()
    missing = serializers.ListField(child=serializers.CharField())
    session = serializers.DateField()
    market_time = serializers.DateTimeField()
    computed_at = serializers.DateTimeField()
    vix_current = serializers.FloatField(allow_null=True)
    vix_regime = serializers.CharField(allow_null=True)
    stop_loss_threshold = serializers.FloatField(allow_null=True)
    positions_at_risk = PositionAtRiskSerializer(many=True)
    measures = MeasuresSerializer()


class ReleaseSerializer(StrictSerializer):
    """`portfolio` left out or null is the whole desk."""

    portfolio = serializers.IntegerField(required=False, allow_null=True, min_value=1, default=None)
    reason = serializers.CharField(max_length=500)


class NothingSerializer(StrictSerializer):
    """A body without fields."""


class StateChangeSerializer(serializers.ModelSerializer):
    """A stored change of the trading state."""

    changed_by: serializers.Field = serializers.StringRelatedField()
    approved_by: serializers.Field = serializers.StringRelatedField()

    class Meta:
        model = TradingStateChange
        fields = ("id", "portfolio", "state", "flatten", "reason", "changed_by", "approved_by", "recorded_at")


class ReleaseRequestSerializer(serializers.ModelSerializer):
    """A request that waits for a second person, or what became of it."""

    requested_by: serializers.Field = serializers.StringRelatedField()
    approved_by: serializers.Field = serializers.StringRelatedField()

    class Meta:
        model = ReleaseRequest
        fields = ("id", "portfolio", "reason", "state", "requested_by", "approved_by", "requested_at", "expires_at", "decided_at")


class RiskLimitSerializer(serializers.ModelSerializer):
    """A limit in force of a portfolio or of one book, instrument or sector in it."""

    sector: serializers.Field = serializers.CharField()

    class Meta:
        model = RiskLimit
        fields = ("id", "portfolio", "kind", "book", "instrument", "sector", "soft", "hard", "active_from", "active_to", "reason")
