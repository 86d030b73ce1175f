"""Drawdown: how far a value stands below its highest (domain.md B4)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from apps.core.measures import measure


def drawdowns(returns: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """W / peak - 1 (<= 0) after each period, W the compounded wealth from 1 and the peak including that 1. NaN returns are dropped."""
    values = np.asarray(returns, dtype=np.float64).ravel()
    wealth = np.cumprod(1.0 + values[~np.isnan(values)])
    return wealth / np.maximum.accumulate(np.maximum(wealth, 1.0)) - 1.0


@measure(
    "risk.drawdown.maximum",
    units="fraction of the peak, <= 0",
    convention="compounded simple returns, the peak includes the initial 1, NaN dropped, an empty series is NaN",
    source="empyrical max_drawdown",
)
def maximum_drawdown(returns: Sequence[float]) -> float:
    """The deepest fall from a peak: 0 when the value never fell, NaN without a return."""
    falls = drawdowns(returns)
    return float(falls.min()) if falls.size else float("nan")
