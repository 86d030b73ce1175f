"""Whether the bars around an ex-date bear out a corporate action. What they contradict must not move prices.

A two-for-one split which never happened halves every earlier price, and a strategy sees a gain that nobody made. So a split is
believed only when the price fell (or rose) overnight about as much as the split says.
"""

import math
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from apps.marketdata.domain.vendor import ActionKind

#: Log distance between what a split says and what the price did that passes for a day's ordinary move (about ten percent) ...
LEAST_TOLERANCE = 0.10
#: ... and for a share that moves more on ordinary days, so many of its robust standard deviations.
SIGMAS = 6.0
#: From the median absolute deviation to the standard deviation of a normal distribution.
MAD_TO_SIGMA = 1.4826
#: Sessions before the ex-date from which the ordinary move is taken, and how many there must be to say anything.
WINDOW = 60
FEWEST_RETURNS = 10
#: A dividend up to this share of the price hides in a day's ordinary move and is believed without looking.
ORDINARY_DIVIDEND = 0.10


class Doubt(StrEnum):
    """Why an action is not applied."""

    NO_BARS = "NO_BARS"
    NOT_IN_THE_DATA = "NOT_IN_THE_DATA"
    LARGER_THAN_PRICE = "LARGER_THAN_PRICE"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Surroundings:
    """Raw daily bars around an ex-date: `closes` before it in order of time [T], the open and the close of the first session on or after it.

    Empty and NaN where there are none.
    """

    closes: NDArray[np.float64]
    open_on: float
    close_on: float

    @property
    def close_before(self) -> float:
        return float(self.closes[-1]) if len(self.closes) else math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`doubt` None: the action may be applied. `text` gives the numbers."""

    doubt: Doubt | None
    text: str


def action_check(kind: ActionKind, value: Decimal, around: Surroundings, *, ratio: Decimal = Decimal(1)) -> Finding:
    """Compare an action with the bars. `ratio` is the split of the same day, for a dividend.

    The price moved by g = ln(close before / open on the ex-date), or the close where that is nearer; the action says s = ln(ratio),
    or -ln(1 - D / close before). It is borne out when |g - s| is at most the tolerance and the price is nearer to the action than
    to no action at all (|g - s| < |g|). Tolerance: the larger of 0.10 and six robust standard deviations of the sixty daily log
    returns before. Dividends up to a tenth of the price are believed without this; one as large as the price never is.
    """
    before = around.close_before
    if math.isnan(before) or math.isnan(around.open_on):
        return Finding(doubt=Doubt.NO_BARS, text="there are no daily bars around the ex-date to compare with")
    if kind is ActionKind.SPLIT:
        return _borne_out(f"a split of {value.normalize():f} for one", math.log(value), around, before)
    before = before / float(ratio)
    share = float(value) / before
    if share >= 1:
        return Finding(doubt=Doubt.LARGER_THAN_PRICE, text=f"{value.normalize():f} per share is not less than the close before, {before:g}")
    if share <= ORDINARY_DIVIDEND:
        return Finding(doubt=None, text=f"{share:.2%} of the close before")
    return _borne_out(f"a dividend of {share:.1%} of the price", -math.log1p(-share), around, before)


def _borne_out(what: str, said: float, around: Surroundings, before: float) -> Finding:
    seen = min((math.log(before / price) for price in (around.open_on, around.close_on)), key=lambda moved: abs(moved - said))
    tolerance = max(LEAST_TOLERANCE, SIGMAS * _ordinary_move(around.closes))
    distance = abs(seen - said)
    text = f"{what} says x {math.exp(-said):.4g}, the price went x {math.exp(-seen):.4g} overnight (tolerance {math.expm1(tolerance):.0%})"
    return Finding(doubt=None if distance <= tolerance and distance < abs(seen) else Doubt.NOT_IN_THE_DATA, text=text)


def _ordinary_move(closes: NDArray[np.float64]) -> float:
    """Robust standard deviation of daily log returns; 0 with too few of them."""
    returns = np.diff(np.log(closes[-WINDOW - 1 :]))
    if len(returns) < FEWEST_RETURNS:
        return 0.0
    return MAD_TO_SIGMA * float(np.median(np.abs(returns - np.median(returns))))
