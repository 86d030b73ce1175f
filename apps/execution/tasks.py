"""Jobs of execution: thin, the work is in services."""

from datetime import datetime
from typing import Any

from apps.core.jobs import Progress
from apps.core.schedule import scheduled_task
from apps.execution.services.rebalance_watch import rebalances_watch


@scheduled_task("execution.rebalance_watch")
def rebalance_watch(*, at: datetime, progress: Progress, **_: Any) -> dict[str, Any]:
    """Propose where a stop is breached or a portfolio is off its targets."""
    found = rebalances_watch(at=at)
    progress.say(f"{len(found.proposed)} rebalances proposed, {len(found.executed)} executed")
    return {"proposed": list(found.proposed), "executed": list(found.executed)}
