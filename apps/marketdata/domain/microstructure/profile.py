"""Volume at price: point of control and value area."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from apps.core.errors import InsufficientData, InvalidInput
from apps.core.measures import measure

#: Share of the volume that the value area holds at least.
VALUE_AREA: Final = 0.7
MOST_ROWS: Final = 100_000


@measure(
    "marketdata.microstructure.volume_profile",
    units="prices; volume in shares",
    convention="from the point of control the larger of the next `rows` prices above or below (above when equal) until >= 70 % of the volume; "
    "point of control at a tie: closest to the middle of the range, then lower",
    source="CBOT Market Profile (Steidlmayer); rows=1 as the exchange computed it, rows=2 in pairs",
)
def volume_profile(
    prices: Sequence[float], volumes: Sequence[float], rows: int = 1, bin_size: float | None = None, value_area: float = VALUE_AREA
) -> dict[str, float]:
    """Point of control, value area low and high, and the volume inside: {poc, val, vah, volume}.

    Volumes of equal prices are added. With `bin_size` prices fall into bins [k x size, (k + 1) x size), named by their lower edge, and the
    bins between the lowest and the highest are all rows, also the empty ones; without it each price given is a row. Raises
    InsufficientData without volume.
    """
    if rows < 1 or not 0 < value_area <= 1:
        raise InvalidInput("rows is at least 1 and value_area a fraction up to 1", field="rows")
    level, volume = _levels(np.asarray(prices, np.float64), np.asarray(volumes, np.float64), bin_size)
    total = float(volume.sum())
    if not total > 0:
        raise InsufficientData("there is no volume", field="volumes")
    centre = _point_of_control(level, volume)
    low, high = _value_area(volume, centre, rows, value_area * total)
    return {"poc": float(level[centre]), "val": float(level[low]), "vah": float(level[high]), "volume": float(volume[low : high + 1].sum())}


def _levels(price: NDArray[np.float64], volume: NDArray[np.float64], bin_size: float | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Prices in ascending order, each once, and their volumes."""
    if price.shape != volume.shape or price.ndim != 1:
        raise InvalidInput("there is one volume for each price", field="volumes")
    if not np.isfinite(price).all() or not (np.isfinite(volume) & (volume >= 0)).all():
        raise InvalidInput("prices are numbers and volumes numbers of at least 0", field="prices")
    if bin_size is None or not len(price):
        level, row = np.unique(price, return_inverse=True)
        return level, np.bincount(row, weights=volume, minlength=len(level)).astype(np.float64)
    if not bin_size > 0:
        raise InvalidInput("a bin has a size above 0", field="bin_size")
    bins = np.floor(price / bin_size + 1e-9).astype(np.int64)  # a price on an edge belongs above it, whatever its last bit says
    first, count = int(bins.min()), int(bins.max() - bins.min()) + 1
    if count > MOST_ROWS:
        raise InvalidInput(f"{count} bins are more than {MOST_ROWS}", field="bin_size")
    sums = np.bincount(bins - first, weights=volume, minlength=count).astype(np.float64)
    return np.asarray((first + np.arange(count)) * bin_size, np.float64), sums


def _point_of_control(level: NDArray[np.float64], volume: NDArray[np.float64]) -> int:
    largest = np.flatnonzero(volume == volume.max())
    distance = np.abs(level[largest] - (level[0] + level[-1]) / 2)
    nearest = distance <= distance.min() * (1 + 1e-12) + 1e-12 * np.abs(level[largest])
    return int(largest[nearest][0])


def _value_area(volume: NDArray[np.float64], centre: int, rows: int, wanted: float) -> tuple[int, int]:
    low = high = centre
    inside = float(volume[centre])
    while inside < wanted * (1 - 1e-12) and (low > 0 or high < len(volume) - 1):
        above, below = float(volume[high + 1 : high + 1 + rows].sum()), float(volume[max(low - rows, 0) : low].sum())
        if low == 0 or (high < len(volume) - 1 and above >= below):
            high, inside = min(high + rows, len(volume) - 1), inside + above
        else:
            low, inside = max(low - rows, 0), inside + below
    return low, high
