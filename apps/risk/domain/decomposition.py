"""Whose risk it is: marginal, component, standalone and incremental value at risk (domain.md B2).

Value at risk is positively homogeneous in the positions, so by Euler's theorem components sum to the total exactly.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apps.core.errors import InvalidInput
from apps.core.measures import measure
from apps.risk.domain.covariance import observations, sample_covariance

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Decomposition:
    """Value at risk `total` and by position [N], in the unit of the positions; `diversification` is what the positions save each other."""

    total: float
    marginal: Numbers
    component: Numbers
    standalone: Numbers

    @property
    def diversification(self) -> float:
        return float(self.standalone.sum()) - self.total


def decomposed(positions: Numbers, covariance: Numbers, z: float, means: Numbers | None = None) -> Decomposition:
    """Normal value at risk of positions [N] (weights or money) with a covariance [N, N] of returns, at z standard deviations (> 0).

    With `means` [N] the expected return counts against the loss. A portfolio without risk has marginals of zero.
    """
    drift = np.zeros_like(positions) if means is None else means
    covaried = covariance @ positions
    variance = float(positions @ covaried)
    deviation = float(np.sqrt(max(variance, 0.0)))
    marginal = (z * covaried / deviation if deviation > 0 else np.zeros_like(positions)) - drift
    return Decomposition(
        total=z * deviation - float(drift @ positions),
        marginal=marginal,
        component=positions * marginal,
        standalone=z * np.abs(positions) * np.sqrt(np.diag(covariance)),
    )


def incremental(positions: Numbers, trade: Numbers, covariance: Numbers, z: float) -> tuple[float, float]:
    """What a trade [N] adds to value at risk: exactly, and to first order (marginal x trade)."""
    before, after = decomposed(positions, covariance, z), decomposed(positions + trade, covariance, z)
    return after.total - before.total, float(before.marginal @ trade)


def historical_components(positions: Numbers, returns: Numbers, confidence: float) -> tuple[float, float, Numbers]:
    """Historical value at risk and expected shortfall of positions [N] over returns [T, N], and each position's part of the shortfall [N].

    The parts are means over the same tail scenarios, so they sum to the shortfall.
    """
    portfolio = returns @ positions
    threshold = float(np.quantile(portfolio, round(1 - confidence, 12)))
    tail = portfolio <= threshold + 1e-12 * abs(threshold)
    parts = -positions * returns[tail].mean(axis=0)
    return -threshold, float(parts.sum()), parts


@measure(
    "risk.var.decompose",
    units="as the positions: money, or fractions for weights; loss > 0",
    convention="marginal = z (S w)_i / sigma_p (- mu_i with use_mean), component = w_i x marginal_i, standalone = z |w_i| sigma_i",
    source="Jorion, Value at Risk, chapter 7",
)
def decompose(
    returns: Sequence[Any] | None = None,
    covariance: Sequence[Any] | None = None,
    weights: Sequence[float] | None = None,
    positions: Sequence[float] | None = None,
    confidence: float | None = None,
    z: float | None = None,
    use_mean: bool = False,
    ddof: int = 1,
) -> dict[str, Any]:
    """Value at risk by position: {total, marginal[], component[], standalone[], diversification}.

    Give `returns` (rows = time) or a `covariance`, `weights` or `positions`, a `confidence` or a `z`, one of each pair. Raises
    InvalidInput which names what is missing, given twice, or of another size.
    """
    held = np.asarray(_one("weights", weights, "positions", positions), dtype=np.float64)
    _one("returns", returns, "covariance", covariance)
    level = float(_one("confidence", confidence, "z", z))
    if confidence is not None:
        if not 0 < level < 1:
            raise InvalidInput(f"confidence {confidence} is not between 0 and 1", field="confidence")
        level = NormalDist().inv_cdf(level)
    if use_mean and returns is None:
        raise InvalidInput("means are known from returns only", field="use_mean")
    matrix = np.asarray(covariance, dtype=np.float64) if returns is None else sample_covariance(returns, ddof)
    if held.ndim != 1 or matrix.shape != (held.size, held.size):
        raise InvalidInput(f"{held.size} positions need a covariance of that size, it is {matrix.shape}", field="weights")
    means = observations(returns).mean(axis=0) if use_mean and returns is not None else None
    found = decomposed(held, matrix, level, means)
    return {
        "total": found.total,
        "marginal": found.marginal,
        "component": found.component,
        "standalone": found.standalone,
        "diversification": found.diversification,
    }


def _one(first: str, one: Any, second: str, other: Any) -> Any:
    if (one is None) == (other is None):
        raise InvalidInput(f"give {first} or {second}, and not both", field=first)
    return other if one is None else one
