"""Checks of single bars: order of the four prices, volume, closes that stand still."""

import numpy as np
from numpy.typing import NDArray

from apps.marketdata.domain.bars import BarSeries
from apps.marketdata.domain.quality.findings import MOST_FINDINGS, Finding, QualityCheck, Severity, moment, runs

#: So many bars in a row with the same close, although there was trading, look like a price that somebody repeats.
UNCHANGED_BARS = 5
#: Below this share single bars without volume are what thin trading looks like.
ZERO_VOLUME_SHARE = 0.02


def ohlc_findings(bars: BarSeries, *, index: bool) -> list[Finding]:
    """Open or close outside low to high. Of an index a warning: vendors publish such rows; of anything tradable an error."""
    wrong = (bars.high < bars.low) | (np.maximum(bars.open, bars.close) > bars.high) | (np.minimum(bars.open, bars.close) < bars.low)
    at = np.flatnonzero(wrong)
    if not len(at):
        return []
    beyond = np.maximum(np.maximum(bars.open, bars.close) - bars.high, bars.low - np.minimum(bars.open, bars.close))[at]
    return [
        Finding(
            check=QualityCheck.OHLC_ORDER,
            severity=Severity.WARNING if index else Severity.ERROR,
            first=moment(bars.ts[at[0]]),
            last=moment(bars.ts[at[-1]]),
            count=len(at),
            text=f"open or close lies outside low to high in {len(at)} bar{'s' if len(at) > 1 else ''}",
            numbers={"largest_distance": float((beyond / bars.close[at]).max())},
        )
    ]


def volume_findings(bars: BarSeries) -> list[Finding]:
    """Bars without volume: one finding with their share, a warning when it is above 2 %. A series without any volume (an index) has none."""
    zero = bars.volume == 0
    count = int(zero.sum())
    if not 0 < count < len(bars):
        return []
    at = np.flatnonzero(zero)
    share = count / len(bars)
    return [
        Finding(
            check=QualityCheck.ZERO_VOLUME,
            severity=Severity.WARNING if share > ZERO_VOLUME_SHARE else Severity.INFO,
            first=moment(bars.ts[at[0]]),
            last=moment(bars.ts[at[-1]]),
            count=count,
            text=f"{count} of {len(bars)} bars have no volume",
            numbers={"share": share, "warning_above": ZERO_VOLUME_SHARE},
        )
    ]


def unchanged_findings(bars: BarSeries, *, least: int = UNCHANGED_BARS) -> list[Finding]:
    """Runs of at least `least` bars with the same close and with volume."""
    begins, ends = _unchanged(bars.close, bars.volume, least)
    order = np.argsort(begins - ends, kind="stable")[:MOST_FINDINGS]
    return [
        Finding(
            check=QualityCheck.CLOSE_UNCHANGED,
            severity=Severity.WARNING,
            first=moment(bars.ts[begins[run]]),
            last=moment(bars.ts[ends[run] - 1]),
            count=int(ends[run] - begins[run]),
            text=f"the close stood at {bars.close[begins[run]]:g} for {ends[run] - begins[run]} bars in a row, with volume",
            numbers={"close": float(bars.close[begins[run]]), "least": least, "runs_in_all": len(begins)},
        )
        for run in sorted(order)
    ]


def _unchanged(close: NDArray[np.float64], volume: NDArray[np.float64], least: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    same = (close[1:] == close[:-1]) & (volume[1:] > 0) & (volume[:-1] > 0)
    begins, ends = runs(same)
    long_enough = ends + 1 - begins >= least
    return begins[long_enough], ends[long_enough] + 1
