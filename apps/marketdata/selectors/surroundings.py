"""The raw daily bars around an ex-date."""

from datetime import date, timedelta

import numpy as np

from apps.marketdata.domain.action_checks import WINDOW, Surroundings
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.selectors.bars import bars_by_id, bounds

#: The bars before and on the ex-date count when they are not further away than this.
NEAR = timedelta(days=7)
#: Enough days for the sessions of the window.
BEFORE = timedelta(days=2 * WINDOW)


def surroundings(instrument_id: int, ex_date: date) -> Surroundings:
    """What the bars say; no closes when the last one before is more than a week old, NaN when none follows within a week."""
    lower, upper = bounds(ex_date - BEFORE, ex_date + NEAR)
    bars = bars_by_id([instrument_id], Timeframe.DAY, lower, upper)
    at = int(np.searchsorted(bars["ts"], np.datetime64(ex_date, "us")))
    fresh = at > 0 and bars["ts"][at - 1] >= np.datetime64(ex_date - NEAR, "us")
    there = at < len(bars["ts"])
    return Surroundings(
        closes=bars["close"][:at] if fresh else np.empty(0),
        open_on=float(bars["open"][at]) if there else np.nan,
        close_on=float(bars["close"][at]) if there else np.nan,
    )
