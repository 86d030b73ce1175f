"""Two vendors' word about the same bars."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from apps.marketdata.domain.quality.findings import Finding, QualityCheck, Severity, moment

#: Relative difference of closes above which two vendors disagree, and above which one of them must be wrong.
TOLERANCE = 0.005
WRONG_ABOVE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SourcedCloses:
    """Latest close of each bar from each source: `ts` datetime64[us] [T], `source` int64 [T], `close` float64 [T], in any order."""

    ts: NDArray[np.datetime64]
    source: NDArray[np.int64]
    close: NDArray[np.float64]


def vendor_findings(closes: SourcedCloses, names: dict[int, str], *, tolerance: float = TOLERANCE, wrong_above: float = WRONG_ABOVE) -> list[Finding]:
    """One finding per pair of sources: how many bars they share, on how many the closes differ by more than `tolerance`.

    The difference is relative to the smaller close, so that it does not matter who is first.
    """
    findings = []
    sources = np.unique(closes.source)
    for n, first in enumerate(sources):
        for second in sources[n + 1 :]:
            one, two = closes.source == first, closes.source == second
            shared, a, b = np.intersect1d(closes.ts[one], closes.ts[two], return_indices=True)
            x, y = closes.close[one][a], closes.close[two][b]
            difference = np.abs(x - y) / np.minimum(x, y)
            apart = np.flatnonzero(difference > tolerance)
            if len(apart):
                findings.append(_finding(shared, apart, difference, (names[int(first)], names[int(second)]), tolerance, wrong_above))
    return findings


def _finding(
    shared: NDArray[np.datetime64], apart: NDArray[np.intp], difference: NDArray[np.float64], names: tuple[str, str], tolerance: float, wrong: float
) -> Finding:
    largest = float(difference[apart].max())
    return Finding(
        check=QualityCheck.VENDORS_DISAGREE,
        severity=Severity.ERROR if largest > wrong else Severity.WARNING,
        first=moment(shared[apart[0]]),
        last=moment(shared[apart[-1]]),
        count=len(apart),
        text=f"{names[0]} and {names[1]} differ by up to {largest:.2%} on {len(apart)} bar{'s' if len(apart) > 1 else ''}",
        numbers={"sources": ", ".join(names), "largest": largest, "tolerance": tolerance, "compared": len(shared)},
    )
