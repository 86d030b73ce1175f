"""Jumps of the price: outliers by robust z, and what kind of error a jump is.

A split lasts and its volume mirrors the price; a wrong unit (pence for pounds) is a factor of 100 without that; a bad tick is back on
the next bar. Only what is none of these is an outlier. The thresholds were set on published vendor errors and on the crashes of 110
American shares and funds from 2003 to 2021: in March 2020 prices went by 10 to 18 % and back next day with a robust z of up to 13.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from apps.marketdata.domain.bars import BarSeries
from apps.marketdata.domain.quality.findings import MOST_FINDINGS, Finding, QualityCheck, Severity, moment

#: Makes the median absolute deviation of a normal distribution its standard deviation.
NORMAL = 1.4826
#: Ratios by which companies split and join their shares, new shares for one old one.
SPLIT_RATIOS = np.array([3 / 2, 2, 5 / 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 20, 25, 30, 40, 50, 100, 200, 500, 1000])
#: Below this ratio a crash looks like a split: the price must come nearer to it, and the finding is a warning.
CERTAIN_RATIO = 2.0
#: An outlier is an error, not a warning, where the price more than doubled or halved and z is three times its threshold.
DOUBLED = float(np.log(2.0))
HUNDRED = float(np.log(100.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class JumpRules:
    """`z` and `tick_z`: robust z from which an outlier or split and a bad tick count. `move` and `tick_move`: their smallest log returns.

    `window`: returns around a move that it is compared with. `near`: largest distance of a jump's log ratio from that of a split or
    of 100. `back`: part of a bad tick's move that may be left over after it. `rush`: volume of a bar, in medians of those after it, that
    is trading on news.
    """

    z: float = 10.0
    tick_z: float = 15.0
    move: float = 0.20
    tick_move: float = 0.10
    window: int = 252
    near: float = 0.06
    back: float = 0.25
    volume_bars: int = 10
    rush: float = 4.0


def robust_z(returns: NDArray[np.float64], *, window: int | None = None) -> NDArray[np.float64]:
    """(r - median) / (1.4826 MAD) of each return [T], over all of them or over `window` of them around each.

    Where the MAD is 0, a return equal to the median has 0 and any other one plus or minus infinity. Not scaled by anything else, so that
    it does not change when all returns are multiplied by a positive number.
    """
    return _z(returns, np.arange(len(returns)), window)


def _z(returns: NDArray[np.float64], rows: NDArray[np.intp], window: int | None) -> NDArray[np.float64]:
    """The same for some rows only."""
    if not len(rows):
        return np.zeros(0)
    if window is None or window >= len(returns):
        middle = np.full(len(rows), np.median(returns))
        mad = np.full(len(rows), np.median(np.abs(returns - middle[0])))
    else:
        begin = np.clip(rows - window // 2, 0, len(returns) - window)
        around = np.lib.stride_tricks.sliding_window_view(returns, window)[begin]
        middle = np.median(around, axis=1)
        mad = np.median(np.abs(around - middle[:, None]), axis=1)
    distance = returns[rows] - middle
    with np.errstate(divide="ignore", invalid="ignore"):
        z = distance / (NORMAL * mad)
    return np.where(distance == 0, 0.0, z)


def jump_findings(bars: BarSeries, *, splits: Mapping[np.datetime64, float], rules: JumpRules = JumpRules()) -> list[Finding]:
    """BAD_TICK, PRICE_FACTOR, SUSPECTED_SPLIT, SPLIT_NOT_SEEN and OUTLIER of bars up to a day, in order of time.

    `splits`: recorded splits, new shares for one old share by ex-date datetime64[D]; a jump that one of them explains is none.
    """
    if len(bars) < 3:
        return []
    returns = np.diff(np.log(bars.close))
    recorded = _recorded(bars, splits)
    adjusted = returns + recorded
    unseen = np.flatnonzero((recorded != 0) & (np.abs(returns) < np.abs(recorded) / 2))
    adjusted[unseen] = returns[unseen]
    findings = [_split_not_seen(bars, int(at), float(np.exp(recorded[at]))) for at in unseen]
    rows = np.flatnonzero(np.abs(adjusted) >= rules.tick_move)
    z = dict(zip(rows.tolist(), _z(adjusted, rows, rules.window).tolist(), strict=True))
    candidates = [row for row in rows.tolist() if abs(z[row]) >= rules.z]
    findings += _classified(bars, adjusted, candidates, z, rules)
    return sorted(_largest(findings), key=lambda item: (item.first or moment(bars.ts[0]), item.check))


def _recorded(bars: BarSeries, splits: Mapping[np.datetime64, float]) -> NDArray[np.float64]:
    """Log of the recorded split at each return [T - 1], on the first bar of the ex-date or after it."""
    logs = np.zeros(len(bars) - 1)
    days = bars.ts.astype("datetime64[D]")
    for day, ratio in splits.items():
        at = int(np.searchsorted(days, day))
        if 0 < at < len(days):
            logs[at - 1] += np.log(ratio)
    return logs


def _classified(bars: BarSeries, returns: NDArray[np.float64], rows: list[int], z: Mapping[int, float], rules: JumpRules) -> list[Finding]:
    findings: list[Finding] = []
    done = -1
    for row in rows:
        if row <= done:
            continue
        move = float(returns[row])
        if abs(abs(move) - HUNDRED) <= rules.near * 2 and not _mirrored(bars, row, move, rules):
            done = _factor_end(returns, row, rules)
            findings.append(_price_factor(bars, row, done, move))
        elif abs(z[row]) >= rules.tick_z and row + 1 < len(returns) and _back(move, float(returns[row + 1]), rules):
            done = row + 1
            findings.append(_bad_tick(bars, row, move, float(returns[row + 1]), z[row]))
        elif ratio := _split_ratio(bars, row, move, rules):
            findings.append(_suspected_split(bars, row, ratio, move))
        elif abs(move) >= rules.move:
            findings.append(_outlier(bars, row, move, z[row], rules))
    return findings


def _back(there: float, back: float, rules: JumpRules) -> bool:
    return there * back < 0 and abs(there + back) <= rules.back * abs(there)


def _factor_end(returns: NDArray[np.float64], row: int, rules: JumpRules) -> int:
    """The return by which a series comes back from a factor of 100, the last one when it does not."""
    later = returns[row + 1 :]
    returning = np.flatnonzero((np.sign(later) == -np.sign(returns[row])) & (np.abs(np.abs(later) - HUNDRED) <= rules.near * 2))
    return row + 1 + int(returning[0]) if len(returning) else len(returns)


def _split_ratio(bars: BarSeries, row: int, move: float, rules: JumpRules) -> float:
    """New shares for one old share of the split that the jump looks like, 0 when it looks like none.

    Measured from close to open where that says more: a split takes effect overnight.
    """
    overnight = float(np.log(bars.open[row + 1] / bars.close[row]))
    for size in (overnight, move):
        at = int(np.argmin(np.abs(np.log(SPLIT_RATIOS) - abs(size))))
        ratio = float(SPLIT_RATIOS[at])
        near = rules.near if ratio >= CERTAIN_RATIO else rules.near / 3
        if abs(np.log(ratio) - abs(size)) <= near and _mirrored(bars, row, size, rules):
            return ratio if size < 0 else 1 / ratio
    return 0.0


def _mirrored(bars: BarSeries, row: int, move: float, rules: JumpRules) -> bool:
    """Whether volume changed by the inverse of the price: its median over some bars before and after, without the bar of the jump.

    The jump's own bar must be like those after it: a split is no news, while a crash, which may halve a price as well, brings a rush.
    """
    before = bars.volume[max(0, row + 1 - rules.volume_bars) : row + 1]
    after = bars.volume[row + 2 : row + 2 + rules.volume_bars]
    if not len(after):
        after = bars.volume[row + 1 : row + 2]
    old, new = float(np.median(before)), float(np.median(after))
    if old <= 0 or new <= 0 or bars.volume[row + 1] > rules.rush * new:
        return False
    return abs(float(np.log(new / old)) + move) <= min(1.1, max(0.35, 0.5 * abs(move)))


def _one(bars: BarSeries, check: QualityCheck, row: int, text: str, numbers: dict[str, float], *, severity: Severity, bars_hit: int = 1) -> Finding:
    """A finding about the bar after return `row` and those that follow it."""
    first, last = bars.ts[row + 1], bars.ts[row + bars_hit]
    return Finding(check=check, severity=severity, first=moment(first), last=moment(last), count=bars_hit, text=text, numbers=numbers)


def _price_factor(bars: BarSeries, row: int, end: int, move: float) -> Finding:
    times = "100 times" if move > 0 else "a hundredth of"
    text = f"closes are {times} the close before: another unit, like pence for pounds"
    numbers = {"ratio": float(np.exp(move)), "close_before": float(bars.close[row]), "close": float(bars.close[row + 1])}
    return _one(bars, QualityCheck.PRICE_FACTOR, row, text, numbers, severity=Severity.ERROR, bars_hit=end - row)


def _bad_tick(bars: BarSeries, row: int, there: float, back: float, z: float) -> Finding:
    text = f"the close moved by {np.expm1(there):+.1%} and on the next bar back by {np.expm1(back):+.1%}"
    numbers = {"move": float(np.expm1(there)), "back": float(np.expm1(back)), "z": _finite(z), "close": float(bars.close[row + 1])}
    return _one(bars, QualityCheck.BAD_TICK, row, text, numbers, severity=Severity.ERROR)


def _suspected_split(bars: BarSeries, row: int, ratio: float, move: float) -> Finding:
    words = f"{ratio:g} for 1" if ratio > 1 else f"1 for {1 / ratio:g}"
    text = f"price and volume changed like a split {words}, and none is recorded for this day"
    certain = max(ratio, 1 / ratio) >= CERTAIN_RATIO
    return _one(
        bars,
        QualityCheck.SUSPECTED_SPLIT,
        row,
        text,
        {"ratio": ratio, "move": float(np.expm1(move)), "close_before": float(bars.close[row]), "open": float(bars.open[row + 1])},
        severity=Severity.ERROR if certain else Severity.WARNING,
    )


def _split_not_seen(bars: BarSeries, row: int, ratio: float) -> Finding:
    move = float(np.expm1(np.log(bars.close[row + 1] / bars.close[row])))
    text = f"a split of {ratio:g} new shares for one is recorded, and the price moved by {move:+.1%} only"
    return _one(bars, QualityCheck.SPLIT_NOT_SEEN, row, text, {"ratio": ratio, "move": move}, severity=Severity.ERROR)


def _outlier(bars: BarSeries, row: int, move: float, z: float, rules: JumpRules) -> Finding:
    text = f"the close moved by {np.expm1(move):+.1%}, {'far more than 1,000' if not np.isfinite(z) else f'{abs(z):.0f}'} times the usual size"
    numbers = {"move": float(np.expm1(move)), "z": _finite(z), "threshold": rules.z, "close_before": float(bars.close[row])}
    severe = abs(move) > DOUBLED and abs(z) >= 3 * rules.z
    return _one(bars, QualityCheck.OUTLIER, row, text, numbers, severity=Severity.ERROR if severe else Severity.WARNING)


def _finite(z: float) -> float:
    """For JSON: a z against an MAD of zero is a number larger than any other."""
    return float(np.clip(z, -1e9, 1e9))


def _largest(findings: list[Finding]) -> list[Finding]:
    """At most so many of each check: those with the most bars, the earliest first."""
    kept: list[Finding] = []
    for check in QualityCheck:
        mine = [item for item in findings if item.check is check]
        kept += sorted(mine, key=lambda item: -item.count)[:MOST_FINDINGS]
    return kept
