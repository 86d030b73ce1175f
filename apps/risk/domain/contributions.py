"""Whose risk it is, from the returns themselves: no covariance of N x N is made, so that the cost grows with the positions and not their square.

With c the centred profit and loss of the portfolio, X'c / n is the covariance of each position's return with it: all that Euler's
allocation needs. On small portfolios `decomposition.decomposed` gives the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from apps.risk.domain.risk_numbers import Numbers, ReturnMatrix, Rows
from apps.risk.domain.value_at_risk import STANDARD_NORMAL

#: A variance this small beside the squares that it is the difference of is rounding.
ROUNDING = 1e-13


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sample:
    """Positions on the sessions in which each of them has a return: `weights` [N] in money by column of the matrix, `rows` [n] of it,
    `pnl` [n] the profit and loss of each such session had these positions been held.
    """

    matrix: ReturnMatrix
    weights: Numbers
    rows: Rows
    pnl: Numbers

    @property
    def held(self) -> Rows:
        """Columns of what is held."""
        return np.flatnonzero(self.weights)

    @property
    def whole(self) -> bool:
        """Whether no session was left out."""
        return len(self.rows) == len(self.matrix)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Contributions:
    """Normal value at risk `total` in money and each position's part in it [K], a loss positive.

    `marginal` per unit of money, `component` = value x marginal, which sum to `total` (Euler); `standalone` of the position alone;
    `incremental` is what the total loses when the position is closed, exactly; `shortfall` are parts of the historical expected shortfall,
    means over the same tail sessions, which sum to `shortfall_total`.
    """

    confidence: float
    symbols: tuple[str, ...]
    values: Numbers
    total: float
    marginal: Numbers
    component: Numbers
    standalone: Numbers
    incremental: Numbers
    shortfall: Numbers
    shortfall_total: float

    @property
    def diversification(self) -> float:
        """What the positions save each other."""
        return float(self.standalone.sum()) - self.total


def sample(values: Mapping[str, float], matrix: ReturnMatrix) -> Sample:
    """Positions in money by symbol (short negative) on the matrix, which has a column for each. Raises KeyError for one without."""
    weights = np.zeros(len(matrix.symbols))
    weights[[matrix.columns[symbol] for symbol in values]] = list(values.values())
    rows, columns = matrix.gaps
    complete = np.ones(len(matrix), bool)
    complete[rows[weights[columns] != 0]] = False
    kept = np.flatnonzero(complete)
    pnl = matrix.filled @ weights
    return Sample(matrix=matrix, weights=weights, rows=kept, pnl=pnl if len(kept) == len(pnl) else pnl[kept])


def contributions(found: Sample, confidences: tuple[float, ...]) -> tuple[Contributions, ...]:
    """Parts in the risk at each confidence, of a sample with at least one session."""
    held = found.held
    values, count = found.weights[held], found.pnl.size
    mean = float(found.pnl.mean())
    covariance = _covariance_with(found, found.pnl - mean)[held]
    means, variances = (moment[held] for moment in _moments(found))
    deviation = float(found.pnl.std())
    return tuple(_at(found, confidence, held, values, mean, deviation, covariance / count, means, variances) for confidence in confidences)


def _at(
    found: Sample,
    confidence: float,
    held: Rows,
    values: Numbers,
    mean: float,
    deviation: float,
    covariance: Numbers,
    means: Numbers,
    variances: Numbers,
) -> Contributions:
    z = -STANDARD_NORMAL.inv_cdf(round(1 - confidence, 12))
    total = z * deviation - mean
    marginal = (z * covariance / deviation if deviation > 0 else np.zeros_like(values)) - means
    own = values**2 * variances
    left = deviation**2 - 2 * values * covariance + own
    left = np.where(left > ROUNDING * (deviation**2 + own), left, 0.0)
    shortfall = -values * _tail_means(found, confidence)[held]
    return Contributions(
        confidence=confidence,
        symbols=tuple(found.matrix.symbols[column] for column in held.tolist()),
        values=values,
        total=total,
        marginal=marginal,
        component=values * marginal,
        standalone=z * np.sqrt(own) - values * means,
        incremental=total - (z * np.sqrt(left) - (mean - values * means)),
        shortfall=shortfall,
        shortfall_total=float(shortfall.sum()),
    )


def _covariance_with(found: Sample, centred: Numbers) -> Numbers:
    """Sum over the sessions of return x centred profit and loss, by column [N]."""
    if found.whole:
        return np.asarray(centred @ found.matrix.filled)
    spread = np.zeros(len(found.matrix))
    spread[found.rows] = centred
    return np.asarray(spread @ found.matrix.filled)


def _moments(found: Sample) -> tuple[Numbers, Numbers]:
    """Mean and population variance of each column's return over the sample's sessions [N]."""
    sums, squares = found.matrix.sums
    if not found.whole:
        left_out = np.delete(np.arange(len(found.matrix)), found.rows)
        if len(left_out) < len(found.rows):
            gone = found.matrix.filled[left_out]
            sums, squares = sums - gone.sum(axis=0), squares - np.einsum("ij,ij->j", gone, gone)
        else:
            kept = found.matrix.filled[found.rows]
            sums, squares = kept.sum(axis=0), np.einsum("ij,ij->j", kept, kept)
    means = sums / found.pnl.size
    return means, np.maximum(squares / found.pnl.size - means**2, 0.0)


def _tail_means(found: Sample, confidence: float) -> Numbers:
    """Mean return of each column over the sessions at or below the historical quantile [N]."""
    threshold = float(np.quantile(found.pnl, round(1 - confidence, 12)))
    tail = found.rows[found.pnl <= threshold + 1e-12 * abs(threshold)]
    return np.asarray(found.matrix.filled[tail].mean(axis=0))
