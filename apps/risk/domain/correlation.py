"""Which positions move together: a correlation matrix that is one, in the order of its clusters."""

from dataclasses import dataclass

import numpy as np

from apps.risk.domain.covariance import correlation, nearest_correlation
from apps.risk.domain.risk_numbers import Numbers, ReturnMatrix, Rows

#: Pairs with fewer common sessions are not judged.
LEAST_COMMON = 20
#: Positions whose correlation is below this are in different clusters.
CLUSTER_FROM = 0.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Correlation:
    """Correlations [K, K] of K symbols, neighbours alike; `clusters` [K] numbers the groups from 1 in that order. `repaired`: pairs of
    different lengths made a matrix that was none, and eigenvalues below zero were cut off. `left_out` have too few common sessions.
    """

    symbols: tuple[str, ...]
    matrix: Numbers
    clusters: tuple[int, ...]
    repaired: bool
    left_out: tuple[str, ...]


def correlated(matrix: ReturnMatrix, columns: Rows) -> Correlation:
    """Correlation of some columns, each pair over the sessions that both have."""
    returns = matrix.returns[:, columns]
    there = ~np.isnan(returns)
    counts = there.T.astype(np.float64) @ there
    kept = _enough(counts)
    names = [matrix.symbols[column] for column in columns[kept].tolist()]
    left_out = tuple(matrix.symbols[column] for column in np.delete(columns, kept).tolist())
    if not names:
        return Correlation(symbols=(), matrix=np.empty((0, 0)), clusters=(), repaired=False, left_out=left_out)
    found, repaired = nearest_correlation(_pairwise(returns[:, kept], there[:, kept]))
    order, clusters = _clustered(found)
    ordered = found[np.ix_(order, order)]
    return Correlation(symbols=tuple(names[at] for at in order), matrix=ordered, clusters=clusters, repaired=repaired, left_out=left_out)


def _enough(counts: Numbers) -> Rows:
    """The columns that are left when those with the fewest common sessions are taken out until every pair has enough."""
    kept = np.arange(len(counts))
    while kept.size and (few := (counts[np.ix_(kept, kept)] < LEAST_COMMON).sum(axis=0)).any():
        kept = np.delete(kept, np.lexsort((np.diag(counts)[kept], -few))[0])
    return kept


def _pairwise(returns: Numbers, there: Numbers) -> Numbers:
    """Correlation over each pair's common sessions, from sums over them."""
    present, values = there.astype(np.float64), np.where(there, returns, 0.0)
    values = values - values.sum(axis=0) / present.sum(axis=0) * present  # about zero, so that sums of squares keep their digits
    count = present.T @ present
    sums, squares = values.T @ present, (values**2).T @ present
    covariance = values.T @ values - sums * sums.T / count
    deviation = np.sqrt(np.maximum(squares - sums**2 / count, 0.0))
    scale = deviation * deviation.T
    found = np.divide(covariance, scale, out=np.zeros_like(covariance), where=scale > 0)
    np.fill_diagonal(found, 1.0)
    return correlation(np.clip((found + found.T) / 2, -1.0, 1.0))


def _clustered(matrix: Numbers) -> tuple[list[int], tuple[int, ...]]:
    """Order of the leaves of the average linkage on the distance sqrt((1 - rho) / 2), and the cluster of each in that order."""
    if len(matrix) < 2:
        return [0], (1,)
    from scipy.cluster.hierarchy import fcluster, leaves_list, linkage

    distance = np.sqrt(np.maximum(1 - matrix, 0.0) / 2)
    tree = linkage(distance[np.triu_indices(len(matrix), 1)], "average")
    order = leaves_list(tree).tolist()
    groups = fcluster(tree, np.sqrt((1 - CLUSTER_FROM) / 2), "distance").tolist()
    numbers: dict[int, int] = {}
    return order, tuple(numbers.setdefault(groups[at], len(numbers) + 1) for at in order)
