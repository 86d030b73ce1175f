"""What strategies and backtests look like in REST. Series and ratios are numbers, amounts strings."""

from typing import Any

from rest_framework import serializers

from apps.core.api.fields import DecimalString
from apps.core.api.serializers import StrictSerializer
from apps.core.money import MONEY_DIGITS, MONEY_PLACES
from apps.marketdata.domain.adjustment import Adjustment
from apps.marketdata.domain.timeframes import Timeframe
from apps.strategies.models import BacktestRun
from apps.strategies.selectors.strategies import strategy_names


class NewBacktestSerializer(StrictSerializer):
    """A run to be made."""

    strategy = serializers.ChoiceField(choices=strategy_names(), help_text="Only the desk's own: a path would import whatever it names")
    symbols = serializers.ListField(child=serializers.CharField(max_length=20), allow_empty=False, max_length=500, required=False)
    universe = serializers.CharField(max_length=50, required=False, help_text="Instead of symbols: the members of this universe on the start day")
    start = serializers.DateField()
    end = serializers.DateField()
    timeframe = serializers.ChoiceField(choices=[timeframe.code for timeframe in Timeframe], default="1d")
    cash = DecimalString(max_digits=MONEY_DIGITS, decimal_places=MONEY_PLACES, default="100000")
    parameters = serializers.DictField(default=dict)
    commission = DecimalString(max_digits=MONEY_DIGITS, decimal_places=MONEY_PLACES, default="0")
    slippage_bps = DecimalString(max_digits=8, decimal_places=4, default="0")
    fill_at = serializers.ChoiceField(choices=["close", "open", "vwap"], default="close")
    max_volume_pct = serializers.FloatField(default=0.1)
    size_fraction = serializers.FloatField(default=None, allow_null=True)
    engine = serializers.ChoiceField(choices=["event", "backtrader"], default="event")
    adjustment = serializers.ChoiceField(choices=list(Adjustment), default="split", help_text="What is taken out of raw prices")
    allow_quarantined = serializers.BooleanField(default=False, help_text="Use data in quarantine, which refuses the run otherwise")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Symbols or a universe, one of the two."""
        if "symbols" not in attrs and "universe" not in attrs:
            raise serializers.ValidationError({"symbols": ["Name symbols or a universe."]})
        if "symbols" in attrs and "universe" in attrs:
            raise serializers.ValidationError({"universe": ["Name symbols or a universe, not both."]})
        return attrs


class BacktestSerializer(serializers.ModelSerializer):
    """A run without its series."""

    name = serializers.CharField(source="strategy")
    period = serializers.SerializerMethodField()
    status = serializers.SerializerMethodField()
    requested_by = serializers.CharField(source="requested_by.username", default=None)

    class Meta:
        model = BacktestRun
        fields = (
            "id", "name", "strategy", "engine", "symbols", "timeframe", "start", "end", "period", "status", "parameters", "configuration",
            "initial_capital", "final_value", "results", "dataset_fingerprint", "code_version", "requested_by", "seconds", "created_at",
        )  # fmt: skip

    def get_period(self, run: BacktestRun) -> str:
        return f"{run.start} to {run.end}"

    def get_status(self, run: BacktestRun) -> str:
        return "completed"  # a run is stored when it is complete; one that is under way is a job


class BacktestDetailSerializer(BacktestSerializer):
    """The same with equity [[time, value]] and round trips."""

    equity_curve = serializers.JSONField(source="equity")

    class Meta(BacktestSerializer.Meta):
        fields = (*BacktestSerializer.Meta.fields, "equity_curve", "trades")  # type: ignore[assignment]


class StrategySerializer(serializers.Serializer):
    name = serializers.CharField()
    description = serializers.CharField()
    warmup = serializers.IntegerField(help_text="Bars before the first signal, with the defaults")
    parameters = serializers.ListField(child=serializers.DictField())
