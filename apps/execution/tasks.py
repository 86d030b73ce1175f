"""Jobs of execution: thin, the work is in services."""

from datetime import datetime
from typing import Any

from apps.core.jobs import Progress
from apps.core.schedule import scheduled_task
from apps.execution.models import BrokerageAccount, ReconciliationTrigger
from apps.execution.services.pattern_day_traders import pattern_day_traders_mark
from apps.execution.services.rebalance_watch import rebalances_watch
from apps.execution.services.reconciliation_watch import HANDED_ON, SCHEDULE, reconcile_ask, silence_tell


@scheduled_task("execution.rebalance_watch")
def rebalance_watch(*, at: datetime, progress: Progress, **_: Any) -> dict[str, Any]:
    """Propose where a stop is breached or a portfolio is off its targets."""
    found = rebalances_watch(at=at)
    progress.say(f"{len(found.proposed)} rebalances proposed, {len(found.executed)} executed")
    return {"proposed": list(found.proposed), "executed": list(found.executed)}


@scheduled_task("execution.pattern_day_traders")
def pattern_day_traders(*, at: datetime, progress: Progress, **_: Any) -> dict[str, Any]:
    """Note which accounts have become pattern day traders'."""
    marked = pattern_day_traders_mark(at=at)
    progress.say(f"{len(marked)} accounts have become pattern day traders'")
    return {"accounts": marked}


def compare_all(*, at: datetime, progress: Progress, **_: Any) -> dict[str, Any]:
    """Compare every account with its broker's books. Those whose broker another process talks to are compared there; if it does, says the next."""
    silence_tell(at=at)
    states: dict[str, str] = {}
    for account in BrokerageAccount.objects.select_related("portfolio").order_by("id"):
        if progress.cancelled():
            break
        run = reconcile_ask(account=account, trigger=ReconciliationTrigger.BEAT, at=at)
        states[account.number] = str(run.state) if run else HANDED_ON
    progress.say(f"{len(states)} accounts compared or asked for")
    return {"accounts": states}


reconcile = scheduled_task(SCHEDULE)(compare_all)
