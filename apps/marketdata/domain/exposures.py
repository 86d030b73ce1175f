"""What moves an instrument: regression of its monthly excess returns on factor returns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from apps.core.errors import InsufficientData, InvalidInput
from apps.core.measures import measure

Numbers = NDArray[np.float64]
#: Months that a regression needs for each factor.
LEAST_PER_FACTOR = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Coefficient:
    """An estimate with its t-statistic."""

    name: str
    value: float
    t: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposures:
    """`alpha` per month (a fraction), `betas` by factor, the share `r_squared` of the variance that they explain, `observations` months."""

    alpha: Coefficient
    betas: tuple[Coefficient, ...]
    r_squared: float
    observations: int


@measure(
    "marketdata.factor.exposures",
    units="betas; alpha is a fraction per month",
    convention="ordinary least squares of excess returns with an intercept; t by the residuals' deviation with n - k - 1 degrees; n >= 10 per factor",
    source="Fama and French (1993)",
)
def exposures(excess: Sequence[float] | Numbers, factors: Mapping[str, Sequence[float] | Numbers]) -> Exposures:
    """Regress excess returns on factor returns, all fractions of the same months. A month in which anything is NaN is left out.

    Raises InvalidInput for lengths that differ and InsufficientData with too few months, or factors that are combinations of each other.
    """
    names = list(factors)
    if not names or any(len(factors[name]) != len(excess) for name in names):
        raise InvalidInput("each factor has one return for each of the instrument's", field="factors")
    table = np.column_stack([np.asarray(excess, float), *(np.asarray(factors[name], float) for name in names)])
    table = table[~np.isnan(table).any(axis=1)]
    if len(table) < LEAST_PER_FACTOR * len(names):
        raise InsufficientData(f"{len(table)} common months are too few for {len(names)} factors, which need {LEAST_PER_FACTOR * len(names)}")
    return _fit(table[:, 0], np.column_stack([np.ones(len(table)), table[:, 1:]]), names)


def _fit(y: NDArray[np.float64], x: NDArray[np.float64], names: list[str]) -> Exposures:
    estimate, _, rank, _ = np.linalg.lstsq(x, y, rcond=None)
    if rank < x.shape[1]:
        raise InsufficientData("the factors are combinations of each other, or one of them never moved", field="factors")
    residual = y - x @ estimate
    around = y - y.mean()
    variance = float(residual @ residual) / (len(y) - x.shape[1])
    deviation = np.sqrt(variance * np.diag(np.linalg.inv(x.T @ x)))
    with np.errstate(divide="ignore", invalid="ignore"):
        t = estimate / deviation
    found = [Coefficient(name=name, value=float(value), t=float(one)) for name, value, one in zip(["alpha", *names], estimate, t, strict=True)]
    explained = 1 - float(residual @ residual) / float(around @ around) if around.any() else float("nan")
    return Exposures(alpha=found[0], betas=tuple(found[1:]), r_squared=explained, observations=len(y))


def month_ends(ts: NDArray[np.datetime64]) -> NDArray[np.intp]:
    """Indices of the last time of each month, the running one left out unless its last day is there [M]."""
    months = ts.astype("datetime64[M]")
    ends = np.flatnonzero(np.append(months[1:] != months[:-1], True)) if len(ts) else np.empty(0, np.intp)
    if len(ends) and (ts[-1].astype("datetime64[D]") + 4).astype("datetime64[M]") == months[-1]:
        ends = ends[:-1]  # a month that has a week left is not over: three days may be a weekend and a holiday
    return ends
