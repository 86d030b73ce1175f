"""The figures of a run against published vectors (domain.md C1, B4), and at their edges."""

from math import inf, isnan, nan

import numpy as np
import pytest

from apps.strategies.domain.performance import cagr, drawdowns, max_drawdown, returns_of, sharpe, total_return, volatility

MIXED = [nan, 0.01, 0.10, -0.04, 0.02, 0.03, 0.02, 0.01, -0.10]
MONTHLY = [0.0, 0.01, 0.10, -0.04, 0.02, 0.03, 0.02, 0.01, -0.10]
NEGATIVE = [0.0, -0.06, -0.07, -0.01, -0.09, -0.02, -0.06, -0.08, -0.05]
S20 = [0.012, -0.008, 0.005, -0.021, 0.017, 0.003, -0.034, 0.009, 0.011, -0.006,
       0.002, -0.015, 0.022, -0.002, 0.007, -0.011, 0.014, 0.001, -0.027, 0.019]  # fmt: skip


class TestVectors:
    """V-C1-1, V-C1-2, V-C1-4, V-B4-1, V-B4-2."""

    @pytest.mark.parametrize(
        ("figure", "returns", "options", "expected"),
        [
            (sharpe, MIXED, {}, 1.7238613961706866),
            (volatility, MIXED, {}, 0.9136465399704637),
            (cagr, MIXED, {}, 2.330292797300439),
            (cagr, MONTHLY, {"periods_per_year": 12}, 0.052242061386048144),
            (volatility, MONTHLY, {"periods_per_year": 12}, 0.18663690238892558),
            (sharpe, S20, {}, -0.10269722547),
            (volatility, S20, {}, 0.24538150747),
            (cagr, S20, {}, -0.05256440578),
            (max_drawdown, MIXED, {}, -0.10),
            (max_drawdown, NEGATIVE, {}, -0.36590730),
            (max_drawdown, [-0.02, *NEGATIVE[1:]], {}, -0.378589157),
            (max_drawdown, [0.10, -0.10, 0.10], {}, -0.10),
            (max_drawdown, [0.01], {}, 0.0),
            (max_drawdown, S20, {}, -0.0382561051807),
        ],
    )
    def test_hold(self, figure, returns, options, expected):
        assert figure(returns, **options) == pytest.approx(expected, abs=1e-8)


class TestEdges:
    def test_of_nothing_there_is_nothing(self):
        assert total_return([]) == 0.0
        assert all(isnan(figure([])) for figure in (sharpe, volatility, cagr, max_drawdown))

    def test_one_return_has_no_deviation(self):
        assert isnan(sharpe([0.01]))
        assert isnan(volatility([0.01]))

    def test_equal_returns_are_without_risk(self):
        assert sharpe([0.01] * 9) == inf
        assert isnan(sharpe([0.0] * 9))
        assert isnan(sharpe([-0.01] * 9))

    def test_the_risk_free_rate_is_taken_off(self):
        assert sharpe(S20, risk_free=0.001) == pytest.approx(sharpe(np.array(S20) - 0.001))
        assert sharpe(S20, risk_free=[0.001] * 20) == pytest.approx(sharpe(S20, risk_free=0.001))

    def test_a_total_loss_is_a_total_loss(self):
        assert cagr([0.1, -1.0, 0.5]) == -1.0
        assert max_drawdown([0.1, -1.0]) == -1.0

    def test_the_first_loss_is_a_drawdown(self):
        np.testing.assert_allclose(drawdowns([-0.1, 0.05, 0.1, -0.2]), [-0.1, -0.055, 0.0, -0.2], atol=1e-12)

    def test_returns_compound_to_the_values_they_came_from(self):
        values = np.array([100.0, 110.0, 99.0, 120.0])
        assert total_return(returns_of(values)) == pytest.approx(0.2)
