"""Covariance of returns: sample, exponentially weighted, shrunk; and correlation matrices that are what they claim to be (domain.md B3).

Returns are [T, N], rows are periods. Rows with a NaN are dropped. Nothing is annualised.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from apps.core.errors import InsufficientData, InvalidInput
from apps.core.measures import measure

Matrix = NDArray[np.float64]


def observations(returns: ArrayLike) -> Matrix:
    """Complete rows [T, N] of returns; one series becomes one column. Raises InsufficientData without a row, InvalidInput for another shape."""
    values = np.asarray(returns, dtype=np.float64)
    if values.ndim == 1:
        values = values[:, None]
    if values.ndim != 2:
        raise InvalidInput("returns are a table: a row for each period, a column for each asset", field="returns")
    values = values[~np.isnan(values).any(axis=1)]
    if not values.size:
        raise InsufficientData("no complete row of returns is left after dropping NaN", field="returns")
    if not np.isfinite(values).all():
        raise InvalidInput("a return is infinite", field="returns")
    return values


def sample_covariance(returns: ArrayLike, ddof: int = 1) -> Matrix:
    """Covariance [N, N] around the means. Raises InsufficientData for no more rows than `ddof`."""
    values = observations(returns)
    if len(values) <= ddof:
        raise InsufficientData(f"{len(values)} rows give no covariance with ddof {ddof}", field="returns")
    centred = values - values.mean(axis=0)
    return np.asarray(centred.T @ centred / (len(values) - ddof))


@measure(
    "risk.covariance.ewma",
    units="squared return per period",
    convention="S = decay S + (1 - decay) r r', zero mean; with a seed every row updates, without one the first row's r r' is the seed",
    source="J.P. Morgan/Reuters, RiskMetrics Technical Document, 4th edition (1996), 5.2",
)
def ewma(returns: Sequence[Any], decay: float, seed: Any = None) -> Any:
    """Exponentially weighted covariance after the last row: a matrix [N, N].

    One series with a number as seed (or none) gives a number. Raises InvalidInput unless 0 < decay < 1 and the seed fits.
    """
    if not 0 < decay < 1:
        raise InvalidInput(f"decay {decay} is not between 0 and 1", field="decay")
    values = observations(returns)
    start = None if seed is None else np.atleast_2d(np.asarray(seed, dtype=np.float64))
    if start is not None and start.shape != (values.shape[1],) * 2:
        raise InvalidInput(f"a seed for {values.shape[1]} assets is a square matrix of that size", field="seed")
    found = _weighted(values if start is not None else values[1:], decay, np.outer(values[0], values[0]) if start is None else start)
    scalar = np.ndim(returns) == 1 and (seed is None or np.ndim(seed) == 0)
    return float(found[0, 0]) if scalar else found


def _weighted(values: Matrix, decay: float, start: Matrix) -> Matrix:
    weights = (1 - decay) * decay ** np.arange(len(values) - 1, -1, -1)
    return np.asarray(decay ** len(values) * start + (values * weights[:, None]).T @ values)


@measure(
    "risk.covariance.ledoit_wolf",
    units="shrinkage a fraction, covariance in squared return per period",
    convention="(1 - d) S + d mu I, S with 1/n around the means, mu = trace(S) / N",
    source="Ledoit and Wolf (2004), A well-conditioned estimator for large-dimensional covariance matrices",
)
def ledoit_wolf(returns: Sequence[Any]) -> dict[str, Any]:
    """Covariance shrunk towards a multiple of the identity: {shrinkage, covariance}."""
    values = observations(returns)
    periods, assets = values.shape
    centred = values - values.mean(axis=0)
    sample = centred.T @ centred / periods
    mean_variance = float(np.trace(sample)) / assets
    distance = float((sample**2).sum()) / assets - mean_variance**2
    squares = centred**2
    noise = float((squares.T @ squares / periods - sample**2).sum()) / (assets * periods)
    shrinkage = 0.0 if distance <= 0 else min(max(noise, 0.0), distance) / distance
    shrunk = (1 - shrinkage) * sample
    shrunk.flat[:: assets + 1] += shrinkage * mean_variance
    return {"shrinkage": shrinkage, "covariance": shrunk}


def correlation(covariance: Matrix) -> Matrix:
    """Correlation of a covariance [N, N]: symmetric, unit diagonal; 0 for an asset that does not move."""
    deviations = np.sqrt(np.diag(covariance))
    scale = np.divide(1.0, deviations, out=np.zeros_like(deviations), where=deviations > 0)
    found = covariance * np.outer(scale, scale)
    np.fill_diagonal(found, 1.0)
    return np.asarray(np.clip((found + found.T) / 2, -1.0, 1.0))


def nearest_correlation(matrix: Matrix, floor: float = 1e-10) -> tuple[Matrix, bool]:
    """A positive semi-definite correlation matrix near the given one, by clipping eigenvalues, and whether anything was repaired.

    Pairwise estimates from histories of different lengths need not be positive semi-definite; then sums of risk would be imaginary.
    """
    symmetric = (np.asarray(matrix, np.float64) + np.asarray(matrix, np.float64).T) / 2
    values, vectors = np.linalg.eigh(symmetric)
    if values.min() >= -floor:
        return correlation(symmetric), False
    return correlation(np.asarray((vectors * np.maximum(values, floor)) @ vectors.T)), True
