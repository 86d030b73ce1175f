"""Periodic jobs: declared by the apps, kept in beat's tables, run once for each moment they are due.

An app declares a job in AppConfig.ready() with `register_periodic` and writes its task with `@scheduled_task`. Migration brings the
declarations into django_celery_beat's tables, where operators pause them; the unique (job, scheduled_for) makes a double firing harmless.
"""

import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from celery import Task, shared_task
from django.apps import AppConfig
from django.apps import apps as installed
from django.db import transaction
from django.db.models import F

from apps.core import clock
from apps.core.errors import Conflict
from apps.core.jobs import FINISHED, Progress, job_create, job_run
from apps.core.locks import lease
from apps.core.models import JobRun
from apps.core.task_context import fired_at

logger = logging.getLogger(__name__)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CRONTAB_GRAIN = timedelta(minutes=1)
#: Over how long the first firings of the jobs are spread. Multiples of the golden ratio fall evenly, however many there are.
SPREAD = timedelta(minutes=1)
GOLDEN_RATIO = 0.6180339887498949


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodicJob:
    """What runs when. Either `every`, or `crontab` ("minute hour day-of-month month day-of-week", UTC)."""

    task: str
    queue: str
    every: timedelta | None
    crontab: str
    description: str

    def slot(self, fired: datetime) -> datetime:
        """The moment for which a firing counts: two firings in one slot are one."""
        grain = self.every or CRONTAB_GRAIN
        return EPOCH + (fired - EPOCH) // grain * grain


_jobs: dict[str, PeriodicJob] = {}


def register_periodic(task: str, *, queue: str, every: timedelta | None = None, crontab: str = "", description: str = "") -> None:
    """Declare a periodic job, from AppConfig.ready(). Raises ValueError unless there is exactly one of `every` and `crontab`."""
    if (every is None) == (not crontab) or (crontab and len(crontab.split()) != 5):
        raise ValueError(f"{task}: give `every` or a `crontab` of five fields")
    _jobs[task] = PeriodicJob(task=task, queue=queue, every=every, crontab=crontab, description=description)


def periodic_jobs() -> tuple[PeriodicJob, ...]:
    """All declared jobs by name."""
    return tuple(_jobs[name] for name in sorted(_jobs))


def scheduled_task(name: str) -> Callable[[Callable[..., dict[str, Any] | None]], Task]:
    """Make a Celery task of a function (*, at, progress) -> result, run once per scheduled moment under a JobRun.

    `at` is the moment that it runs for: when beat was due, else now. A run already finished for that moment, or one of the same job going
    on, is left alone; a run whose process died is taken up again.
    """

    def decorate(function: Callable[..., dict[str, Any] | None]) -> Task:
        @functools.wraps(function)
        def run(self: Task, **parameters: Any) -> dict[str, Any] | None:
            job, fired = _jobs.get(name), fired_at(self)
            slot = job.slot(fired) if job and fired else None
            return run_once(name, scheduled_for=slot, parameters=parameters, work=function)

        task: Task = shared_task(run, name=name, bind=True, ignore_result=True)
        return task

    return decorate


def run_once(
    name: str, *, scheduled_for: datetime | None, parameters: dict[str, Any], work: Callable[..., dict[str, Any] | None]
) -> dict[str, Any] | None:
    """Do the work for one moment, unless it is done or being done. Returns its result, None where there was nothing to do."""
    holding = lease(f"job:{name}")
    try:
        holding.__enter__()
    except Conflict:
        logger.info("%s is still running; the firing for %s is left out", name, scheduled_for)
        return None
    try:
        run = _run_for(name, scheduled_for, parameters)
        if run.state in FINISHED:
            return None
        at = scheduled_for or run.created_at
        with job_run(run) as running:
            progress: Progress = running.progress
            running.result = work(at=at, progress=progress, **parameters) or {}
        return running.result
    finally:
        holding.__exit__(None, None, None)


def _run_for(name: str, scheduled_for: datetime | None, parameters: dict[str, Any]) -> JobRun:
    try:
        return job_create(job=name, at=clock.now(), parameters=parameters, scheduled_for=scheduled_for)
    except Conflict:
        return JobRun.objects.get(job=name, scheduled_for=scheduled_for)


def schedule_synchronise() -> None:
    """Bring beat's tables in line with the declarations. Whether a job is enabled is the operators' choice and stays as it is."""
    from django_celery_beat.models import PeriodicTask

    with transaction.atomic():
        for job in periodic_jobs():
            values = {"task": job.task, "queue": job.queue, "description": job.description, **_timing(job)}
            row = PeriodicTask.objects.filter(name=job.task).first()
            if row is None:
                PeriodicTask.objects.create(name=job.task, **values)
            elif any(getattr(row, name) != value for name, value in values.items()):
                for name, value in values.items():
                    setattr(row, name, value)
                row.save()
        ours = PeriodicTask.objects.filter(name=F("task")).exclude(task__startswith="celery.")  # operators name theirs as they like
        ours.exclude(name__in=[job.task for job in periodic_jobs()]).delete()


def schedule_spread(*, at: datetime) -> None:
    """Give each job that runs at intervals its own moment of the first minute after `at`, from which its intervals count. Due together, a dozen of
    them would take the machine from the orders once a minute. Before a beat starts; what a crontab says stays."""
    from django_celery_beat.models import PeriodicTask

    for place, row in enumerate(PeriodicTask.objects.filter(interval__isnull=False).select_related("interval").order_by("name")):
        every = row.interval.schedule.run_every
        wait = min(every, SPREAD) * (place * GOLDEN_RATIO % 1)
        PeriodicTask.objects.filter(pk=row.pk).update(last_run_at=at - every + wait)


def _timing(job: PeriodicJob) -> dict[str, Any]:
    from django_celery_beat.models import CrontabSchedule, IntervalSchedule

    if job.every is not None:
        interval, _ = IntervalSchedule.objects.get_or_create(every=int(job.every.total_seconds()), period=IntervalSchedule.SECONDS)
        return {"interval": interval, "crontab": None}
    minute, hour, day_of_month, month_of_year, day_of_week = job.crontab.split()
    crontab, _ = CrontabSchedule.objects.get_or_create(
        minute=minute, hour=hour, day_of_month=day_of_month, month_of_year=month_of_year, day_of_week=day_of_week, timezone="UTC"
    )
    return {"interval": None, "crontab": crontab}


def synchronise_after_migrate(sender: AppConfig, **_: Any) -> None:
    """Receive post_migrate: once, after the last app, when beat's tables exist."""
    last = [config for config in installed.get_app_configs() if config.models_module is not None][-1]
    if sender.label == last.label and installed.is_installed("django_celery_beat"):
        schedule_synchronise()
