"""Corrected, simulated and filtered value at risk, stress, and what holds for every series of returns."""

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.core.errors import InvalidInput
from apps.risk.domain.drawdown import drawdown_table, falls, maximum_drawdown
from apps.risk.domain.simulation import normal_paths, rescaled, var_filtered_historical, var_monte_carlo
from apps.risk.domain.stress import hypothetical, replayed, reverse
from apps.risk.domain.value_at_risk import (
    cornish_fisher_monotone,
    cornish_fisher_quantile,
    es_cornish_fisher,
    es_historical,
    es_normal,
    moments,
    var_cornish_fisher,
    var_historical,
    var_normal,
)

RETURNS = st.lists(st.floats(-0.2, 0.2), min_size=5, max_size=40)
CONFIDENCE = st.sampled_from([0.9, 0.95, 0.975, 0.99])


@given(RETURNS, CONFIDENCE)
def test_shortfall_is_never_below_value_at_risk(returns: list[float], confidence: float) -> None:
    slack = 1e-12
    assert es_historical(returns, confidence) >= var_historical(returns, confidence) - slack
    assert es_normal(returns, confidence) >= var_normal(returns, confidence) - slack
    assert es_cornish_fisher(returns, confidence) >= var_cornish_fisher(returns, confidence) - slack


@given(RETURNS, st.floats(0.01, 100), CONFIDENCE)
def test_risk_scales_with_the_position(returns: list[float], scale: float, confidence: float) -> None:
    larger = [value * scale for value in returns]
    for measure in (var_historical, var_normal, es_historical, es_normal):
        assert measure(larger, confidence) == pytest.approx(scale * measure(returns, confidence), rel=1e-6, abs=1e-9)  # type: ignore[operator]


@given(st.lists(st.tuples(st.floats(-0.2, 0.2), st.floats(-0.2, 0.2)), min_size=20, max_size=100), CONFIDENCE)
def test_shortfall_of_a_sum_is_at_most_the_sum_of_shortfalls(pairs: list[tuple[float, float]], confidence: float) -> None:
    first, second = ([pair[at] for pair in pairs] for at in (0, 1))
    together = es_historical([a + b for a, b in pairs], confidence, "acerbi")
    assert together <= es_historical(first, confidence, "acerbi") + es_historical(second, confidence, "acerbi") + 1e-12


@given(RETURNS)
def test_more_confidence_means_no_smaller_loss(returns: list[float]) -> None:
    losses = [var_historical(returns, confidence) for confidence in (0.9, 0.95, 0.975, 0.99)]
    assert losses == sorted(losses)


@given(st.floats(-3, 3), st.floats(-2, 12))
def test_the_flag_says_where_the_corrected_quantile_rises(skewness: float, kurtosis: float) -> None:
    z = np.linspace(-60, 60, 20_001)
    rising = bool((np.diff(cornish_fisher_quantile(z, skewness, kurtosis)) > -1e-9).all())  # type: ignore[arg-type]
    if cornish_fisher_monotone(skewness, kurtosis):
        assert rising


def test_moments_of_a_series_that_does_not_move() -> None:
    assert moments([0.01] * 5) == (0.0, 0.0)


def test_simulation_agrees_with_the_closed_form_within_four_standard_errors() -> None:
    returns = np.random.default_rng(1).normal(0.0005, 0.01, 500).tolist()
    found = var_monte_carlo(returns, 0.99, paths=200_000, seed=3)
    assert abs(found["var"] - var_normal(returns, 0.99)) < 4 * found["standard_error"]
    assert found["es"] == pytest.approx(es_normal(returns, 0.99), rel=0.03)
    assert found == var_monte_carlo(returns, 0.99, paths=200_000, seed=3)


def test_joint_paths_have_the_covariance_asked_for_even_when_it_is_singular() -> None:
    covariance = np.array([[4.0, 2.0, 4.0], [2.0, 1.0, 2.0], [4.0, 2.0, 9.0]]) * 1e-4
    paths = normal_paths(mean=np.array([0.0, 0.001, 0.0]), covariance=covariance, paths=100_000, seed=5)
    assert np.cov(paths.T) == pytest.approx(covariance, abs=1e-5)
    assert paths.mean(axis=0) == pytest.approx([0.0, 0.001, 0.0], abs=1e-12)  # antithetic pairs cancel
    with pytest.raises(InvalidInput):
        normal_paths(mean=np.zeros(1), covariance=np.eye(1), paths=100, seed=5)


def test_filtered_history_judges_by_todays_volatility() -> None:
    random = np.random.default_rng(2)
    calm, wild = random.normal(0, 0.005, 400), random.normal(0, 0.03, 100)
    after_storm = var_filtered_historical(np.concatenate([calm, wild]).tolist(), 0.95)
    after_calm = var_filtered_historical(np.concatenate([wild, calm]).tolist(), 0.95)
    assert after_storm == pytest.approx(0.03 * -NormalDist().inv_cdf(0.05), rel=0.3)
    assert after_calm == pytest.approx(0.005 * -NormalDist().inv_cdf(0.05), rel=0.3)


def test_rescaling_knows_nothing_of_the_period_itself() -> None:
    """A shock in the last period must not shrink itself: its own volatility is the one from before."""
    returns = np.full(50, 0.01)
    returns[-1] = -0.2
    assert rescaled(returns)[-1] < -0.2


@settings(max_examples=50)
@given(st.lists(st.floats(-0.3, 0.3), max_size=120))
def test_the_table_holds_every_fall_once_and_the_deepest_first(returns: list[float]) -> None:
    table = drawdown_table(returns, top=len(returns))
    assert [row["depth"] for row in table] == sorted(row["depth"] for row in table)
    assert len(table) == len(falls(returns))
    if table:
        assert table[0]["depth"] == maximum_drawdown(returns)
    for row in table:
        assert row["start"] <= row["trough"]
        assert row["recovery"] is None or row["length"] == row["recovery"] - row["start"] + 1 == row["to_trough"] + row["to_recovery"]


def test_what_nothing_is_known_about_is_left_out_and_counted() -> None:
    """V-B5-3."""
    found = replayed({"OLD": 60_000.0, "NEW": 30_000.0, "YOUNG": -10_000.0}, {"OLD": -0.5}, {"NEW": -0.4})
    assert (found.pnl, found.excluded, found.proxied) == (pytest.approx(-42_000), ("YOUNG",), ("NEW",))
    assert found.coverage == pytest.approx(0.9)


def test_curvature_softens_or_worsens_a_shock() -> None:
    straight = hypothetical([100.0], [{"equity": 1.0}], {"equity": -0.2})
    curved = hypothetical([100.0], [{"equity": 1.0}], {"equity": -0.2}, [{"equity": 2.0}])
    assert (straight["pnl"], curved["pnl"]) == pytest.approx((-20.0, -16.0))


@given(st.integers(0, 2**32 - 1))
def test_the_reverse_stress_costs_what_was_asked_and_nothing_nearer_does(seed: int) -> None:
    random = np.random.default_rng(seed)
    root = random.normal(size=(4, 4))
    covariance, held = root @ root.T + np.eye(4), random.normal(size=4)
    found = reverse(held.tolist(), covariance.tolist(), 5.0)
    assert held @ found["shock"] == pytest.approx(-5.0)
    assert found["shock"] @ np.linalg.solve(covariance, found["shock"]) == pytest.approx(found["distance"] ** 2)
