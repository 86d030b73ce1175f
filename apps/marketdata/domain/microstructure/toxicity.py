"""VPIN: how one-sided the volume is, in buckets of equal volume."""

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

from apps.core.errors import InsufficientData, InvalidInput
from apps.core.measures import measure

#: Buckets of the published measure.
BUCKETS: Final = 50
PHI: Final = NormalDist().cdf


@measure(
    "marketdata.microstructure.vpin",
    units="fraction of volume, 0 balanced to 1 one-sided",
    convention="sum |V_B - V_S| / (n V) over the last n <= 50 full buckets; bulk classification V_B = V phi(dP / sigma)",
    source="Easley, Lopez de Prado and O'Hara (2012), Flow toxicity and liquidity in a high-frequency world",
)
def vpin(
    bucket_volume: float,
    buys: Sequence[float] | None = None,
    price_changes: Sequence[float] | None = None,
    sigma: float | None = None,
    volumes: Sequence[float] | None = None,
    buckets: int = BUCKETS,
) -> float:
    """Volume-synchronised probability of informed trading.

    Either `buys`: the bought volume of each full bucket. Or `price_changes` and `sigma` (their deviation, in the same unit; by default their own with
    ddof 1): of one bucket each, or, with `volumes`, of bars which are split across the buckets' edges; a last bucket that is not full does not count.
    Raises InsufficientData when no bucket is full.
    """
    if not (math.isfinite(bucket_volume) and bucket_volume > 0) or buckets < 1:
        raise InvalidInput("a bucket holds a volume above 0, and there is at least one", field="bucket_volume")
    if (buys is None) == (price_changes is None):
        raise InvalidInput("either buys or price_changes must be given", field="buys")
    if buys is not None:
        bought = np.asarray(buys, np.float64)
        if not ((bought >= 0) & (bought <= bucket_volume)).all():
            raise InvalidInput("a bucket's buys lie between 0 and its volume", field="buys")
    else:
        fractions = buy_fractions(np.asarray(price_changes, np.float64), sigma)
        traded = np.full(len(fractions), float(bucket_volume)) if volumes is None else np.asarray(volumes, np.float64)
        bought = bucket_buys(fractions, traded, bucket_volume)
    if not len(bought):
        raise InsufficientData("no bucket is full", field="buys")
    last = bought[-buckets:]
    return float(np.abs(2 * last - bucket_volume).sum() / (len(last) * bucket_volume))


def buy_fractions(price_changes: NDArray[np.float64], sigma: float | None = None) -> NDArray[np.float64]:
    """Bulk volume classification: the share of each bar's volume that buyers started, phi(dP / sigma) [T]."""
    if not np.isfinite(price_changes).all():
        raise InvalidInput("a price change is not a number", field="price_changes")
    if sigma is None:
        if len(price_changes) < 2:
            raise InsufficientData("a deviation needs two price changes", field="price_changes")
        sigma = float(price_changes.std(ddof=1))
    if not (math.isfinite(sigma) and sigma > 0):
        raise InvalidInput("sigma must be above 0", field="sigma")
    return np.array([PHI(change / sigma) for change in price_changes.tolist()], np.float64)


def bucket_buys(fractions: NDArray[np.float64], volumes: NDArray[np.float64], bucket_volume: float) -> NDArray[np.float64]:
    """Bought volume of each full bucket, when bars of these volumes fill buckets one after another [number of full buckets].

    A bar that reaches over a bucket's edge gives both buckets the same share of buys.
    """
    if volumes.shape != fractions.shape or not (np.isfinite(volumes) & (volumes >= 0)).all():
        raise InvalidInput("there is one volume of at least 0 for each price change", field="volumes")
    # The bought volume is a piecewise linear function of all volume; a bucket's is its rise between two edges.
    traded = np.concatenate([[0.0], np.cumsum(volumes)])
    bought = np.concatenate([[0.0], np.cumsum(fractions * volumes)])
    full = math.floor(traded[-1] / bucket_volume + 1e-9)
    edges = np.arange(full + 1) * bucket_volume
    return np.asarray(np.clip(np.diff(np.interp(edges, traded, bought)), 0.0, bucket_volume))
