"""How far a trade went for and against its holder while it was open (maximum favourable and adverse excursion, Sweeney 1996)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Excursion:
    """Fractions of the entry price: `adverse` <= 0, `favourable` >= 0."""

    adverse: float
    favourable: float


def excursion(*, entry_price: float, exit_price: float, long: bool, high: NDArray[np.float64], low: NDArray[np.float64]) -> Excursion:
    """Excursions from `entry_price` over bars of `high` and `low` (one length, entry to exit; NaN is skipped), its own ends included.

    A trade that never was under water has an adverse excursion of 0. Raises ValueError for an entry price that is not positive.
    """
    if entry_price <= 0:
        raise ValueError(f"the entry price was {entry_price}, but it must be positive")
    highest = float(np.nanmax(np.append(high, [entry_price, exit_price])))
    lowest = float(np.nanmin(np.append(low, [entry_price, exit_price])))
    up, down = highest / entry_price - 1, lowest / entry_price - 1
    return Excursion(adverse=down, favourable=up) if long else Excursion(adverse=-up, favourable=-down)
