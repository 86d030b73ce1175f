"""Target weights of a long-only portfolio from scores and a covariance: five ways, each the same for the same input.

Weights are fractions, none below 0, and sum to 1. Covariances are of yearly returns.
"""

from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from apps.core.errors import InsufficientData, InvalidInput
from apps.core.measures import measure

Numbers = NDArray[np.float64]

SESSIONS_PER_YEAR = 252
#: Part of the covariance that is replaced by its diagonal: few returns tell little about many pairs (Ledoit and Wolf, 2004, fixed share).
SHRINKAGE = 0.1
#: How much a score of one deviation is expected to earn, in deviations of the return (Grinold's information coefficient).
SKILL = 0.05
#: Aversion to variance of the mean-variance optimiser.
AVERSION = 5.0
STEPS = 20_000
TOLERANCE = 1e-12


class Optimizer(StrEnum):
    """How recommended weights are made."""

    RANK_BASED = "rank_based"
    EQUAL = "equal"
    INVERSE_VOLATILITY = "inverse_volatility"
    MIN_VARIANCE = "min_variance"
    MVO = "mvo"

    @property
    def needs_returns(self) -> bool:
        """True when it cannot do without a covariance."""
        return self not in (Optimizer.RANK_BASED, Optimizer.EQUAL)

    @classmethod
    def parse(cls, name: str) -> "Optimizer":
        """The optimiser of a name. Raises InvalidInput which lists the names."""
        try:
            return cls(name)
        except ValueError as error:
            raise InvalidInput(f"{name!r} is none of {', '.join(cls)}", field="optimizer") from error


def covariance_of(returns: Numbers) -> Numbers:
    """Sample covariance of yearly returns from daily ones [T, N], shrunk towards its diagonal [N, N].

    Only days on which all instruments have a return count. Raises InsufficientData below 60 of them.
    """
    complete = returns[~np.isnan(returns).any(axis=1)]
    if len(complete) < 60:
        raise InsufficientData(f"{len(complete)} common returns are too few for a covariance, which needs 60", field="optimizer")
    sample = np.atleast_2d(np.cov(complete, rowvar=False)) * SESSIONS_PER_YEAR
    return np.asarray((1 - SHRINKAGE) * sample + SHRINKAGE * np.diag(np.diag(sample)))


def weights_of(optimizer: Optimizer, scores: Numbers, covariance: Numbers | None = None) -> Numbers:
    """Weights [N] of instruments given best first. Raises InvalidInput when the optimiser needs a covariance and none is given."""
    if not len(scores):
        return np.empty(0)
    if optimizer is Optimizer.EQUAL:
        return np.full(len(scores), 1 / len(scores))
    if optimizer is Optimizer.RANK_BASED:
        return rank_weights(len(scores))
    if covariance is None:
        raise InvalidInput(f"{optimizer} needs a covariance", field="optimizer")
    if optimizer is Optimizer.INVERSE_VOLATILITY:
        return inverse_volatility(covariance)
    if optimizer is Optimizer.MIN_VARIANCE:
        return min_variance(covariance)
    return mean_variance(SKILL * np.sqrt(np.diag(covariance)) * scores, covariance)


def rank_weights(count: int) -> Numbers:
    """Weights that fall in a straight line from the best to the last: n, n - 1, ... 1 over their sum."""
    line = np.arange(count, 0, -1, dtype=float)
    return np.asarray(line / line.sum())


@measure(
    "marketdata.weights.inverse_volatility",
    units="fraction",
    convention="1 / deviation over the sum of these",
    source="Maillard, Roncalli and Teiletche (2010)",
)
def inverse_volatility(covariance: ArrayLike) -> Numbers:
    """Weights by the inverse of each deviation. Raises InvalidInput for a variance that is not positive."""
    deviation = np.sqrt(np.diag(_matrix(covariance)))
    return np.asarray(1 / deviation / (1 / deviation).sum())


@measure("marketdata.weights.min_variance", units="fraction", convention="long-only, sum 1: least w'Cw", source="Markowitz (1952)")
def min_variance(covariance: ArrayLike) -> Numbers:
    """Weights of the long-only portfolio of least variance."""
    matrix = _matrix(covariance)
    return _on_simplex(np.zeros(len(matrix)), matrix)


@measure(
    "marketdata.weights.mean_variance",
    units="fraction",
    convention="long-only, sum 1: most w'm - aversion / 2 w'Cw, m and C per year",
    source="Markowitz (1952)",
)
def mean_variance(expected: ArrayLike, covariance: ArrayLike, aversion: float = AVERSION) -> Numbers:
    """Weights of the long-only portfolio of the best trade-off. Raises InvalidInput for an aversion that is not positive."""
    matrix, gain = _matrix(covariance), np.asarray(expected, float)
    if not aversion > 0 or len(gain) != len(matrix):
        raise InvalidInput("an aversion is above 0, and each instrument has one expected return", field="aversion")
    return _on_simplex(gain / aversion, matrix)


def _matrix(covariance: ArrayLike) -> Numbers:
    matrix = np.asarray(covariance, float)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not np.allclose(matrix, matrix.T) or not (np.diag(matrix) > 0).all():
        raise InvalidInput("a covariance is square and symmetric, with variances above 0", field="covariance")
    return matrix


def _on_simplex(gain: Numbers, matrix: Numbers) -> Numbers:
    """Largest w'gain - w'Cw / 2 over weights >= 0 that sum to 1: projected gradient with momentum (Beck and Teboulle, 2009)."""
    step = 1 / float(np.linalg.eigvalsh(matrix)[-1])
    weights = ahead = np.full(len(gain), 1 / len(gain))
    pace = 1.0
    for _ in range(STEPS):
        moved = simplex_projection(ahead + step * (gain - matrix @ ahead))
        if float((ahead - moved) @ (moved - weights)) > 0:  # overshot: begin the momentum anew
            pace = 1.0
        faster = (1 + np.sqrt(1 + 4 * pace * pace)) / 2
        ahead = moved + (pace - 1) / faster * (moved - weights)
        if np.abs(moved - weights).max() < TOLERANCE and np.abs(moved - simplex_projection(moved + step * (gain - matrix @ moved))).max() < TOLERANCE:
            return moved
        weights, pace = moved, float(faster)
    return weights


def simplex_projection(point: Numbers) -> Numbers:
    """The nearest point with no part below 0 and the sum 1 (Held, Wolfe and Crowder, 1974)."""
    ordered = np.sort(point)[::-1]
    excess = (np.cumsum(ordered) - 1) / np.arange(1, len(point) + 1)
    return np.asarray(np.maximum(point - excess[np.flatnonzero(ordered > excess)[-1]], 0.0))
