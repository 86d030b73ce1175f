"""Backtests that were asked for as jobs."""

from typing import Any

from celery import shared_task

from apps.core.clock import now
from apps.core.jobs import job_run
from apps.core.models import JobRun
from apps.core.models.jobs import JobState


@shared_task(name="strategies.backtest")
def backtest_job(*, job_run_id: int, **_: Any) -> None:
    """Run a queued backtest; a second delivery of the same job, or one that was cancelled, does nothing."""
    from apps.strategies.services.backtests import backtest_run, request_build

    run = JobRun.objects.select_related("requested_by").get(pk=job_run_id)
    if run.state != JobState.QUEUED:
        return
    with job_run(run) as running:
        stored = backtest_run(request=request_build(run.parameters), user=run.requested_by, at=now(), progress=running.progress)
        running.result = {"backtest_id": stored.pk}
