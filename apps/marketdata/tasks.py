"""Scheduled work of market data."""

from datetime import datetime
from typing import Any

from celery import shared_task

from apps.core.clock import now
from apps.core.jobs import Progress, job_run
from apps.core.models import JobRun
from apps.core.models.jobs import JobState
from apps.core.schedule import scheduled_task
from apps.marketdata.models import Universe
from apps.marketdata.selectors.factors import universe_members
from apps.marketdata.services.factors import factors_compute
from apps.marketdata.services.freshness import freshness_check


@scheduled_task("marketdata.data_freshness")
def data_freshness(*, at: datetime, progress: Progress) -> dict[str, Any]:
    """Look for data that is older than the calendar allows, and tell the operators."""
    report = freshness_check(now=at)
    progress.say(f"{len(report.stale)} of {len(report.instruments)} instruments are behind")
    return {"instruments": len(report.instruments), "stale": [item.symbol for item in report.stale], "feed_stopped": report.feed_stopped}


@scheduled_task("marketdata.check_data")
def check_data(*, at: datetime, progress: Progress) -> dict[str, Any]:
    """Check every stored series."""
    from apps.marketdata.services.quality import CheckRequest, data_check

    return data_check(request=CheckRequest(), now=at, progress=progress).totals()


@shared_task(name="marketdata.check_data_now")
def check_data_now(*, job_run_id: int, **_: Any) -> None:
    """Run the checks that somebody asked for; a second delivery of the same job, or one that was cancelled, does nothing."""
    from apps.marketdata.services.quality import check_request, data_check

    run = JobRun.objects.select_related("requested_by").get(pk=job_run_id)
    if run.state != JobState.QUEUED:
        return
    with job_run(run) as running:
        report = data_check(request=check_request(run.parameters), now=now(), user=run.requested_by, job_run_id=run.pk, progress=running.progress)
        running.result, running.interrupted = report.totals(), report.interrupted


@scheduled_task("marketdata.compute_factors")
def compute_factors(*, at: datetime, progress: Progress) -> dict[str, Any]:
    """Score what has come in since the last scored session, of all universes that have instruments. Without new closes nothing changes."""
    universes = [universe for universe in Universe if universe_members(universe)]
    return {universe.name.lower(): factors_compute(universe=universe, recorded_at=at, progress=progress).as_dict() for universe in universes}


@scheduled_task("marketdata.subscriptions")
def subscriptions(*, progress: Progress, **_: object) -> dict[str, Any]:
    """Run the subscriptions that are due. Not for the moment when beat fired: what a fetch learns, the desk knows when it comes."""
    from apps.marketdata.services.subscriptions import subscriptions_run

    runs = subscriptions_run(clock=now, progress=progress)
    return {"runs": [{"subscription": run.subscription.name, "slot": run.slot, "outcome": run.outcome, "inserted": run.inserted} for run in runs]}


@shared_task(name="marketdata.update")
def update(*, job_run_id: int, **_: Any) -> None:
    """Bring the data up to date as somebody asked; a second delivery of the same job, or one that was cancelled, does nothing."""
    from apps.marketdata.services.updates import UpdateRequest, data_update

    run = JobRun.objects.get(pk=job_run_id)
    if run.state != JobState.QUEUED:
        return
    with job_run(run) as running:
        report = data_update(request=UpdateRequest.parse(run.parameters), clock=now, progress=running.progress)
        running.result, running.partial, running.interrupted = report.as_dict(), bool(report.bars.failed), report.bars.stopped


@scheduled_task("marketdata.archive_data")
def archive_data(*, at: datetime, progress: Progress) -> dict[str, Any]:
    """Archive and drop what is older than the retention policies allow."""
    from django.conf import settings

    from apps.marketdata.services.archives import retention_run

    return retention_run(folder=settings.ARCHIVE, at=at, progress=progress)
