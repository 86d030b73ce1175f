"""Drawdown: how far a value stands below its highest (domain.md B4)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apps.core.errors import InvalidInput
from apps.core.measures import measure

#: A value this close to its peak [relative] has recovered: compounding rounds.
RECOVERED = 1e-12


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Fall:
    """One drawdown by positions of periods: first period below the peak, deepest one, first one back at the peak (None: still open)."""

    start: int
    trough: int
    recovery: int | None
    depth: float
    length: int

    @property
    def to_trough(self) -> int:
        return self.trough - self.start + 1

    @property
    def to_recovery(self) -> int | None:
        return None if self.recovery is None else self.length - self.to_trough


def falls(returns: Sequence[float] | NDArray[np.float64]) -> list[Fall]:
    """All drawdowns in order of time. An open one has the length so far."""
    depths = drawdowns(returns)
    below = np.flatnonzero(depths < -RECOVERED)
    found = []
    for run in np.split(below, np.flatnonzero(np.diff(below) > 1) + 1) if below.size else []:
        start, last = int(run[0]), int(run[-1])
        recovery = last + 1 if last + 1 < depths.size else None
        trough = start + int(np.argmin(depths[start : last + 1]))
        end = last if recovery is None else recovery
        found.append(Fall(start=start, trough=trough, recovery=recovery, depth=float(depths[trough]), length=end - start + 1))
    return found


@measure(
    "risk.drawdown.table",
    units="depth a fraction of the peak, <= 0; lengths in periods",
    convention="deepest first; start = first period below the peak, length = start..recovery inclusive, to_trough = start..trough inclusive, "
    "to_recovery = length - to_trough, null while open; an open one has the length so far",
    source="PerformanceAnalytics table.Drawdowns",
)
def drawdown_table(returns: Sequence[float], dates: Sequence[str] | None = None, top: int = 5) -> list[dict[str, Any]]:
    """The `top` deepest drawdowns with the dates of their periods (positions from 0 when no dates are given).

    Raises InvalidInput when there are not as many dates as returns.
    """
    values = np.asarray(returns, dtype=np.float64).ravel()
    if dates is not None and len(dates) != values.size:
        raise InvalidInput(f"there are {values.size} returns and {len(dates)} dates", field="dates")
    kept = np.flatnonzero(~np.isnan(values))
    names = [at if dates is None else dates[at] for at in kept.tolist()]
    deepest = sorted(falls(values), key=lambda fall: (fall.depth, fall.start))[: max(0, top)]
    return [
        {
            "start": names[fall.start],
            "trough": names[fall.trough],
            "recovery": None if fall.recovery is None else names[fall.recovery],
            "depth": fall.depth,
            "length": fall.length,
            "to_trough": fall.to_trough,
            "to_recovery": fall.to_recovery,
        }
        for fall in deepest
    ]
