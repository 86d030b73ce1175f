"""Recommended weights: on the simplex, and no better ones nearby."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.errors import InsufficientData, InvalidInput
from apps.marketdata.domain.weights import (
    Optimizer,
    covariance_of,
    inverse_volatility,
    mean_variance,
    min_variance,
    simplex_projection,
    weights_of,
)


def covariance(count: int, seed: int) -> np.ndarray:
    factor = np.random.default_rng(seed).normal(0, 0.2, (count, count))
    return factor @ factor.T + 0.01 * np.eye(count)


@given(st.integers(1, 30), st.integers(0, 50), st.sampled_from(list(Optimizer)))
def test_weights_are_long_only_and_sum_to_one(count, seed, optimizer) -> None:
    scores = np.sort(np.random.default_rng(seed).normal(0, 1, count))[::-1]
    weights = weights_of(optimizer, scores, covariance(count, seed))
    assert weights.sum() == pytest.approx(1.0, abs=1e-12)
    assert (weights >= 0).all()


@given(st.integers(2, 20), st.integers(0, 50))
def test_no_shift_between_two_weights_improves_the_optimum(count, seed) -> None:
    matrix = covariance(count, seed)
    gain = np.random.default_rng(seed).normal(0, 0.1, count)
    for weights, slope in (
        (min_variance(matrix), lambda w: -matrix @ w),
        (mean_variance(gain, matrix, 3.0), lambda w: gain / 3.0 - matrix @ w),
    ):
        gradient = slope(weights)
        held = weights > 1e-9
        assert gradient.max() - gradient[held].min() < 1e-6


def test_two_uncorrelated_instruments_by_hand() -> None:
    matrix = np.diag([0.04, 0.01])
    assert min_variance(matrix) == pytest.approx([0.2, 0.8], abs=1e-9)
    assert inverse_volatility(matrix) == pytest.approx([1 / 3, 2 / 3])
    assert weights_of(Optimizer.RANK_BASED, np.array([3.0, 2.0, 1.0])) == pytest.approx([3 / 6, 2 / 6, 1 / 6])


def test_the_projection_is_the_nearest_point() -> None:
    assert simplex_projection(np.array([0.5, 0.5])) == pytest.approx([0.5, 0.5])
    assert simplex_projection(np.array([2.0, 0.0])) == pytest.approx([1.0, 0.0])


def test_what_cannot_be_used_is_refused() -> None:
    with pytest.raises(InvalidInput, match="rank_based, equal, inverse_volatility, min_variance, mvo"):
        Optimizer.parse("magic")
    with pytest.raises(InvalidInput):
        min_variance([[1.0, 2.0], [0.0, 1.0]])
    with pytest.raises(InsufficientData, match="59"):
        covariance_of(np.zeros((59, 2)))
