"""How much a portfolio moves, by three estimates of the covariance, and how much of it with a benchmark. Nothing is annualised here."""

import math
from dataclasses import dataclass

import numpy as np

from apps.core.errors import InsufficientData
from apps.risk.domain.contributions import Sample
from apps.risk.domain.risk_numbers import Numbers
from apps.risk.domain.simulation import DAILY_DECAY

#: Sessions over which the shrunk covariance is estimated: further back the noise that it takes out is small.
SHRUNK_OVER = 250


def ewma_variances(pnl: Numbers, decay: float = DAILY_DECAY) -> Numbers:
    """Variance before each session and, last, for the next one [n + 1]: what `simulation.rescaled` divides by, of one series.

    In Python's own floats, which a recursion over one series is ten times faster in.
    """
    squares = pnl**2
    found = [float(squares.mean())]
    for square in squares.tolist():
        found.append(decay * found[-1] + (1 - decay) * square)
    return np.array(found)


def ewma_volatility(pnl: Numbers) -> float:
    """Standard deviation of the next session's profit and loss: w' S w of the exponentially weighted covariance is that of the series."""
    return math.sqrt(float(ewma_variances(pnl)[-1]))


def shrunk_volatility(found: Sample) -> float:
    """Standard deviation of profit and loss with Ledoit and Wolf's covariance of the last sessions, and without making that matrix."""
    rows, held = found.rows[-SHRUNK_OVER:], found.held
    shrinkage: Shrinkage = found.matrix.derive("shrinkage", rows, held, lambda: shrinkage_of(found.matrix.filled[np.ix_(rows, held)]))
    return math.sqrt(shrinkage.variance(found.weights[held]))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shrinkage:
    """Centred rows [n, N], how far their covariance is shrunk (0 to 1), and the mean variance that it is shrunk to."""

    centred: Numbers
    shrinkage: float
    mean_variance: float

    def variance(self, weights: Numbers) -> float:
        """w' S w of the shrunk covariance."""
        moved = self.centred @ weights
        sample_variance, spread = float(moved @ moved) / len(moved), self.mean_variance * float(weights @ weights)
        return (1 - self.shrinkage) * sample_variance + self.shrinkage * spread


def shrinkage_of(returns: Numbers) -> Shrinkage:
    """The S of `covariance.ledoit_wolf`, of complete rows [n, N]: sums of squares over N x N come from the n x n products."""
    count, assets = returns.shape
    centred = returns - returns.mean(axis=0)
    products = centred @ centred.T
    lengths = np.diag(products)
    mean_variance = float(lengths.sum()) / (count * assets)
    squared = float((products**2).sum()) / count**2  # the sum of the sample covariance's squares
    distance = squared / assets - mean_variance**2
    noise = (float((lengths**2).sum()) / count - squared) / (assets * count)
    shrinkage = 0.0 if distance <= 0 else min(max(noise, 0.0), distance) / distance
    return Shrinkage(centred=centred, shrinkage=shrinkage, mean_variance=mean_variance)


def beta(pnl: Numbers, benchmark: Numbers) -> tuple[float, int]:
    """Money that the portfolio moves per 1.0 of the benchmark's return, by least squares, and the sessions that both have [n].

    Raises InsufficientData when the benchmark does not move in any of them.
    """
    both = ~np.isnan(benchmark)
    mine, its = pnl[both], benchmark[both]
    centred = its - its.mean() if its.size else its
    variance = float(centred @ centred)
    if not variance > 0:
        raise InsufficientData("the benchmark has no return, or does not move", field="benchmark")
    return float(centred @ mine) / variance, int(its.size)
