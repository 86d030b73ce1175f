"""Covariances and correlations against a second computation, written out period by period. Published cases are in fixtures/vectors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.errors import InvalidInput
from apps.risk.domain.covariance import correlation, ewma, ledoit_wolf, nearest_correlation, sample_covariance

X = np.array(
    [[.012, .008, -.003], [-.008, -.004, .002], [.005, .007, .001], [-.021, -.012, .006], [.017, .009, -.002],
     [.003, -.001, 0], [-.034, -.02, .009], [.009, .004, .001], [.011, .01, -.004], [-.006, -.007, .003]]
)  # fmt: skip
SEEDS = st.integers(0, 2**32 - 1)


def test_ewma_updates_period_by_period() -> None:
    """V-B3-2."""
    expected = np.outer(X[0], X[0])
    for row in X[1:]:
        expected = 0.94 * expected + 0.06 * np.outer(row, row)
    found = ewma(X, 0.94)
    assert found == pytest.approx(expected)
    assert [found[0, 0], found[0, 1], found[1, 2]] == pytest.approx([1.8811416947e-4, 1.1908761473e-4, -2.9819204753e-5], rel=1e-9)


def test_a_seed_of_another_size_is_refused() -> None:
    with pytest.raises(InvalidInput) as refused:
        ewma(X, 0.94, [[1e-4]])
    assert refused.value.field == "seed"


def test_shrinkage_as_the_paper_writes_it() -> None:
    """V-B3-3, and Ledoit and Wolf's estimator by its definition: sums over periods of squared distances."""
    found = ledoit_wolf(X)
    covariance = found["covariance"]
    assert [covariance[0, 0], covariance[0, 1], covariance[2, 2]] == pytest.approx([2.0525012345e-4, 1.0745865980e-4, 3.8876865274e-5], rel=1e-9)
    centred = X - X.mean(axis=0)
    sample = sum(np.outer(row, row) for row in centred) / len(X)
    target = np.trace(sample) / 3 * np.eye(3)
    distance = ((sample - target) ** 2).sum() / 3
    noise = sum(((np.outer(row, row) - sample) ** 2).sum() / 3 for row in centred) / len(X) ** 2
    assert found["shrinkage"] == pytest.approx(min(noise, distance) / distance)
    assert np.trace(covariance) == pytest.approx(np.trace(sample))


def test_sample_covariance_is_numpys() -> None:
    assert sample_covariance(X) == pytest.approx(np.cov(X.T))


def test_rows_with_a_gap_are_dropped_together() -> None:
    gap = X.copy()
    gap[3, 1] = np.nan
    assert sample_covariance(gap) == pytest.approx(np.cov(np.delete(X, 3, axis=0).T))


@given(SEEDS)
def test_a_repaired_correlation_is_one(seed: int) -> None:
    random = np.random.default_rng(seed)
    guess = random.uniform(-1, 1, (6, 6))
    guess = (guess + guess.T) / 2
    np.fill_diagonal(guess, 1.0)
    matrix, repaired = nearest_correlation(guess)
    assert np.linalg.eigvalsh(matrix).min() > -1e-8
    assert np.allclose(np.diag(matrix), 1.0)
    assert np.array_equal(matrix, matrix.T)
    assert repaired == (np.linalg.eigvalsh(guess).min() < -1e-10)


def test_what_is_a_correlation_stays_as_it_is() -> None:
    given_one = correlation(sample_covariance(X))
    found, repaired = nearest_correlation(given_one)
    assert not repaired
    assert found == pytest.approx(given_one)
