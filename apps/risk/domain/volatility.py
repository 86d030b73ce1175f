"""How much a portfolio moves, by three estimates of the covariance, and how much of it with a benchmark. Nothing is annualised here."""

import math
from typing import cast

import numpy as np

from apps.core.errors import InsufficientData
from apps.risk.domain.contributions import Sample
from apps.risk.domain.covariance import ewma
from apps.risk.domain.risk_numbers import Numbers
from apps.risk.domain.simulation import DAILY_DECAY

#: Sessions over which the shrunk covariance is estimated: further back the noise that it takes out is small.
SHRUNK_OVER = 250


def ewma_volatility(pnl: Numbers, decay: float = DAILY_DECAY) -> float:
    """Standard deviation of the next session's profit and loss: w' S w of the exponentially weighted covariance is that of the series."""
    seed = float((pnl**2).mean())
    return math.sqrt(cast(float, ewma(cast("list[float]", pnl), decay, seed)))


def shrunk_volatility(found: Sample) -> float:
    """Standard deviation of profit and loss with Ledoit and Wolf's covariance of the last sessions, and without making that matrix."""
    returns = found.matrix.filled[found.rows[-SHRUNK_OVER:]]
    held = found.held
    return math.sqrt(shrunk_variance(returns if len(held) == returns.shape[1] else returns[:, held], found.weights[held]))


def shrunk_variance(returns: Numbers, weights: Numbers) -> float:
    """w' S w with the S of `covariance.ledoit_wolf`, of complete rows [n, N]: sums of squares over N x N come from the n x n products."""
    count, assets = returns.shape
    centred = returns - returns.mean(axis=0)
    products = centred @ centred.T
    lengths = np.diag(products)
    mean_variance = float(lengths.sum()) / (count * assets)
    squared = float((products**2).sum()) / count**2  # the sum of the sample covariance's squares
    distance = squared / assets - mean_variance**2
    noise = (float((lengths**2).sum()) / count - squared) / (assets * count)
    shrinkage = 0.0 if distance <= 0 else min(max(noise, 0.0), distance) / distance
    moved = centred @ weights
    sample_variance, spread = float(moved @ moved) / count, mean_variance * float(weights @ weights)
    return float((1 - shrinkage) * sample_variance + shrinkage * spread)


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
