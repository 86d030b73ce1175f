"""Queueing by name, and periodic jobs through a real worker and broker."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from celery import current_app
from celery.contrib.testing.worker import start_worker
from django.apps import apps
from django.db import connection, transaction
from django_celery_beat.models import IntervalSchedule, PeriodicTask
from kombu.exceptions import OperationalError

from apps.core import clock, schedule
from apps.core.context import acting
from apps.core.jobs import job_create
from apps.core.locks import lease
from apps.core.models import JobRun, JournalEntry, User
from apps.core.models.jobs import JobState
from apps.core.schedule import PeriodicJob, periodic_jobs, register_periodic, run_once, schedule_spread, schedule_synchronise
from apps.core.task_context import SCHEDULED_FOR_HEADER
from apps.core.tasks import UnknownTask, enqueue_on_commit

pytestmark = pytest.mark.django_db(transaction=True)


@current_app.task(name="test.write")
def write(username: str) -> None:
    User.objects.create(username=username)


@schedule.scheduled_task("test.periodic")
def periodic(*, at: datetime, **_: object) -> dict[str, Any]:
    User.objects.create(username=f"at {at:%H:%M:%S}")
    return {"at": at}


@pytest.fixture
def eager() -> Iterator[None]:
    current_app.conf.task_always_eager = True
    yield
    current_app.conf.task_always_eager = False


@pytest.fixture
def declared() -> Iterator[None]:
    register_periodic("test.periodic", queue="data", every=timedelta(seconds=10), description="test")
    yield
    schedule._jobs.pop("test.periodic")


class TestEnqueueOnCommit:
    def test_a_misspelt_name_raises_at_once(self) -> None:
        with pytest.raises(UnknownTask, match=r"test\.wriet"), transaction.atomic():
            enqueue_on_commit("test.wriet", queue="compute")

    def test_it_waits_for_the_commit(self, eager: None) -> None:
        with transaction.atomic():
            enqueue_on_commit("test.write", queue="compute", username="later")
            assert not User.objects.filter(username="later").exists()
        assert User.objects.filter(username="later").exists()

    def test_a_rollback_queues_nothing(self, eager: None) -> None:
        with transaction.atomic():
            enqueue_on_commit("test.write", queue="compute", username="never")
            transaction.set_rollback(True)
        assert not User.objects.filter(username="never").exists()

    def test_each_call_keeps_its_own_arguments(self, eager: None) -> None:
        with transaction.atomic():
            for name in ("one", "two"):
                enqueue_on_commit("test.write", queue="compute", username=name)
        assert User.objects.filter(username__in=["one", "two"]).count() == 2

    def test_the_task_acts_under_its_own_name_and_the_requests_id(self, eager: None) -> None:
        with acting(actor="user:zoe", request_id="request-7"):
            enqueue_on_commit("test.write", queue="compute", username="by-job")
            User.objects.create(username="by-user")
        entries = {entry.new["username"]: (entry.actor, entry.request_id) for entry in JournalEntry.objects.filter(new__username__startswith="by-")}
        assert entries == {"by-job": ("job:test.write", "request-7"), "by-user": ("user:zoe", "request-7")}

    def test_a_broker_that_is_away_does_not_undo_the_work(self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
        def refuse(**_: object) -> None:
            raise OperationalError("connection refused")

        monkeypatch.setattr(current_app.tasks["test.write"], "apply_async", refuse)
        enqueue_on_commit("test.write", queue="compute", username="x")
        assert "test.write was not queued" in caplog.text


class TestWorker:
    def test_a_queued_task_runs_and_a_scheduled_one_only_once_for_its_moment(self, declared: None) -> None:
        fired = datetime(2026, 11, 20, 14, 30, 7, tzinfo=UTC)
        send = partial(current_app.tasks["test.periodic"].apply_async, queue="data")
        with start_worker(current_app, queues=["data"], perform_ping_check=False, pool="solo", shutdown_timeout=60):
            for moment in (fired, fired + timedelta(seconds=2), fired + timedelta(seconds=10)):
                send(headers={SCHEDULED_FOR_HEADER: moment.isoformat()})
            enqueue_on_commit("test.write", queue="data", username="last")
            wait_for("last")
        runs = JobRun.objects.filter(job="test.periodic").order_by("scheduled_for")
        assert [(run.scheduled_for.second, run.state) for run in runs] == [(0, JobState.SUCCEEDED), (10, JobState.SUCCEEDED)]
        assert JournalEntry.objects.get(new__username="at 14:30:00").actor == "job:test.periodic"

    def test_beat_stamps_the_moment(self, declared: None) -> None:
        from apps.core.task_context import stamp_schedule

        headers: dict[str, Any] = {"periodic_task_name": "test.periodic"}
        stamp_schedule(headers=headers)
        assert datetime.fromisoformat(headers[SCHEDULED_FOR_HEADER]) <= clock.now()
        plain: dict[str, Any] = {}
        stamp_schedule(headers=plain)
        assert plain == {}


def wait_for(username: str) -> None:
    stop = threading.Event()
    for _ in range(1200):
        if User.objects.filter(username=username).exists():
            return
        stop.wait(0.05)
    raise AssertionError(f"{username} was not written")


class TestRunOnce:
    AT = datetime(2026, 11, 20, tzinfo=UTC)

    def run(self, done: list[datetime]) -> dict[str, Any] | None:
        def work(*, at: datetime, **_: object) -> dict[str, Any]:
            done.append(at)
            return {"n": len(done)}

        return run_once("test.once", scheduled_for=self.AT, parameters={}, work=work)

    def test_a_second_firing_does_nothing(self) -> None:
        done: list[datetime] = []
        assert self.run(done) == {"n": 1}
        assert self.run(done) is None
        assert done == [self.AT]

    def test_one_that_still_runs_is_left_alone(self) -> None:
        done: list[datetime] = []
        with lease("job:test.once"):
            assert self.run(done) is None
        assert done == []

    def test_one_whose_process_died_is_taken_up_again(self) -> None:
        run = job_create(job="test.once", at=clock.now(), scheduled_for=self.AT)
        JobRun.objects.filter(pk=run.pk).update(state=JobState.RUNNING)
        done: list[datetime] = []
        assert self.run(done) == {"n": 1}
        assert JobRun.objects.get(pk=run.pk).state == JobState.SUCCEEDED

    def test_a_failure_frees_the_lease_and_is_recorded(self) -> None:
        def fail(**_: object) -> None:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            run_once("test.once", scheduled_for=None, parameters={}, work=fail)
        assert JobRun.objects.get(job="test.once").state == JobState.FAILED
        assert self.run([]) == {"n": 1}


class TestSchedule:
    def test_firings_of_one_slot_are_one(self) -> None:
        job = PeriodicJob(task="x", queue="data", every=timedelta(seconds=10), crontab="", description="")
        base = datetime(2026, 11, 20, 14, 30, 10, tzinfo=UTC)
        assert {job.slot(base + timedelta(seconds=s)) for s in (0, 3, 9.9)} == {base}
        assert job.slot(base + timedelta(seconds=10)) == base + timedelta(seconds=10)

    @pytest.mark.parametrize("timing", [{}, {"every": timedelta(seconds=1), "crontab": "* * * * *"}, {"crontab": "* *"}])
    def test_a_job_needs_one_timing(self, timing: dict[str, Any]) -> None:
        with pytest.raises(ValueError):
            register_periodic("x", queue="data", **timing)

    def test_every_declared_job_has_a_registered_task(self) -> None:
        from apps.core.tasks import _load_tasks

        _load_tasks()
        assert [job.task for job in periodic_jobs() if job.task not in current_app.tasks] == []

    def test_migration_brings_the_declarations_into_beats_tables(self, declared: None) -> None:
        schedule_synchronise()
        row = PeriodicTask.objects.get(name="test.periodic")
        assert (row.queue, row.interval.every, row.interval.period) == ("data", 10, IntervalSchedule.SECONDS)
        PeriodicTask.objects.filter(pk=row.pk).update(enabled=False, interval=IntervalSchedule.objects.create(every=3, period="days"))
        own = PeriodicTask.objects.create(name="mine", task="test.write", interval=row.interval)
        schedule_synchronise()
        row.refresh_from_db()
        assert (row.enabled, row.interval.every) == (False, 10)
        schedule._jobs.pop("test.periodic")
        schedule_synchronise()
        schedule._jobs["test.periodic"] = PeriodicJob(task="test.periodic", queue="data", every=timedelta(seconds=10), crontab="", description="")
        assert not PeriodicTask.objects.filter(name="test.periodic").exists()
        assert PeriodicTask.objects.filter(pk=own.pk).exists()

    def test_jobs_at_intervals_get_moments_of_their_own(self) -> None:
        schedule_synchronise()
        by_crontab = set(PeriodicTask.objects.filter(interval__isnull=True).values_list("id", "last_run_at"))
        at = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
        schedule_spread(at=at)
        due = dict[str, float]()
        for row in PeriodicTask.objects.filter(interval__isnull=False).select_related("interval"):
            every = row.interval.schedule.run_every
            assert row.last_run_at is not None
            due[row.name] = (row.last_run_at + every - at).total_seconds()
            assert 0 <= due[row.name] < min(every, timedelta(minutes=1)).total_seconds()
        by_minute = sorted(due[job.task] for job in periodic_jobs() if job.every == timedelta(minutes=1))
        assert len(by_minute) >= 4
        assert min(later - earlier for earlier, later in pairwise(by_minute)) > 1.0
        assert set(PeriodicTask.objects.filter(interval__isnull=True).values_list("id", "last_run_at")) == by_crontab

    def test_a_second_time_it_writes_nothing(self) -> None:
        schedule_synchronise()
        before = set(PeriodicTask.objects.values_list("id", "date_changed"))
        schedule_synchronise()
        assert set(PeriodicTask.objects.values_list("id", "date_changed")) == before


def test_core_seals_the_journal_by_beat() -> None:
    assert PeriodicTask.objects.get(name="core.journal_seal").queue == "data"
    User.objects.create(username="x")
    current_app.tasks["core.journal_seal"].apply()
    assert JobRun.objects.filter(job="core.journal_seal", state=JobState.SUCCEEDED).exists()
    current_app.tasks["core.housekeeping"].apply()
    assert JobRun.objects.filter(job="core.housekeeping", state=JobState.SUCCEEDED).exists()
    assert apps.is_installed("django_celery_beat")
    connection.close()
