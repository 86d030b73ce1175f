"""Jobs of risk: thin, the work is in services."""

import logging
from datetime import datetime
from typing import Any

from apps.core.clock import now
from apps.core.jobs import Progress
from apps.core.schedule import scheduled_task
from apps.risk.services.reports import reports_make
from apps.risk.services.utilisation import utilisation_record

logger = logging.getLogger(__name__)


@scheduled_task("risk.limits_record")
def limits_record(*, at: datetime, progress: Progress, **_: Any) -> dict[str, Any]:
    """Record how far each limit is used."""
    report = utilisation_record(at=at)
    progress.say(f"{report['rows']} limits recorded, {report['failed']} portfolios could not be computed")
    return dict(report)


@scheduled_task("risk.reports")
def reports(*, progress: Progress, **_: Any) -> dict[str, Any]:
    """Make the daily reports that are missing."""
    done = reports_make(now=now(), progress=progress)
    for portfolio_id, why in done.failed.items():
        logger.warning("portfolio %s has no whole report of %s: %s", portfolio_id, done.session, why)
    progress.say(f"{len(done.made)} reports, {len(done.printed)} PDFs, {len(done.failed)} failed")
    return {"session": done.session, "made": list(done.made), "printed": list(done.printed), "failed": dict(done.failed)}
