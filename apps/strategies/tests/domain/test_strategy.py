"""What a strategy must give, what it is told, and how its parameters are read."""

from dataclasses import FrozenInstanceError, dataclass
from datetime import UTC, datetime

import numpy as np
import pytest

from apps.core.errors import InvalidInput
from apps.strategies.domain.library import SmaCross
from apps.strategies.domain.registry import strategy_build, strategy_class
from apps.strategies.domain.strategy import SELL, SignalAction, Strategy, StrategySignal, parameters_build, snapshot_at
from apps.strategies.tests.panels import panel_of_closes


@dataclass(frozen=True, slots=True)
class DipParameters:
    fraction: float = 0.1
    days: int = 3
    careful: bool = False
    label: str = "dip"


class BuyTheDip(Strategy):
    """Event style: buys what fell by a fraction of its last close, sells what rose by it."""

    name = "dip"
    Parameters = DipParameters

    def generate_signals(self, snapshot):
        closes = snapshot.history.close
        if len(closes) < 2:
            return []
        signals = []
        for n, symbol in enumerate(snapshot.history.symbols):
            change = closes[-1, n] / closes[-2, n] - 1
            if abs(change) >= self.parameters.fraction:
                action = SignalAction.BUY if change < 0 else SignalAction.SELL
                signals.append(StrategySignal(action=action, symbol=symbol, price=float(closes[-1, n]), timestamp=snapshot.timestamp))
        return signals


class TestStrategy:
    def test_of_event_style_gives_its_signals_as_an_array_too(self):
        panel = panel_of_closes([[100, 100], [85, 104], [86, 120], [99, 121]])
        expected = [[0, 0], [1, 0], [0, -1], [-1, 0]]
        assert BuyTheDip().signals(panel).tolist() == expected
        assert BuyTheDip().is_vectorised is False
        assert SmaCross().is_vectorised is True

    def test_must_define_one_of_the_two_ways(self):
        with pytest.raises(TypeError, match="signals or generate_signals"):
            type("Silent", (Strategy,), {"name": "silent", "Parameters": DipParameters})

    def test_has_parameters_that_cannot_be_changed(self):
        with pytest.raises(FrozenInstanceError):
            SmaCross().parameters.fast = 5

    def test_says_its_signals_in_the_words_of_the_first_design(self):
        signal = StrategySignal(action=SignalAction.SELL, symbol="A", price=10.5, timestamp=datetime(2020, 1, 2, tzinfo=UTC))
        assert signal.as_dict() == {"action": "SELL", "symbol": "A", "price": 10.5, "timestamp": datetime(2020, 1, 2, tzinfo=UTC)}
        assert signal.action.sign == SELL


class TestMarketSnapshot:
    def test_knows_one_moment_and_what_came_before_it(self):
        panel = panel_of_closes([[10.0, np.nan], [11.0, 20.0], [12.0, 21.0]], symbols=("A", "B"))
        snapshot = snapshot_at(panel, 1)
        assert snapshot.timestamp == datetime(2010, 1, 2, tzinfo=UTC)
        assert snapshot.prices == {"A": 11.0, "B": 20.0}
        assert snapshot.bars["A"]["open"] == 10.0
        assert snapshot.history.close.shape == (2, 2)
        assert snapshot_at(panel, 0).prices == {"A": 10.0}
        assert set(snapshot_at(panel, 0).bars) == {"A"}


class TestParameters:
    def test_are_read_from_text_by_their_types(self):
        given = {"fraction": "0.25", "days": "7", "careful": "true", "label": "x"}
        assert parameters_build(DipParameters, given) == DipParameters(fraction=0.25, days=7, careful=True, label="x")
        assert parameters_build(DipParameters, {"fraction": 1, "days": 2}) == DipParameters(fraction=1.0, days=2)
        assert parameters_build(DipParameters, {}) == DipParameters()

    @pytest.mark.parametrize(
        ("name", "value"),
        [("days", "7.5"), ("days", 7.5), ("days", True), ("days", None), ("fraction", "inf"),
         ("fraction", "much"), ("fraction", False), ("careful", "yes"), ("careful", 1)],
    )  # fmt: skip
    def test_of_another_type_are_refused_by_name(self, name, value):
        with pytest.raises(InvalidInput) as refused:
            parameters_build(DipParameters, {name: value})
        assert refused.value.field == f"parameters.{name}"

    def test_that_nobody_knows_are_refused_with_the_nearest_known_one(self):
        with pytest.raises(InvalidInput, match="did you mean fraction") as refused:
            parameters_build(DipParameters, {"fractoin": 1})
        assert refused.value.field == "parameters.fractoin"


class TestRegistry:
    def test_finds_strategies_by_name_and_by_path(self):
        assert strategy_class("sma_cross") is SmaCross
        found = strategy_build("apps.strategies.tests.domain.test_strategy.BuyTheDip", {"days": "4"})
        assert (found.name, found.parameters.days) == ("dip", 4)

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("sma_corss", "did you mean sma_cross"),
            ("nothing", "unknown strategy"),
            ("no.such.module.Class", "no class"),
            ("apps.core.trading.Nothing", "no class"),
            ("apps.core.trading.BPS", "no class"),
            ("apps.core.trading.Side", "is no strategy"),
            ("os.path.join", "is no class"),
            (".", "no class"),
        ],
    )
    def test_refuses_what_is_no_strategy(self, name, message):
        with pytest.raises(InvalidInput, match=message) as refused:
            strategy_class(name)
        assert refused.value.field == "strategy"
