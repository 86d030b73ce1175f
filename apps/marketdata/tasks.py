"""Scheduled work of market data."""

from datetime import datetime
from typing import Any

from celery import shared_task

from apps.core.clock import now
from apps.core.jobs import Progress, job_run
from apps.core.models import JobRun
from apps.core.models.jobs import JobState
from apps.core.schedule import scheduled_task
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
