"""How much to buy, by the examples of domain.md B7, at edges, and rounded down always."""

from math import inf, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.risk.domain import sizing

AMOUNTS = st.floats(0.01, 1e9)


class TestVectors:
    """V-B7-1 (before the cap, at full Kelly) and V-B7-2."""

    @pytest.mark.parametrize(("probability", "ratio", "fraction"), [(0.6, 1.0, 0.20), (0.55, 1.5, 0.25), (0.4, 1.0, 0.0)])
    def test_of_kelly(self, probability, ratio, fraction):
        assert sizing.kelly_bet(probability, ratio, share=1.0, cap=1.0) == pytest.approx(fraction)

    def test_of_risk(self):
        assert sizing.lots(sizing.shares_at_risk(100_000, 0.01, 2.50 * 2)) == 200
        assert sizing.lots(sizing.shares_at_risk(100_000, 0.01, 3)) == 333

    @given(st.integers(1, 10**9), st.integers(1, 100), st.integers(1, 10**6), st.sampled_from([1, 10, 100]))
    def test_floats_say_what_the_exact_measure_says(self, equity, percent, cents, lot):
        fast = sizing.lots(sizing.shares_at_risk(float(equity), percent / 100, cents / 100), lot)
        assert fast == sizing.risk_based(str(equity), f"{percent / 100}", f"{cents / 100}", lot)


class TestKelly:
    def test_is_halved_and_capped(self):
        assert sizing.kelly_bet(0.6, 1.0) == pytest.approx(0.10)
        assert sizing.kelly_bet(0.9, 2.0) == 0.2

    def test_bets_nothing_on_a_bet_that_cannot_win(self):
        assert sizing.kelly_bet(0.9, 0.0) == 0.0


class TestLots:
    @pytest.mark.parametrize(
        ("quantity", "lot_size", "expected"),
        [(99.9, 1, 99), (100, 1, 100), (199, 100, 100), (0.0299, 0.01, 0.02), (0.3, 0.1, 0.3), (0.9, 1, 0), (0, 1, 0), (-5, 1, 0),
         (nan, 1, 0), (inf, 1, 0)],
    )  # fmt: skip
    def test_are_whole_and_never_more_than_wanted(self, quantity, lot_size, expected):
        assert sizing.lots(quantity, lot_size) == pytest.approx(expected)

    @given(AMOUNTS, st.floats(0.001, 1.0), st.floats(0.01, 1e5))
    def test_of_a_percentage_cost_no_more_than_it(self, equity, fraction, price):
        quantity = sizing.lots(sizing.shares_worth(equity, fraction, price))
        assert quantity == int(quantity)
        assert quantity * price <= equity * fraction * (1 + 1e-9) + 1e-6 * price
        assert (quantity + 1.001) * price > equity * fraction

    def test_are_none_without_a_price_or_a_distance(self):
        assert sizing.shares_worth(100_000, 0.1, 0) == 0
        assert sizing.shares_at_risk(100_000, 0.01, 0) == 0


class TestTargetVolatility:
    def test_weighs_by_how_much_it_moves_up_to_the_cap(self):
        assert sizing.target_volatility_weight(0.1, 0.2) == pytest.approx(0.5)
        assert sizing.target_volatility_weight(0.1, 0.05) == 1.0
        assert sizing.target_volatility_weight(0.1, 0.0) == 0.0

    def test_volatility_is_the_deviation_of_the_last_returns(self):
        closes = [50, 100, 110, 99, 108.9]
        assert sizing.annual_volatility(closes, 3) == pytest.approx(np.std([0.1, -0.1, 0.1], ddof=1) * 252**0.5, rel=1e-12)

    @pytest.mark.parametrize("closes", [[100, 110, 99], [100, 110, 0, 99], [nan, 100, 110, 99]])
    def test_volatility_is_nothing_with_too_few_bars_or_a_price_that_is_none(self, closes):
        assert sizing.annual_volatility(closes, 3) == 0


class TestMeanTrueRange:
    def test_counts_the_gap_from_the_close_before(self):
        assert sizing.mean_true_range([10, 13, 12], [9, 12, 10], [9.5, 12.5, 11], 2) == pytest.approx((3.5 + 2.5) / 2)

    def test_is_nothing_with_too_few_bars(self):
        assert sizing.mean_true_range([10, 13], [9, 12], [9.5, 12.5], 2) == 0
