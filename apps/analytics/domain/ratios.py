# ruff: noqa: ARG001 - the seven ratios share one list of inputs, of which each uses some
"""Ratios of a series of returns. Returns are simple, decimal (0.01 = 1 %), one per period; all results are float64.

What holds for all: rows with a NaN are dropped together first; `risk_free` and `minimum_acceptable` are per period, a number or one
for each return; deviations have ddof 1; `periods_per_year` is 252 for sessions, 52, 12, 4 or 1. Without deviation a ratio is inf for a
positive mean and NaN otherwise; one observation makes NaN where a deviation is needed, none makes NaN everywhere.
All of the first seven take the same four inputs, so that one table of inputs serves them; each says which it uses.
Sources: Bacon, Practical Portfolio Performance Measurement and Attribution (2008); empyrical; Bailey and Lopez de Prado (2012).
"""

from collections.abc import Sequence
from math import inf, nan, sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from apps.core.errors import InvalidInput
from apps.core.measures import measure
from apps.strategies.domain import performance

Numbers = NDArray[np.float64]
PerPeriod = float | Sequence[float]
SESSIONS_PER_YEAR = performance.SESSIONS_PER_YEAR

#: Variance below which a benchmark does not move (that of empyrical).
NO_VARIANCE = 1e-30


def aligned(returns: ArrayLike, *others: ArrayLike) -> tuple[Numbers, ...]:
    """The returns and what goes with them (a number or one for each return), without the rows that hold a NaN.

    Raises InvalidInput when a list has another length than the returns.
    """
    first = np.atleast_1d(np.asarray(returns, np.float64))
    rows = [first]
    for other in others:
        column = np.asarray(other, np.float64)
        if column.ndim and column.shape != first.shape:
            raise InvalidInput(f"there are {len(first)} returns, but {len(column)} values that go with them", field="returns")
        rows.append(np.broadcast_to(column, first.shape))
    table = np.vstack(rows)
    kept = table[:, ~np.isnan(table).any(axis=0)]
    return tuple(kept)


def quotient(above: float, below: float) -> float:
    """above / below; without deviation below, inf for a positive number above and NaN otherwise."""
    if below == 0.0:
        return inf if above > 0 else nan
    return above / below


def _deviation(values: Numbers) -> float:
    """Sample deviation; exactly 0 for equal values, which rounding would not give."""
    return 0.0 if np.ptp(values) == 0.0 else float(np.std(values, ddof=1))


@measure("analytics.ratio.sharpe", units="per year", convention="mean / sample deviation of r - risk_free, x sqrt(A)", source="Sharpe (1994)")
def sharpe(returns: ArrayLike, periods_per_year: float = SESSIONS_PER_YEAR, risk_free: PerPeriod = 0.0, minimum_acceptable: PerPeriod = 0.0) -> float:
    """Annualised Sharpe ratio: mean over sample deviation of the returns above `risk_free`."""
    clean, free = aligned(returns, risk_free)
    return performance.sharpe(clean - free, periods_per_year)


@measure(
    "analytics.ratio.downside_risk",
    units="fraction per year",
    convention="sqrt(mean(min(r - minimum_acceptable, 0)^2)) x sqrt(A), all observations in the mean",
    source="Sortino and van der Meer (1991)",
)
def downside_risk(
    returns: ArrayLike, periods_per_year: float = SESSIONS_PER_YEAR, risk_free: PerPeriod = 0.0, minimum_acceptable: PerPeriod = 0.0
) -> float:
    """Annualised downside deviation below `minimum_acceptable`, >= 0."""
    clean, least = aligned(returns, minimum_acceptable)
    return _downside(clean - least) * sqrt(periods_per_year) if len(clean) else nan


def _downside(over: Numbers) -> float:
    return float(np.sqrt(np.mean(np.minimum(over, 0.0) ** 2)))


@measure(
    "analytics.ratio.sortino",
    units="per year",
    convention="mean(r - minimum_acceptable) x A / annualised downside risk",
    source="Sortino and van der Meer (1991)",
)
def sortino(
    returns: ArrayLike, periods_per_year: float = SESSIONS_PER_YEAR, risk_free: PerPeriod = 0.0, minimum_acceptable: PerPeriod = 0.0
) -> float:
    """Annualised Sortino ratio: mean over downside deviation of the returns above `minimum_acceptable`."""
    clean, least = aligned(returns, minimum_acceptable)
    if len(clean) < 2:
        return nan
    over = clean - least
    return quotient(float(over.mean()) * sqrt(periods_per_year), _downside(over))


@measure("analytics.ratio.cagr", units="fraction per year", convention="(product of 1 + r)^(A / n) - 1", source="Bacon (2008)")
def cagr(returns: ArrayLike, periods_per_year: float = SESSIONS_PER_YEAR, risk_free: PerPeriod = 0.0, minimum_acceptable: PerPeriod = 0.0) -> float:
    """Compound annual growth rate."""
    return performance.cagr(returns, periods_per_year)


@measure("analytics.ratio.volatility", units="fraction per year", convention="sample deviation (ddof 1) x sqrt(A)", source="Bacon (2008)")
def volatility(
    returns: ArrayLike, periods_per_year: float = SESSIONS_PER_YEAR, risk_free: PerPeriod = 0.0, minimum_acceptable: PerPeriod = 0.0
) -> float:
    """Annualised volatility."""
    return performance.volatility(returns, periods_per_year)


@measure("analytics.ratio.calmar", units="per year", convention="CAGR / |maximum drawdown|; NaN without a drawdown", source="Young (1991)")
def calmar(returns: ArrayLike, periods_per_year: float = SESSIONS_PER_YEAR, risk_free: PerPeriod = 0.0, minimum_acceptable: PerPeriod = 0.0) -> float:
    """Annual growth over the deepest drawdown."""
    deepest = performance.max_drawdown(returns)
    return performance.cagr(returns, periods_per_year) / -deepest if deepest < 0 else nan


@measure(
    "analytics.ratio.omega",
    units="ratio",
    convention="gains / losses against risk_free + minimum_acceptable, both per period; NaN without a loss",
    source="Keating and Shadwick (2002)",
)
def omega(returns: ArrayLike, periods_per_year: float = SESSIONS_PER_YEAR, risk_free: PerPeriod = 0.0, minimum_acceptable: PerPeriod = 0.0) -> float:
    """Sum of what is above the threshold over the sum of what is below it."""
    clean, free, least = aligned(returns, risk_free, minimum_acceptable)
    if len(clean) < 2:
        return nan
    over = clean - free - least
    losses = float(-over[over < 0].sum())
    return float(over[over > 0].sum()) / losses if losses > 0 else nan


@measure(
    "analytics.ratio.information",
    units="ir_period per period, ir_annual and tracking_error per year",
    convention="ir_period = mean / sample deviation of r - b; ir_annual = (CAGR r - CAGR b) / tracking error; tracking error = deviation x sqrt(A)",
    source="Goodwin (1998); PerformanceAnalytics InformationRatio for ir_annual",
)
def information(returns: ArrayLike, benchmark: ArrayLike, periods_per_year: float = SESSIONS_PER_YEAR) -> dict[str, float]:
    """Information ratio, not annualised and annualised, with the tracking error."""
    clean, against = aligned(returns, np.atleast_1d(np.asarray(benchmark, np.float64)))
    if len(clean) < 2:
        return {"ir_period": nan, "ir_annual": nan, "tracking_error": nan}
    active = clean - against
    deviation = _deviation(active)
    tracking_error = deviation * sqrt(periods_per_year)
    growth = performance.cagr(clean, periods_per_year) - performance.cagr(against, periods_per_year)
    return {
        "ir_period": quotient(float(active.mean()), deviation),
        "ir_annual": quotient(growth, tracking_error),
        "tracking_error": tracking_error,
    }


@measure(
    "analytics.ratio.alpha_beta",
    units="alpha fraction per year, beta ratio",
    convention="least squares of r - risk_free on b - risk_free; alpha = (1 + intercept)^A - 1; NaN for a benchmark that does not move",
    source="Jensen (1968)",
)
def alpha_beta(returns: ArrayLike, benchmark: ArrayLike, risk_free: PerPeriod = 0.0, periods_per_year: float = SESSIONS_PER_YEAR) -> dict[str, float]:
    """Jensen's alpha, annualised, and beta."""
    clean, against, free = aligned(returns, np.atleast_1d(np.asarray(benchmark, np.float64)), risk_free)
    if len(clean) < 2 or np.var(against - free) < NO_VARIANCE:
        return {"alpha": nan, "beta": nan}
    excess, market = clean - free, against - free
    moves = market - market.mean()
    beta = float(moves @ excess / (moves @ moves))
    intercept = float(excess.mean() - beta * market.mean())
    return {"alpha": (1.0 + intercept) ** periods_per_year - 1.0, "beta": beta}


@measure(
    "analytics.ratio.probabilistic_sharpe",
    units="probability",
    convention="Phi((SR - SR*) sqrt(n - 1) / sqrt(1 - S SR + (K - 1)/4 SR^2)), SR per period, S and K population skewness and kurtosis",
    source="Bailey and Lopez de Prado, The Sharpe Ratio Efficient Frontier (2012)",
)
def probabilistic_sharpe(returns: ArrayLike, benchmark_sharpe: float = 0.0, ignore_skewness: bool = False, ignore_kurtosis: bool = False) -> float:
    """Probability that the true Sharpe ratio (per period) is above `benchmark_sharpe`; NaN without deviation."""
    (clean,) = aligned(returns)
    if len(clean) < 2 or _deviation(clean) == 0.0:
        return nan
    ratio = float(clean.mean()) / _deviation(clean)
    standard = (clean - clean.mean()) / clean.std()
    skewness = 0.0 if ignore_skewness else float(np.mean(standard**3))
    kurtosis = 3.0 if ignore_kurtosis else float(np.mean(standard**4))
    variance = 1.0 - skewness * ratio + (kurtosis - 1.0) / 4.0 * ratio**2
    if variance <= 0:
        return nan
    return NormalDist().cdf((ratio - benchmark_sharpe) * sqrt(len(clean) - 1) / sqrt(variance))
