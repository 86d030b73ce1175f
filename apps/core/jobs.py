"""Long work that reports through one object: the command's bar, the page's bar and the REST percentage come from the same calls.

Progress is written on a connection of its own, outside the work's transaction, so that others see it while the work goes on.
"""

import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Protocol

import psycopg
from django.db import IntegrityError, transaction

from apps.core import clock
from apps.core.documents import plain
from apps.core.errors import Conflict, NotFound
from apps.core.models import JobRun, User
from apps.core.models.jobs import JobState
from apps.core.postgres.session import open_session
from apps.core.streams import publish

WRITES_PER_SECOND = 4
SCHEDULED_RUNS_KEPT = timedelta(days=2)
FINISHED = (JobState.SUCCEEDED, JobState.PARTIAL, JobState.FAILED, JobState.CANCELLED)


class Progress(Protocol):
    """What long work tells whoever watches."""

    def start(self, total: int | None, message: str = "") -> None:
        """Begin a stretch of `total` steps (None: unknown)."""

    def advance(self, n: int = 1) -> None:
        """Count `n` more steps as done."""

    def say(self, text: str) -> None:
        """Show one line about what is going on."""

    def cancelled(self) -> bool:
        """True once somebody asked to stop: finish the current item, then end."""


class NullProgress:
    """For work that nobody watches."""

    def start(self, total: int | None, message: str = "") -> None:
        """Begin unseen."""

    def advance(self, n: int = 1) -> None:
        """Count unseen."""

    def say(self, text: str) -> None:
        """Say nothing."""

    def cancelled(self) -> bool:
        """Nobody asks."""
        return False


class JobProgress:
    """Progress of a JobRun: written at most four times a second, and published to the streams "jobs" and "jobs:<id>".

    A database that goes away during the work ends the reporting, not the work: the work will meet it soon enough.
    """

    def __init__(self, job_run_id: int) -> None:
        self.job_run_id = job_run_id
        self.done = 0
        self.total: int | None = None
        self.message = ""
        self._session: psycopg.Connection[Any] | None = None
        self._written_at = 0.0
        self._cancelled = False

    def start(self, total: int | None, message: str = "") -> None:
        """Begin a stretch of `total` steps and write it at once."""
        self.done, self.total, self.message = 0, total, message
        self.write()

    def advance(self, n: int = 1) -> None:
        """Count `n` more steps as done."""
        self.done += n
        self._write_seldom()

    def say(self, text: str) -> None:
        """Show one line."""
        self.message = text
        self._write_seldom()

    def cancelled(self) -> bool:
        """True once `cancel_requested` is set; asked of the database at most four times a second."""
        self._write_seldom()
        return self._cancelled

    def _write_seldom(self) -> None:
        if time.monotonic() - self._written_at >= 1 / WRITES_PER_SECOND:
            self.write()

    def write(self) -> None:
        """Write the present state, and learn whether somebody asked to stop."""
        self._written_at = time.monotonic()
        try:
            self._session = self._session or open_session(application=f"desk job {self.job_run_id}")
            row = self._session.execute(
                "update core_jobrun set done = %s, total = %s, message = %s where id = %s returning cancel_requested",
                (self.done, self.total, self.message[:500], self.job_run_id),
            ).fetchone()
        except psycopg.OperationalError:
            self.close()
            return
        self._cancelled = self._cancelled or bool(row and row[0])
        state = {"id": self.job_run_id, "state": JobState.RUNNING.value, "done": self.done, "total": self.total, "message": self.message}
        _announce(self.job_run_id, state)

    def close(self) -> None:
        """Give the connection back."""
        if self._session is not None:
            self._session.close()
            self._session = None


def _announce(job_run_id: int, state: dict[str, Any]) -> None:
    publish("jobs", state)
    publish(f"jobs:{job_run_id}", state)


def job_as_dict(run: JobRun) -> dict[str, Any]:
    """A job as REST and the streams show it. `progress` is a fraction, None while the total is unknown."""
    progress = run.done / run.total if run.total else None
    return {
        "id": run.pk,
        "job": run.job,
        "state": run.state,
        "done": run.done,
        "total": run.total,
        "progress": 1.0 if run.state == JobState.SUCCEEDED else progress,
        "message": run.message,
        "result": run.result,
        "error": run.error.rsplit("\n", 1)[-1],
        "parameters": run.parameters,
        "scheduled_for": run.scheduled_for,
        "created_at": run.created_at,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "cancel_requested": run.cancel_requested,
    }


def job_create(
    *,
    job: str,
    at: datetime,
    parameters: Mapping[str, Any] | None = None,
    requested_by: User | None = None,
    scheduled_for: datetime | None = None,
) -> JobRun:
    """A new queued run. Raises Conflict when this job already has a run for `scheduled_for`."""
    try:
        with transaction.atomic():
            return JobRun.objects.create(
                job=job, created_at=at, parameters=plain(parameters or {}), requested_by=requested_by, scheduled_for=scheduled_for
            )
    except IntegrityError as error:
        raise Conflict(f"{job} already ran for {scheduled_for}", job=job) from error


def job_cancel(*, job_run_id: int, at: datetime) -> JobRun:
    """Ask a run to stop: a queued one ends at once, a running one after its current item. Raises NotFound, and Conflict when it has ended."""
    with transaction.atomic():
        run = JobRun.objects.select_for_update().filter(pk=job_run_id).first()
        if run is None:
            raise NotFound(f"no job {job_run_id}", field="id")
        if run.state in FINISHED:
            raise Conflict(f"job {job_run_id} has already {run.state}")
        run.cancel_requested = True
        if run.state == JobState.QUEUED:
            run.state, run.finished_at = JobState.CANCELLED, at
        run.save(update_fields=["cancel_requested", "state", "finished_at"])
        transaction.on_commit(partial(_announce, run.pk, job_as_dict(run)))
    return run


def runs_purge(*, at: datetime) -> int:
    """Delete finished runs that beat started more than two days ago, and return how many. Runs that people asked for stay."""
    old = JobRun.objects.filter(scheduled_for__lt=at - SCHEDULED_RUNS_KEPT, state__in=FINISHED)
    deleted, _ = old.delete()
    return deleted


@dataclass(slots=True)
class Running:
    """A run that is going on. The work sets `result` (JSON) and, when some items failed, `partial`."""

    run: JobRun
    progress: JobProgress
    result: dict[str, Any] | None = None
    partial: bool = False
    interrupted: bool = field(default=False)


@contextmanager
def job_run(run: JobRun) -> Iterator[Running]:
    """Run work under a JobRun: running, then succeeded, partial, cancelled or failed (with the traceback), which is raised on.

    Enter it outside the work's transactions, so that the outcome is stored even when the work is rolled back.
    """
    JobRun.objects.filter(pk=run.pk).update(state=JobState.RUNNING, started_at=clock.now())
    running = Running(run, JobProgress(run.pk))
    try:
        yield running
    except BaseException as error:
        state = JobState.CANCELLED if isinstance(error, KeyboardInterrupt) else JobState.FAILED
        _finish(running, state, error="".join(traceback.format_exception(error)).strip())
        raise
    stopped = running.interrupted or (running.result is None and running.progress.cancelled())
    _finish(running, JobState.CANCELLED if stopped else JobState.PARTIAL if running.partial else JobState.SUCCEEDED)


def _finish(running: Running, state: JobState, *, error: str = "") -> None:
    progress, run = running.progress, running.run
    progress.close()
    JobRun.objects.filter(pk=run.pk).update(
        state=state,
        finished_at=clock.now(),
        result=plain(running.result),
        error=error,
        done=progress.done,
        total=progress.total,
        message=progress.message[:500],
    )
    run.refresh_from_db()
    transaction.on_commit(partial(_announce, run.pk, job_as_dict(run)))
