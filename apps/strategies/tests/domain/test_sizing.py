"""How much to buy, by the examples of domain.md B7, at edges, and rounded down always."""

from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.strategies.domain import sizing

AMOUNTS = st.floats(0.01, 1e9)


class TestVectors:
    """V-B7-1 (before the cap, at full Kelly) and V-B7-2."""

    @pytest.mark.parametrize(("probability", "ratio", "fraction"), [(0.6, 1.0, 0.20), (0.55, 1.5, 0.25), (0.4, 1.0, 0.0)])
    def test_of_kelly(self, probability, ratio, fraction):
        assert sizing.kelly_fraction(probability, ratio, share=1.0, cap=1.0) == pytest.approx(fraction)

    def test_of_risk(self):
        assert sizing.volatility(100_000, 0.01, 2.50, 2) == 200
        assert sizing.risk_based(100_000, 0.01, 3) == 333


class TestKelly:
    def test_is_halved_and_capped(self):
        assert sizing.kelly_fraction(0.6, 1.0) == pytest.approx(0.10)
        assert sizing.kelly_fraction(0.9, 2.0) == 0.2

    def test_bets_nothing_on_a_bet_that_cannot_win(self):
        assert sizing.kelly_fraction(0.9, 0.0) == 0.0


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
        quantity = sizing.percent(equity, fraction, price)
        assert quantity == int(quantity)
        assert quantity * price <= equity * fraction * (1 + 1e-9) + 1e-6 * price
        assert (quantity + 1.001) * price > equity * fraction

    def test_are_none_without_a_price_or_a_distance(self):
        assert sizing.percent(100_000, 0.1, 0) == 0
        assert sizing.risk_based(100_000, 0.01, 0) == 0
        assert sizing.volatility(100_000, 0.01, 0, 2) == 0

    def test_fixed_is_the_same_each_time(self):
        assert sizing.fixed(150.7) == 150
        assert sizing.fixed(150, 100) == 100


class TestMeanTrueRange:
    def test_counts_the_gap_from_the_close_before(self):
        assert sizing.mean_true_range([10, 13, 12], [9, 12, 10], [9.5, 12.5, 11], 2) == pytest.approx((3.5 + 2.5) / 2)

    def test_is_nothing_with_too_few_bars(self):
        assert sizing.mean_true_range([10, 13], [9, 12], [9.5, 12.5], 2) == 0
