"""The desk's strategies: what they say by hand-made examples, and that none of them sees the future."""

import numpy as np
import pytest

from apps.core.errors import InvalidInput
from apps.marketdata.domain.bars import BarPanel
from apps.strategies.domain.library import STRATEGIES, ema, sma
from apps.strategies.domain.registry import strategy_build
from apps.strategies.domain.strategy import BUY, SELL, snapshot_at
from apps.strategies.tests.panels import cut, panel_of_closes, random_panel

PARAMETERS = {
    "sma_cross": ({}, {"fast": 3, "slow": 7}),
    "macd": ({}, {"fast": 3, "slow": 6, "signal": 2}),
    "momentum": ({}, {"lookback": 5, "threshold": 0.02}),
}
EACH = [(name, parameters) for name, several in PARAMETERS.items() for parameters in several]


def said(name, closes, **parameters):
    signals = strategy_build(name, parameters).signals(panel_of_closes(np.asarray(closes, float)[:, None]))
    return {t: int(value) for t, value in enumerate(signals[:, 0]) if value}


def test_every_strategy_of_the_desk_is_tested_here():
    assert set(PARAMETERS) == set(STRATEGIES)


@pytest.mark.parametrize(("name", "parameters"), EACH)
class TestNoStrategySeesTheFuture:
    def test_cutting_it_off_changes_nothing_before(self, name, parameters):
        panel, strategy = random_panel(300, 3, seed=5, missing=0.05), strategy_build(name, parameters)
        whole = strategy.signals(panel)
        assert (whole != 0).any()
        for end in (1, 2, 8, 31, 60, 61, 62, 150, 299):
            np.testing.assert_array_equal(strategy.signals(cut(panel, end)), whole[:end])

    def test_changing_it_changes_nothing_before(self, name, parameters):
        panel, strategy = random_panel(300, 2, seed=6), strategy_build(name, parameters)
        whole = strategy.signals(panel)
        for now in (40, 100, 220):
            other = cut(panel, 300)
            for field in ("open", "high", "low", "close", "volume"):
                getattr(other, field)[now + 1 :] *= np.linspace(0.2, 3, 300 - now - 1)[:, None]
            changed = strategy.signals(other)
            np.testing.assert_array_equal(changed[: now + 1], whole[: now + 1])
            assert (changed != whole).any()

    def test_bar_by_bar_it_says_the_same_as_all_at_once(self, name, parameters):
        panel, strategy = random_panel(200, 3, seed=7, missing=0.1), strategy_build(name, parameters)
        whole = strategy.signals(panel)
        for t in range(200):
            signals = strategy.generate_signals(snapshot_at(panel, t))
            present = [n for n in range(3) if not np.isnan(panel.close[t, n])]
            assert [signal.symbol for signal in signals] == [panel.symbols[n] for n in present]
            assert [signal.action.sign for signal in signals] == [whole[t, n] for n in present]
            assert [signal.price for signal in signals] == [panel.close[t, n] for n in present]

    def test_before_its_warmup_it_is_silent(self, name, parameters):
        strategy = strategy_build(name, parameters)
        for seed in range(20):
            assert not strategy.signals(random_panel(strategy.warmup, 2, seed=seed)).any()

    def test_the_history_it_asks_for_is_enough(self, name, parameters):
        panel, strategy = random_panel(900, 2, seed=8), strategy_build(name, parameters)
        whole, needed = strategy.signals(panel), strategy.history_needed
        for end in range(600, 900):
            fields = {field: getattr(panel, field)[end - needed : end] for field in ("open", "high", "low", "close", "volume")}
            recent = BarPanel(symbols=panel.symbols, ts=panel.ts[end - needed : end], **fields)
            np.testing.assert_array_equal(strategy.signals(recent)[-1], whole[end - 1])

    def test_a_missing_bar_is_held_and_a_missing_symbol_disturbs_no_other(self, name, parameters):
        panel, strategy = random_panel(300, 2, seed=9), strategy_build(name, parameters)
        alone = strategy.signals(panel)[:, 0]
        panel.close[50:250, 1] = np.nan
        signals = strategy.signals(panel)
        assert not signals[50:250, 1].any()
        np.testing.assert_array_equal(signals[:, 0], alone)


class TestSmaCross:
    def test_buys_when_the_fast_average_rises_above_the_slow_and_sells_when_it_falls_below(self):
        # bar        2     3     4   5      6     7   8
        # fast (2)  10.5  9.5   10  12   13.5    13  10
        # slow (3)  11   10     10  11   12.67   13  11.33
        assert said("sma_cross", [12, 11, 10, 9, 11, 13, 14, 12, 8], fast=2, slow=3) == {5: BUY, 8: SELL}

    def test_is_not_moved_by_a_market_that_stands_still(self):
        """Averages of equal prices differ in their last bit; that is no cross."""
        closes = [0.3, 0.2, *[0.1] * 40, 0.2, 0.3, *[0.7] * 40]
        assert said("sma_cross", closes, fast=3, slow=7) == {42: BUY}

    def test_says_the_same_as_an_exact_computation(self):
        from fractions import Fraction

        rng = np.random.default_rng(3)
        closes = rng.integers(90, 110, 400).astype(float)
        side, wanted = 0, {}
        for t in range(6, 400):
            fast, slow = (sum(map(Fraction, closes[t - n + 1 : t + 1])) / n for n in (3, 7))
            now = (fast > slow) - (fast < slow)
            if now and side and now != side:
                wanted[t] = now
            side = now or side
        assert said("sma_cross", closes, fast=3, slow=7) == wanted


class TestMacd:
    def test_says_the_same_as_a_loop(self):
        closes = random_panel(300, 1, seed=4).close[:, 0]

        def average(values, period):
            result, seen = [None] * len(values), []
            for t, value in enumerate(values):
                if value is None:
                    continue
                seen.append(value)
                if len(seen) == period:
                    result[t] = sum(seen) / period
                elif len(seen) > period:
                    result[t] = result[t - 1] + 2 / (period + 1) * (value - result[t - 1])
            return result

        fast, slow = average(list(closes), 5), average(list(closes), 12)
        line = [None if a is None or b is None else a - b for a, b in zip(fast, slow, strict=True)]
        signal = average(line, 4)
        above = [None if s is None else m > s for m, s in zip(line, signal, strict=True)]
        wanted = {t: BUY if above[t] else SELL for t in range(1, 300) if above[t - 1] is not None and above[t] != above[t - 1]}
        assert said("macd", closes, fast=5, slow=12, signal=4) == wanted

    def test_is_not_moved_by_a_market_that_stands_still(self):
        assert said("macd", [100 / 7] * 500) == {}


class TestMomentum:
    def test_speaks_beyond_the_threshold_only(self):
        closes = [100, 100, 102, 103, 100, 97, 96, 98]
        # over two bars:     +2 %  +3 %  -1.96 % -5.8 % -4 % +1.03 %
        assert said("momentum", closes, lookback=2, threshold=0.025) == {3: BUY, 5: SELL, 6: SELL}


class TestAverages:
    def test_of_known_numbers(self):
        values = np.array([2.0, 4.0, 6.0, 8.0, 12.0])
        np.testing.assert_allclose(sma(values, 2), [np.nan, 3, 5, 7, 10])
        np.testing.assert_allclose(ema(values, 3), [np.nan, np.nan, 4, 6, 9])

    def test_of_too_few_numbers_are_not_there(self):
        assert np.isnan(sma(np.ones(3), 4)).all()
        assert np.isnan(ema(np.ones(3), 4)).all()


@pytest.mark.parametrize(
    ("name", "parameters", "field"),
    [
        ("sma_cross", {"fast": 0}, "parameters.fast"),
        ("sma_cross", {"fast": 30}, "parameters.slow"),
        ("macd", {"signal": 0}, "parameters.signal"),
        ("macd", {"slow": 12}, "parameters.slow"),
        ("momentum", {"lookback": 0}, "parameters.lookback"),
        ("momentum", {"threshold": -0.1}, "parameters.threshold"),
        ("momentum", {"threshold": "nan"}, "parameters.threshold"),
    ],
)
def test_parameters_that_make_no_sense_are_refused_by_name(name, parameters, field):
    with pytest.raises(InvalidInput) as refused:
        strategy_build(name, parameters)
    assert refused.value.field == field
