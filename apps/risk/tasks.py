"""Jobs of risk: thin, the work is in services."""

from datetime import datetime
from typing import Any

from apps.core.jobs import Progress
from apps.core.schedule import scheduled_task
from apps.risk.services.utilisation import utilisation_record


@scheduled_task("risk.limits_record")
def limits_record(*, at: datetime, progress: Progress, **_: Any) -> dict[str, Any]:
    """Record how far each limit is used."""
    report = utilisation_record(at=at)
    progress.say(f"{report['rows']} limits recorded, {report['failed']} portfolios could not be computed")
    return dict(report)
