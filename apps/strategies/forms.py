"""The form that starts a backtest. What a strategy allows is its own business: the service says it, the form shows it at the field."""

import re
from typing import Any

from django import forms

from apps.core.errors import DeskError
from apps.core.money import MONEY_DIGITS, MONEY_PLACES
from apps.marketdata.domain.adjustment import Adjustment
from apps.marketdata.domain.timeframes import Timeframe
from apps.strategies.models import BacktestRun
from apps.strategies.selectors.strategies import strategy_names

SEPARATOR = re.compile(r"[\s,;]+")


class BacktestForm(forms.Form):
    """Symbols and parameters are typed as people type them: "AAPL, MSFT" and "short_window=20 long_window=50"."""

    strategy = forms.ChoiceField(choices=lambda: [(name, name) for name in strategy_names()])
    symbols = forms.CharField(max_length=2000, help_text="Separated by blanks or commas")
    start = forms.DateField(widget=forms.DateInput(attrs={"type": "date"}))
    end = forms.DateField(widget=forms.DateInput(attrs={"type": "date"}))
    timeframe = forms.ChoiceField(choices=[(one.code, one.code) for one in Timeframe], initial="1d")
    engine = forms.ChoiceField(choices=[("event", "event (compiled)"), ("backtrader", "backtrader")], initial="event")
    parameters = forms.CharField(required=False, max_length=500, help_text="name=value; empty takes the defaults")
    cash = forms.DecimalField(min_value=1, max_digits=MONEY_DIGITS, decimal_places=MONEY_PLACES, initial=100_000, label="Cash [USD]")
    commission = forms.DecimalField(min_value=0, max_digits=MONEY_DIGITS, decimal_places=MONEY_PLACES, initial=1, label="Commission [USD per order]")
    slippage_bps = forms.DecimalField(min_value=0, max_digits=8, decimal_places=4, initial=5, label="Slippage [bps]")
    fill_at = forms.ChoiceField(
        choices=[("close", "close of the same bar"), ("open", "open of the next bar"), ("vwap", "average of the next bar")],
        initial="close",
        label="Orders fill at the",
    )
    adjustment = forms.ChoiceField(
        choices=[
            (Adjustment.SPLIT.value, "adjusted for splits"),
            (Adjustment.TOTAL_RETURN.value, "adjusted for splits and dividends"),
            (Adjustment.TOTAL_RETURN_AT_CLOSE.value, "the same, reinvested at the ex-date's close"),
            (Adjustment.NONE.value, "as traded"),
        ],
        initial="split",
        label="Prices",
    )
    max_volume_pct = forms.FloatField(min_value=0.000001, max_value=1, initial=0.1, label="Largest part of a bar's volume")
    allow_quarantined = forms.BooleanField(required=False, label="Use data in quarantine", help_text="The run keeps which data it was")

    @classmethod
    def initial_of(cls, run: BacktestRun) -> dict[str, Any]:
        """The fields of an earlier run: "same as last time"."""
        stored = {name: value for name, value in run.configuration.items() if name in cls.base_fields}
        return {
            **stored,
            "strategy": run.strategy,
            "symbols": ", ".join(run.symbols),
            "start": run.start,
            "end": run.end,
            "timeframe": run.timeframe,
            "engine": run.engine,
            "parameters": " ".join(f"{name}={value}" for name, value in run.parameters.items()),
        }

    def clean_symbols(self) -> list[str]:
        """Symbols in the order given, in upper case."""
        return [symbol.upper() for symbol in SEPARATOR.split(self.cleaned_data["symbols"]) if symbol]

    def clean_parameters(self) -> dict[str, str]:
        """Names with their values as text; the strategy converts them."""
        pairs = [pair for pair in SEPARATOR.split(self.cleaned_data["parameters"]) if pair]
        if wrong := [pair for pair in pairs if not re.fullmatch(r"\w+=[^=]+", pair)]:
            raise forms.ValidationError(f"{wrong[0]!r} is not of the form name=value")
        return dict(pair.split("=", 1) for pair in pairs)

    def request_fields(self) -> dict[str, Any]:
        """What BacktestRequest takes."""
        return {**self.cleaned_data, "timeframe": Timeframe.parse(self.cleaned_data["timeframe"])}

    def refuse(self, error: DeskError) -> None:
        """Show what the service refused at the field that it names."""
        field = error.field.split(".", 1)[0]
        self.add_error(field if field in self.fields else None, error.detail)
