"""Scheduled work of compliance."""

from datetime import datetime
from typing import Any

from apps.compliance.services.short_sales import short_restrictions_update
from apps.core.jobs import Progress
from apps.core.schedule import scheduled_task


@scheduled_task("compliance.short_restrictions")
def short_restrictions(*, at: datetime, progress: Progress) -> dict[str, Any]:
    """Look for falls of a tenth, which restrict short sales for the day and the next."""
    found = short_restrictions_update(at=at)
    if found:
        progress.say(f"short sales of {len(found)} instruments are restricted from now on")
    return {"restricted": [row.instrument_id for row in found]}
