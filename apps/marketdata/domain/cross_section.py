"""One date's instruments against each other: winsorised z-scores, ranks, and how well a score foretold returns.

All functions take [T, N] arrays, one cross-section a row, and treat NaN as "not there": it never enters a mean, and it stays NaN.
"""

from collections.abc import Sequence
from math import nan

import numpy as np
from numpy.typing import ArrayLike, NDArray

from apps.core.errors import InvalidInput
from apps.core.measures import measure

Numbers = NDArray[np.float64]
#: Deviations below this part of the mean's size are rounding: all are equal.
EQUAL = 1e-12


def z_scores(values: Numbers, *, winsor: float, least: int) -> Numbers:
    """Winsorised z-scores of each row [T, N], NaN in rows with fewer than `least` values.

    Values beyond the `winsor` and 1 - `winsor` quantiles (linear interpolation) are drawn in to these; then (x - mean) / population
    deviation (ddof 0: the cross-section is all there is). Where all are equal every score is 0.
    """
    there = ~np.isnan(values)
    count = there.sum(axis=1)
    ordered = np.sort(values, axis=1)  # NaN comes last
    low, high = (_quantile(ordered, count, share) for share in (winsor, 1 - winsor))
    drawn = np.where(there, np.clip(values, low[:, None], high[:, None]), 0.0)
    some = np.maximum(count, 1)
    mean = drawn.sum(axis=1) / some
    apart = np.where(there, drawn - mean[:, None], 0.0)
    deviation = np.sqrt((apart * apart).sum(axis=1) / some)
    equal = deviation <= EQUAL * np.maximum(np.abs(mean), EQUAL)
    scores = np.where(equal[:, None], 0.0, apart / np.where(equal, 1.0, deviation)[:, None])
    return np.where(there & (count >= least)[:, None], scores, np.nan)


def _quantile(ordered: Numbers, count: NDArray[np.int64], share: float) -> Numbers:
    position = np.maximum(count - 1, 0) * share
    lower = np.floor(position).astype(np.int64)
    upper = np.minimum(lower + 1, np.maximum(count - 1, 0))
    rows = np.arange(len(ordered))
    if not ordered.shape[1]:
        return np.full(len(ordered), np.nan)
    return np.asarray(ordered[rows, lower] + (position - lower) * (ordered[rows, upper] - ordered[rows, lower]))


def ranks(scores: Numbers) -> NDArray[np.int16]:
    """Rank of each score in its row, 1 the highest; equal scores share the better rank (1, 2, 2, 4). 0 where there is no score."""
    there = ~np.isnan(scores)
    ordered = np.argsort(np.where(there, -scores, np.inf), axis=1, kind="stable")
    values = np.take_along_axis(scores, ordered, axis=1)
    begins = np.ones(values.shape, bool)
    begins[:, 1:] = values[:, 1:] != values[:, :-1]
    shared = np.maximum.accumulate(np.where(begins, np.arange(1, values.shape[1] + 1), 0), axis=1)
    result = np.zeros(scores.shape, np.int16)
    np.put_along_axis(result, ordered, shared.astype(np.int16), axis=1)
    return np.where(there, result, np.int16(0))


@measure(
    "marketdata.factor.z_score",
    units="standard deviations",
    convention="winsorised at the 5 % and 95 % quantiles (linear), population deviation; all equal gives 0; NaN stays NaN; fewer than `least`: NaN",
    source="desk definition, docs/factors.md",
)
def z_score(values: Sequence[float], winsor: float = 0.05, least: int = 5) -> list[float]:
    """Winsorised z-scores of one cross-section."""
    if not 0 <= winsor < 0.5:
        raise InvalidInput(f"{winsor} of both ends cannot be drawn in", field="winsor")
    return [float(score) for score in z_scores(np.array([values], float), winsor=winsor, least=least)[0]]


@measure(
    "marketdata.factor.rank",
    units="rank",
    convention="1 is the highest score; equal scores share the better rank; 0 means no score",
    source="desk definition, docs/factors.md",
)
def rank(scores: Sequence[float]) -> list[int]:
    """Ranks of one cross-section."""
    return [int(place) for place in ranks(np.array([scores], float))[0]]


@measure(
    "marketdata.factor.information_coefficient",
    units="correlation",
    convention="Spearman: correlation of mean ranks over the pairs where both are known; NaN below `least` pairs or without variation",
    source="Grinold and Kahn (2000), ch. 6",
)
def information_coefficient(scores: ArrayLike, returns: ArrayLike, least: int = 5) -> float:
    """Rank correlation of one date's scores with the returns that followed."""
    first, second = np.asarray(scores, float), np.asarray(returns, float)
    if first.shape != second.shape:
        raise InvalidInput(f"{len(first)} scores and {len(second)} returns", field="returns")
    both = ~(np.isnan(first) | np.isnan(second))
    if both.sum() < least:
        return nan
    one, other = (_mean_ranks(side[both]) for side in (first, second))
    if one.std() == 0 or other.std() == 0:
        return nan
    return float(np.corrcoef(one, other)[0, 1])


def _mean_ranks(values: Numbers) -> Numbers:
    _, group, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return np.asarray((last - (count - 1) / 2)[group])


@measure(
    "marketdata.factor.quantile_spread",
    units="return",
    convention="mean return of the top quantile - that of the bottom one, equal weights; a quantile holds floor(n / quantiles), at least one",
    source="desk definition, docs/factors.md",
)
def quantile_spread(scores: ArrayLike, returns: ArrayLike, quantiles: int = 10) -> float:
    """What the best-scored made over the worst-scored; NaN with fewer than two instruments."""
    first, second = np.asarray(scores, float), np.asarray(returns, float)
    both = ~(np.isnan(first) | np.isnan(second))
    if both.sum() < 2:
        return nan
    ordered = second[both][np.argsort(-first[both], kind="stable")]
    size = max(1, len(ordered) // quantiles)
    return float(ordered[:size].mean() - ordered[-size:].mean())


def trailing_mean(values: Numbers, count: int) -> Numbers:
    """Mean of the last `count` values that are there, for each one [T]; NaN where none of them is."""
    means = np.full(len(values), np.nan)
    for at in range(len(values)):
        known = values[max(0, at + 1 - count) : at + 1]
        known = known[~np.isnan(known)]
        if len(known):
            means[at] = known.mean()
    return means


def mean_and_t(values: Numbers) -> tuple[float, float]:
    """Mean of the values that are there, and its t-statistic (sample deviation, independent values); NaN where it cannot be told."""
    known = values[~np.isnan(values)]
    if not len(known):
        return nan, nan
    deviation = float(known.std(ddof=1)) if len(known) > 1 else 0.0
    return float(known.mean()), float(known.mean() / (deviation / np.sqrt(len(known)))) if deviation > 0 else nan
