"""Scheduled work of market data."""

from datetime import datetime
from typing import Any

from apps.core.jobs import Progress
from apps.core.schedule import scheduled_task
from apps.marketdata.services.freshness import freshness_check


@scheduled_task("marketdata.data_freshness")
def data_freshness(*, at: datetime, progress: Progress) -> dict[str, Any]:
    """Look for data that is older than the calendar allows, and tell the operators."""
    report = freshness_check(now=at)
    progress.say(f"{len(report.stale)} of {len(report.instruments)} instruments are behind")
    return {"instruments": len(report.instruments), "stale": [item.symbol for item in report.stale], "feed_stopped": report.feed_stopped}
