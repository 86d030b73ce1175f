"""Regimes of the volatility index (domain.md B7)."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from apps.core.errors import InvalidInput
from apps.core.measures import measure

#: Label and floor (inclusive) of each band, lowest first, as published by adaptive-investments for 1990-2022.
BANDS: Final = (("Low Volatility", 0.0), ("Normal Volatility", 15.0), ("Elevated Volatility", 20.0), ("High Volatility", 30.0))


@measure(
    "marketdata.vix.regime",
    units="label",
    convention="the band whose floor (inclusive) is the highest not above the level: 0, 15, 20, 30",
    source="bands: adaptive-investments, VIX 1990-2022",
)
def vix_regime(level: float) -> str:
    """The band of a VIX level. Raises InvalidInput for a negative or infinite level."""
    if not math.isfinite(level) or level < 0:
        raise InvalidInput(f"{level} is no level of the VIX", field="vix")
    return next(label for label, floor in reversed(BANDS) if level >= floor)


def vix_regimes(levels: NDArray[np.float64]) -> list[str]:
    """The bands of many levels."""
    return [vix_regime(level) for level in levels.tolist()]
