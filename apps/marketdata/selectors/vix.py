"""The volatility index and its regime."""

from datetime import date, datetime, timedelta

from apps.marketdata.domain.points import CloseKind
from apps.marketdata.selectors.bars import visible_end
from apps.marketdata.selectors.closes import CloseSeries, closes_series
from apps.marketdata.selectors.instruments import instruments_known

VIX = "VIX"


def vix_closes(until: date | datetime, *, last: int | None = None) -> CloseSeries | None:
    """The index's closes up to a day, at most the `last` of them; None when the desk has no such instrument."""
    if VIX not in instruments_known([VIX]):
        return None
    series = closes_series(symbol=VIX, adjustment=CloseKind.NONE, end=until)
    if last is None or len(series) <= last:
        return series
    return CloseSeries(symbol=VIX, ts=series.ts[-last:], close=series.close[-last:], source=series.source)


def vix_shown(now: datetime, *, last: int | None = None) -> tuple[CloseSeries | None, bool]:
    """The closes that the market has seen, and True; where a replay stands before the first of them, the last ones, and False."""
    seen = vix_closes(visible_end(now), last=last)
    if seen is None or len(seen):
        return seen, True
    return vix_closes(now.date() + timedelta(days=1), last=last), False
