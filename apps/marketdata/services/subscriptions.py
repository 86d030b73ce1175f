"""Runs standing orders for data when they are due, each slot once."""

from collections.abc import Callable
from datetime import datetime, timedelta

from apps.core.errors import InvalidInput, NotFound, RuleRefused
from apps.core.jobs import NullProgress, Progress
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.models import RunOutcome, Subscription, SubscriptionRun
from apps.marketdata.selectors.instruments import tradable_instruments
from apps.marketdata.selectors.subscriptions import DueSubscription, subscriptions_due
from apps.marketdata.services.fetching import FetchReport, Make, bars_fetch
from apps.marketdata.services.operators import operators_tell

FAILED = "SUBSCRIPTION_FAILED"


def subscriptions_run(*, clock: Callable[[], datetime], progress: Progress | None = None, make: Make | None = None) -> tuple[SubscriptionRun, ...]:
    """Run all subscriptions that are due, one after the other, and tell operators of those that did not bring everything.

    The caller sees to it that only one process does this. A run is noted when it is over: one that was killed, or asked to stop, is
    made again, and what it had fetched is not fetched again.
    """
    progress = progress or NullProgress()
    runs = []
    for due in subscriptions_due(clock()):
        if (run := _run(due, clock, progress, make)) is None:
            break
        runs.append(run)
        if run.outcome != RunOutcome.SUCCEEDED:
            _tell(due.subscription, run)
    return tuple(runs)


def _run(due: DueSubscription, clock: Callable[[], datetime], progress: Progress, make: Make | None) -> SubscriptionRun | None:
    """None when somebody asked to stop."""
    item, started = due.subscription, clock()
    report, detail = None, ""
    try:
        report = bars_fetch(
            provider=item.provider,
            symbols=item.symbols or [instrument.symbol for instrument in tradable_instruments(on=started.date())],
            timeframe=Timeframe(item.timeframe),
            start=(started - timedelta(days=item.lookback_days)).date(),
            clock=clock,
            progress=progress,
            make=make,
        )
    except (InvalidInput, NotFound, RuleRefused) as error:  # a person must change the subscription; without Redis the next minute tries again
        detail = error.detail
    if report is not None and report.stopped:
        return None
    return SubscriptionRun.objects.create(
        subscription=item,
        slot=due.slot,
        attempt=due.attempt,
        started_at=started,
        finished_at=clock(),
        outcome=_outcome(report),
        inserted=report.inserted if report else 0,
        revised=report.revised if report else 0,
        failed=[symbol.symbol for symbol in report.failed] if report else [],
        detail=detail or _reasons(report),
    )


def _outcome(report: FetchReport | None) -> RunOutcome:
    if report is None or len(report.failed) == len(report.symbols):
        return RunOutcome.FAILED
    return RunOutcome.PARTIAL if report.failed else RunOutcome.SUCCEEDED


def _reasons(report: FetchReport | None) -> str:
    """Each reason once, in the order of their first appearance."""
    notes = [note for symbol in report.failed for note in symbol.notes] if report else []
    return "; ".join(dict.fromkeys(f"{note.vendor}: {note.detail}" if note.vendor else note.detail for note in notes))


def _tell(item: Subscription, run: SubscriptionRun) -> None:
    operators_tell(
        code=FAILED,
        title=f"The subscription {item.name} did not bring everything",
        detail=f"{', '.join(run.failed[:10])}{' and more' if len(run.failed) > 10 else ''} {run.detail}".strip(),
        data={"subscription": item.name, "outcome": run.outcome, "symbols": run.failed},
        occurred_at=run.slot,
        recorded_at=run.finished_at,
    )
