"""Jobs of risk: thin, the work is in services."""

import logging
from datetime import datetime
from typing import Any

from apps.core.clock import now
from apps.core.jobs import Progress
from apps.core.schedule import scheduled_task
from apps.risk.services.reports import reports_make
from apps.risk.services.snapshots import snapshots_record
from apps.risk.services.utilisation import utilisation_record
from apps.risk.services.var_forecasts import forecasts_record, zones_update

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


@scheduled_task("risk.snapshots")
def snapshots(*, progress: Progress, **_: Any) -> dict[str, Any]:
    """Write down the risk of every portfolio at the market's time."""
    done = snapshots_record(now=now(), progress=progress)
    progress.say(f"{len(done.recorded)} snapshots")
    return {"recorded": list(done.recorded), "states": done.states}


@scheduled_task("risk.var_forecasts")
def var_forecasts(*, progress: Progress, **_: Any) -> dict[str, Any]:
    """Forecast the next session while the market is closed."""
    done = forecasts_record(now=now())
    progress.say(f"{len(done.recorded)} portfolios forecast")
    return {"session": done.session, "recorded": list(done.recorded), "without": done.without}


@scheduled_task("risk.var_zones")
def var_zones(*, progress: Progress, **_: Any) -> dict[str, Any]:
    """Test the stored forecasts."""
    changes = zones_update(now=now())
    progress.say(f"{len(changes)} changes of zone")
    return {"changes": [str(change) for change in changes]}
