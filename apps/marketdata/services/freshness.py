"""Tells operators about data that is older than the calendar allows."""

from datetime import datetime

from apps.marketdata.selectors.freshness import FreshnessReport, data_freshness
from apps.marketdata.services.operators import operators_tell

BARS_STALE = "DATA_STALE"
FEED_STOPPED = "FEED_STOPPED"


def freshness_check(*, now: datetime) -> FreshnessReport:
    """Raise an alert for stale bars and one for a feed that stands still, unless the operator has an open one that says the same.

    Raises Unavailable when Redis does not answer.
    """
    report = data_freshness(now)
    stale = [item.symbol for item in report.stale]
    if stale:
        named = ", ".join(stale[:10]) + (f" and {len(stale) - 10} more" if len(stale) > 10 else "")
        operators_tell(
            code=BARS_STALE,
            title=f"Daily bars are missing for {len(stale)} instruments",
            detail=f"Behind the exchange calendar: {named}.",
            data={"symbols": stale},
            occurred_at=report.market_time,
            recorded_at=now,
        )
    if report.feed_stopped:
        which = f" ({', '.join(report.feeds_still)})" if report.feeds_still else ""
        operators_tell(
            code=FEED_STOPPED,
            title="The price feed stands still",
            detail=f"The market is open and no price has come for a minute{which}.",
            data={"feeds": list(report.feeds_still)} if report.feeds_still else {},
            occurred_at=report.market_time,
            recorded_at=now,
        )
    return report
