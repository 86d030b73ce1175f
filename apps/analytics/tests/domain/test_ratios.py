"""Ratios against empyrical on the same returns, wherever the definitions agree, and at their edges."""

from math import inf, isnan, sqrt

import empyrical
import numpy as np
import pytest

from apps.analytics.domain import ratios
from apps.core.errors import InvalidInput

SHARED = ("sharpe", "sortino", "calmar", "omega", "cagr", "volatility", "downside_risk")


@pytest.fixture(params=[1, 2, 3])
def returns(request):
    """Three years of fat-tailed daily returns."""
    return np.random.default_rng(request.param).standard_t(4, 756) * 0.01 + 0.0003


@pytest.fixture
def benchmark(returns):
    return 0.6 * returns + np.random.default_rng(9).normal(0.0002, 0.006, len(returns))


class TestAgainstEmpyrical:
    @pytest.mark.parametrize("periods", [252, 52, 12])
    def test_sharpe(self, returns, periods):
        assert ratios.sharpe(returns, periods, 0.0001) == pytest.approx(empyrical.sharpe_ratio(returns, 0.0001, annualization=periods), rel=1e-12)

    @pytest.mark.parametrize("periods", [252, 52, 12])
    def test_sortino_and_downside_risk(self, returns, periods):
        expected = empyrical.sortino_ratio(returns, 0.0002, annualization=periods)
        assert ratios.sortino(returns, periods, minimum_acceptable=0.0002) == pytest.approx(expected, rel=1e-12)
        expected = empyrical.downside_risk(returns, 0.0002, annualization=periods)
        assert ratios.downside_risk(returns, periods, minimum_acceptable=0.0002) == pytest.approx(expected, rel=1e-12)

    @pytest.mark.parametrize("periods", [252, 52, 12])
    def test_growth_and_volatility(self, returns, periods):
        assert ratios.cagr(returns, periods) == pytest.approx(empyrical.cagr(returns, annualization=periods), rel=1e-10)
        assert ratios.volatility(returns, periods) == pytest.approx(empyrical.annual_volatility(returns, annualization=periods), rel=1e-12)
        assert ratios.calmar(returns, periods) == pytest.approx(empyrical.calmar_ratio(returns, annualization=periods), rel=1e-10)

    def test_omega(self, returns):
        assert ratios.omega(returns, risk_free=0.0002) == pytest.approx(empyrical.omega_ratio(returns, risk_free=0.0002), rel=1e-12)

    def test_information(self, returns, benchmark):
        assert ratios.information(returns, benchmark)["ir_period"] == pytest.approx(empyrical.excess_sharpe(returns, benchmark), rel=1e-12)

    def test_alpha_beta(self, returns, benchmark):
        alpha, beta = empyrical.alpha_beta_aligned(returns, benchmark, risk_free=0.0001)
        found = ratios.alpha_beta(returns, benchmark, 0.0001, 252)
        assert found == pytest.approx({"alpha": alpha, "beta": beta}, rel=1e-9)


class TestInformation:
    def test_the_annual_one_is_geometric(self, returns, benchmark):
        found = ratios.information(returns, benchmark, 252)
        error = np.std(returns - benchmark, ddof=1) * sqrt(252)
        assert found["tracking_error"] == pytest.approx(error)
        assert found["ir_annual"] == pytest.approx((ratios.cagr(returns) - ratios.cagr(benchmark)) / error)

    def test_a_portfolio_like_its_benchmark_has_none(self):
        found = ratios.information([0.01, 0.02], [0.01, 0.02])
        assert isnan(found["ir_period"])
        assert found["tracking_error"] == 0

    def test_always_a_little_better_is_infinite(self):
        assert ratios.information([0.25, 0.5, 0.75], [0.125, 0.375, 0.625])["ir_period"] == inf


class TestProbabilisticSharpe:
    def test_the_paper_s_formula(self, returns):
        from scipy import stats

        ratio = returns.mean() / returns.std(ddof=1)
        variance = 1 - stats.skew(returns) * ratio + (stats.kurtosis(returns, fisher=False) - 1) / 4 * ratio**2
        expected = stats.norm.cdf((ratio - 0.01) * sqrt(len(returns) - 1) / sqrt(variance))
        assert ratios.probabilistic_sharpe(returns, 0.01) == pytest.approx(expected, rel=1e-12)

    def test_without_moments_it_is_the_normal_one(self, returns):
        ratio = returns.mean() / returns.std(ddof=1)
        from scipy import stats

        expected = stats.norm.cdf(ratio * sqrt(len(returns) - 1) / sqrt(1 + ratio**2 / 2))
        assert ratios.probabilistic_sharpe(returns, 0.0, ignore_skewness=True, ignore_kurtosis=True) == pytest.approx(expected, rel=1e-12)

    def test_at_its_own_ratio_it_is_a_half(self, returns):
        assert ratios.probabilistic_sharpe(returns, returns.mean() / returns.std(ddof=1)) == pytest.approx(0.5)


class TestEdges:
    @pytest.mark.parametrize("name", SHARED)
    def test_nothing_is_unknown(self, name):
        assert isnan(getattr(ratios, name)([], 252))

    @pytest.mark.parametrize("name", ["sharpe", "sortino", "omega", "volatility"])
    def test_one_observation_is_unknown(self, name):
        assert isnan(getattr(ratios, name)([0.01], 252))

    def test_rows_with_a_nan_are_dropped_together(self):
        dropped = ratios.sharpe([0.01, np.nan, 0.03, -0.01], 252, [0.001, 0.001, np.nan, 0.002])
        assert dropped == pytest.approx(ratios.sharpe([0.01, -0.01], 252, [0.001, 0.002]))

    def test_no_deviation_is_infinite_or_unknown(self):
        assert ratios.sharpe([0.01] * 9) == inf
        assert isnan(ratios.sharpe([-0.01] * 9))
        assert isnan(ratios.sortino([0.0] * 9))

    def test_a_list_of_another_length_is_refused(self):
        with pytest.raises(InvalidInput):
            ratios.sharpe([0.01, 0.02], 252, [0.001] * 3)

    def test_a_benchmark_that_stands_still_has_no_beta(self):
        found = ratios.alpha_beta([0.01, 0.02, 0.03], [0.01] * 3)
        assert isnan(found["alpha"])
        assert isnan(found["beta"])
