"""Value at risk from simulated returns: drawn from a normal distribution, or history rescaled to today's volatility (domain.md B1)."""

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from apps.core.errors import InsufficientData, InvalidInput
from apps.core.measures import measure
from apps.risk.domain.value_at_risk import es_historical, tail_historical, var_historical

LEAST_PATHS = 10_000
DAILY_DECAY = 0.94


def normal_paths(*, mean: NDArray[np.float64], covariance: NDArray[np.float64], paths: int, seed: int) -> NDArray[np.float64]:
    """Joint normal returns [paths, N], antithetic in pairs, from PCG64 with this seed: equal on every machine.

    Raises InvalidInput for fewer than 10,000 paths.
    """
    if paths < LEAST_PATHS:
        raise InvalidInput(f"{paths} paths are too few: at least {LEAST_PATHS:,}", field="paths")
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    half = np.random.Generator(np.random.PCG64(seed)).standard_normal(((paths + 1) // 2, len(mean)))
    return np.asarray(mean + np.concatenate([half, -half])[:paths] @ root.T)


@measure(
    "risk.var.monte_carlo",
    units="fraction of value, loss > 0; standard error likewise",
    convention="normal with the mean and population deviation of the returns, antithetic pairs, PCG64",
    source="Glasserman, Monte Carlo Methods in Financial Engineering, chapter 9",
)
def var_monte_carlo(returns: Sequence[float], confidence: float, paths: int = 100_000, seed: int = 0) -> dict[str, float]:
    """Value at risk and expected shortfall of simulated normal returns: {var, es, standard_error}."""
    values = np.asarray(returns, np.float64)
    values = values[~np.isnan(values)]
    if not values.size:
        raise InsufficientData("no return is left after dropping NaN", field="returns")
    deviation = float(values.std())
    drawn = normal_paths(mean=np.array([values.mean()]), covariance=np.array([[deviation**2]]), paths=paths, seed=seed)[:, 0].tolist()
    var, es = tail_historical(drawn, confidence)
    return {"var": var, "es": es, "standard_error": quantile_error(confidence, paths) * deviation}


def quantile_error(confidence: float, paths: int) -> float:
    """Standard error of the simulated quantile of a standard normal from so many independent paths."""
    q = 1 - confidence
    density = NormalDist().pdf(NormalDist().inv_cdf(q))
    return math.sqrt(q * (1 - q) / paths) / density


def rescaled(returns: NDArray[np.float64], decay: float = DAILY_DECAY) -> NDArray[np.float64]:
    """Returns [T] or [T, N] as they would have been at today's volatility: r_t x sigma_(T+1) / sigma_t, sigma EWMA from before each period.

    The first variance is that of the whole series, so that the first returns are not blown up by an arbitrary start. A column that
    never moves stays zero.
    """
    if not 0 < decay < 1:
        raise InvalidInput(f"decay {decay} is not between 0 and 1", field="decay")
    variance = np.empty((len(returns) + 1, *returns.shape[1:]))
    variance[0] = (returns**2).mean(axis=0)
    for row, squares in enumerate(returns**2):
        variance[row + 1] = decay * variance[row] + (1 - decay) * squares
    ratio = np.divide(variance[-1], variance[:-1], out=np.zeros_like(returns), where=variance[:-1] > 0)
    return np.asarray(returns * np.sqrt(ratio))


@measure(
    "risk.var.filtered_historical",
    units="fraction of value, loss > 0",
    convention="historical value at risk of the returns rescaled by EWMA volatility to today's, linear quantile",
    source="Hull and White (1998); Barone-Adesi, Giannopoulos and Vosper (1999)",
)
def var_filtered_historical(returns: Sequence[float], confidence: float, decay: float = DAILY_DECAY) -> float:
    """Historical value at risk as if all of history had had today's volatility."""
    return var_historical(_filtered(returns, decay), confidence)


@measure(
    "risk.es.filtered_historical",
    units="fraction of value, loss > 0",
    convention="mean of the rescaled returns at or below their quantile",
    source="Barone-Adesi, Giannopoulos and Vosper (1999)",
)
def es_filtered_historical(returns: Sequence[float], confidence: float, decay: float = DAILY_DECAY) -> float:
    """Expected shortfall as if all of history had had today's volatility."""
    return es_historical(_filtered(returns, decay), confidence)


def _filtered(returns: Sequence[float], decay: float) -> list[float]:
    values = np.asarray(returns, np.float64)
    values = values[~np.isnan(values)]
    if not values.size:
        raise InsufficientData("no return is left after dropping NaN", field="returns")
    found: list[float] = rescaled(values, decay).tolist()
    return found
