"""Value at risk and expected shortfall of one series of simple period returns (domain.md B1).

Conventions of all: returns are fractions per period (0.01 = 1 %); NaN is dropped; the answer is a loss as a positive
fraction of value over one period (negative when even the tail gains); q = 1 - confidence; nothing is annualised.
An empty series raises InsufficientData. Minimum sample sizes belong to whoever publishes the number, not to the measure.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from apps.core.errors import InsufficientData, InvalidInput
from apps.core.measures import measure

Quantile = Literal[
    "linear", "inverted_cdf", "averaged_inverted_cdf", "closest_observation", "interpolated_inverted_cdf", "hazen", "weibull",
    "median_unbiased", "normal_unbiased", "lower", "higher", "midpoint", "nearest",
]  # fmt: skip
STANDARD_NORMAL = NormalDist()


@measure(
    "risk.var.historical",
    units="fraction of value, loss > 0",
    convention="minus the q-quantile of the returns, NumPy's method names, linear (type 7) by default",
    source="Hyndman and Fan (1996); numpy.quantile",
)
def var_historical(returns: Sequence[float], confidence: float, quantile: Quantile = "linear") -> float:
    """Historical value at risk. `inverted_cdf` answers with an observation (conservative)."""
    values, q = _observations(returns), _tail(confidence)
    try:
        return -float(np.quantile(values, q, method=quantile))
    except ValueError as error:
        raise InvalidInput(f"{quantile!r} is not a quantile method of NumPy", field="quantile") from error


@measure(
    "risk.var.normal",
    units="fraction of value, loss > 0",
    convention="-(mu + z_q sigma), population deviation (ddof 0) by default",
    source="J.P. Morgan/Reuters, RiskMetrics (1996); PerformanceAnalytics VaR(method='gaussian')",
)
def var_normal(returns: Sequence[float], confidence: float, ddof: int = 0) -> float:
    """Value at risk of a normal distribution with the mean and deviation of the returns."""
    return tail_normal(returns, confidence, ddof)[0]


@measure(
    "risk.es.historical",
    units="fraction of value, loss > 0",
    convention="mean_below: minus the mean of returns <= the linear quantile; acerbi: the exact tail mean with a fractional last observation",
    source="Acerbi and Tasche (2002), On the coherence of expected shortfall",
)
def es_historical(returns: Sequence[float], confidence: float, variant: Literal["mean_below", "acerbi"] = "mean_below") -> float:
    """Mean loss in the tail beyond the value at risk."""
    if variant == "mean_below":
        return tail_historical(returns, confidence)[1]
    if variant == "acerbi":
        values, q = np.sort(_observations(returns)), _tail(confidence)
        wanted = round(values.size * q, 9)
        whole = math.floor(wanted)
        part = (wanted - whole) * values[whole] if whole < values.size else 0.0
        return -float((values[:whole].sum() + part) / wanted)
    raise InvalidInput(f"{variant!r} is neither 'mean_below' nor 'acerbi'", field="variant")


@measure(
    "risk.es.normal",
    units="fraction of value, loss > 0",
    convention="-mu + sigma phi(z_q) / q, population deviation (ddof 0) by default",
    source="McNeil, Frey and Embrechts, Quantitative Risk Management, example 2.14",
)
def es_normal(returns: Sequence[float], confidence: float, ddof: int = 0) -> float:
    """Expected shortfall of a normal distribution with the mean and deviation of the returns."""
    return tail_normal(returns, confidence, ddof)[1]


def tail_historical(returns: Sequence[float], confidence: float) -> tuple[float, float]:
    """`var_historical` (linear) and `es_historical` (mean_below) of one sorting and one quantile."""
    values, q = np.sort(_observations(returns)), _tail(confidence)
    threshold = float(np.quantile(values, q))
    # The interpolated quantile may miss an observation that it equals by one rounding step.
    below = values[: np.searchsorted(values, threshold + 1e-12 * abs(threshold), side="right")]
    return -threshold, -float(below.mean())


def tail_normal(returns: Sequence[float], confidence: float, ddof: int = 0) -> tuple[float, float]:
    """`var_normal` and `es_normal` of the same moments."""
    q = _tail(confidence)
    mean, deviation = _moments(returns, ddof)
    z = STANDARD_NORMAL.inv_cdf(q)
    return -(mean + z * deviation), -mean + deviation * STANDARD_NORMAL.pdf(z) / q


def cornish_fisher_quantile(z: float, skewness: float, kurtosis: float) -> float:
    """The q-quantile of a distribution with this skewness and excess kurtosis, from the normal quantile z (Cornish and Fisher, 1938)."""
    return z + (z**2 - 1) * skewness / 6 + (z**3 - 3 * z) * kurtosis / 24 - (2 * z**3 - 5 * z) * skewness**2 / 36


@measure(
    "risk.var.cornish_fisher",
    units="fraction of value, loss > 0",
    convention="-(mu + h sigma), h the Cornish-Fisher quantile; population skewness and excess kurtosis, deviation with ddof 0 by default",
    source="Zangari (1996); PerformanceAnalytics VaR(method='modified')",
)
def var_cornish_fisher(returns: Sequence[float], confidence: float, ddof: int = 0) -> float:
    """Value at risk of a normal distribution corrected for the skewness and kurtosis of the returns."""
    mean, deviation, h = _cornish_fisher(returns, confidence, ddof)[:3]
    return -(mean + h * deviation)


@measure(
    "risk.es.cornish_fisher",
    units="fraction of value, loss > 0",
    convention="operational: -mu - sigma min(-M / q, h), M the Edgeworth tail mean at h, so that it is never below the value at risk",
    source="Boudt, Peterson and Croux (2008); PerformanceAnalytics ES(method='modified', operational=TRUE)",
)
def es_cornish_fisher(returns: Sequence[float], confidence: float, ddof: int = 0) -> float:
    """Expected shortfall corrected for the skewness and kurtosis of the returns."""
    mean, deviation, h, skewness, kurtosis = _cornish_fisher(returns, confidence, ddof)
    tail = STANDARD_NORMAL.pdf(h) * (
        1 + h**3 * skewness / 6 + (h**6 - 9 * h**4 + 9 * h**2 + 3) * skewness**2 / 72 + (h**4 - 2 * h**2 - 1) * kurtosis / 24
    )
    return -mean - deviation * min(-tail / _tail(confidence), h)


def cornish_fisher_monotone(skewness: float, kurtosis: float) -> bool:
    """Whether the expansion is an increasing function of z, so that a higher confidence cannot mean a smaller loss (Maillard, 2012).

    A number outside this domain is shown with a flag.
    """
    # h'(z) = a z^2 + b z + c with these coefficients stays positive
    a = kurtosis / 8 - skewness**2 / 6
    b = skewness / 3
    c = 1 - kurtosis / 8 + 5 * skewness**2 / 36
    return c > 0 and ((a > 0 and b**2 < 4 * a * c) or a == b == 0)


def moments(returns: Sequence[float]) -> tuple[float, float]:
    """Population skewness and excess kurtosis; zero for a series that does not move."""
    values = _observations(returns)
    centred = values - values.mean()
    largest = float(np.abs(centred).max())
    if largest <= 0:
        return 0.0, 0.0
    centred /= largest  # moments have no unit, and powers of tiny numbers would vanish
    variance = float((centred**2).mean())
    return float((centred**3).mean()) / variance**1.5, float((centred**4).mean()) / variance**2 - 3


def _cornish_fisher(returns: Sequence[float], confidence: float, ddof: int) -> tuple[float, float, float, float, float]:
    """Mean, deviation, corrected quantile, skewness and excess kurtosis."""
    z = STANDARD_NORMAL.inv_cdf(_tail(confidence))
    skewness, kurtosis = moments(returns)
    return *_moments(returns, ddof), cornish_fisher_quantile(z, skewness, kurtosis), skewness, kurtosis


@measure(
    "risk.var.cornish_fisher_quantile",
    units="standard deviations, negative in the left tail",
    convention="h of the q-quantile, q = 1 - confidence; excess kurtosis",
    source="Cornish and Fisher (1938)",
)
def quantile_of(confidence: float, skewness: float, kurtosis: float) -> float:
    """The corrected quantile for given moments."""
    return cornish_fisher_quantile(STANDARD_NORMAL.inv_cdf(_tail(confidence)), skewness, kurtosis)


def _observations(returns: Sequence[float]) -> NDArray[np.float64]:
    values = np.asarray(returns, dtype=np.float64).ravel()
    values = values[~np.isnan(values)]
    if not values.size:
        raise InsufficientData("no return is left after dropping NaN", field="returns")
    if not np.isfinite(values).all():
        raise InvalidInput("a return is infinite", field="returns")
    return values


def _moments(returns: Sequence[float], ddof: int) -> tuple[float, float]:
    values = _observations(returns)
    if values.size <= ddof:
        raise InsufficientData(f"{values.size} returns give no deviation with ddof {ddof}", field="returns")
    return float(values.mean()), float(values.std(ddof=ddof))


def _tail(confidence: float) -> float:
    """1 - confidence, without the noise of the subtraction: 1 - 0.95 must mean 0.05 where it picks an observation."""
    if not 0 < confidence < 1:
        raise InvalidInput(f"confidence {confidence} is not between 0 and 1", field="confidence")
    return round(1 - confidence, 12)
