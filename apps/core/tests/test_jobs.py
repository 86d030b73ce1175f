import time

import pytest

from apps.core import clock
from apps.core.errors import Conflict, NotFound
from apps.core.job_streams import _allowed, _snapshot
from apps.core.jobs import JobProgress, NullProgress, Progress, job_as_dict, job_cancel, job_create, job_run, runs_purge
from apps.core.models import JobRun, User
from apps.core.models.jobs import JobState
from apps.core.roles import Role
from apps.core.streams import current_seq
from apps.core.tests.factories import UserFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def run() -> JobRun:
    return job_create(job="backtest", at=clock.now(), parameters={"cash": 1})


class TestProgress:
    def test_it_is_seen_while_the_works_transaction_is_open(self, run: JobRun) -> None:
        from django.db import transaction

        from apps.core.postgres.session import open_session

        progress = JobProgress(run.pk)
        with open_session() as other, transaction.atomic():
            User.objects.create(username="uncommitted")
            progress.start(200, "reading")
            seen = other.execute("select done, total, message from core_jobrun where id = %s", [run.pk]).fetchone()
            transaction.set_rollback(True)
        progress.close()
        assert seen == (0, 200, "reading")

    def test_it_is_written_seldom_but_the_end_always(self, run: JobRun, monkeypatch: pytest.MonkeyPatch) -> None:
        writes: list[int] = []
        write = JobProgress.write
        monkeypatch.setattr(JobProgress, "write", lambda self: (writes.append(self.done), write(self))[1])
        began = time.monotonic()
        with job_run(run) as running:
            running.progress.start(1000)
            for _ in range(1000):
                running.progress.advance()
        assert len(writes) <= 2 + 4 * (time.monotonic() - began)
        run.refresh_from_db()
        assert (run.done, run.total) == (1000, 1000)

    def test_it_is_published(self, run: JobRun) -> None:
        before = current_seq("jobs")
        JobProgress(run.pk).start(10)
        assert (current_seq("jobs"), current_seq(f"jobs:{run.pk}")) == (before + 1, 1)

    def test_cancelling_reaches_the_work(self, run: JobRun) -> None:
        with job_run(run) as running:
            running.progress.start(10)
            assert not running.progress.cancelled()
            job_cancel(job_run_id=run.pk, at=clock.now())
            running.progress.write()
            assert running.progress.cancelled()
        run.refresh_from_db()
        assert run.state == JobState.CANCELLED

    def test_null_progress_is_a_progress(self) -> None:
        progress: Progress = NullProgress()
        progress.start(3)
        progress.advance()
        progress.say("x")
        assert not progress.cancelled()


class TestJobRun:
    def test_success_keeps_the_result(self, run: JobRun) -> None:
        with job_run(run) as running:
            assert JobRun.objects.get(pk=run.pk).state == JobState.RUNNING
            running.result = {"sharpe": 1.5}
        assert (run.state, run.result, run.error) == (JobState.SUCCEEDED, {"sharpe": 1.5}, "")
        assert run.started_at <= run.finished_at
        assert job_as_dict(run)["progress"] == 1.0

    def test_failure_keeps_the_reason_and_is_raised(self, run: JobRun) -> None:
        with pytest.raises(ZeroDivisionError), job_run(run):
            raise ZeroDivisionError("by zero")
        assert run.state == JobState.FAILED
        assert job_as_dict(run)["error"] == "ZeroDivisionError: by zero"
        assert "Traceback" in run.error

    def test_interruption_is_a_cancellation(self, run: JobRun) -> None:
        with pytest.raises(KeyboardInterrupt), job_run(run):
            raise KeyboardInterrupt
        assert run.state == JobState.CANCELLED

    def test_some_items_failed(self, run: JobRun) -> None:
        with job_run(run) as running:
            running.result, running.partial = {}, True
        assert run.state == JobState.PARTIAL

    def test_one_run_for_each_scheduled_moment(self) -> None:
        at = clock.now()
        job_create(job="eod", at=at, scheduled_for=at)
        with pytest.raises(Conflict):
            job_create(job="eod", at=at, scheduled_for=at)
        job_create(job="other", at=at, scheduled_for=at)
        job_create(job="eod", at=at)

    def test_cancelling_what_is_not_there(self) -> None:
        with pytest.raises(NotFound):
            job_cancel(job_run_id=0, at=clock.now())

    def test_old_scheduled_runs_are_forgotten_those_of_people_kept(self) -> None:
        from datetime import timedelta

        old = clock.now() - timedelta(days=3)
        for scheduled_for in (old, clock.now(), None):
            with job_run(job_create(job="seal", at=old, scheduled_for=scheduled_for)) as running:
                running.result = {}
        assert runs_purge(at=clock.now()) == 1
        assert JobRun.objects.count() == 2


class TestStream:
    def test_operators_see_all_others_their_own(self, run: JobRun) -> None:
        operator, user = UserFactory(role=Role.OPERATOR), UserFactory()
        mine = job_create(job="backtest", at=clock.now(), requested_by=user)
        assert _allowed(operator, "")
        assert _allowed(operator, str(run.pk))
        assert not _allowed(operator, "x")
        assert not _allowed(user, "")
        assert not _allowed(user, str(run.pk))
        assert _allowed(user, str(mine.pk))
        assert [job["id"] for job in _snapshot(user, str(mine.pk))["jobs"]] == [mine.pk]
        assert {job["id"] for job in _snapshot(operator, "")["jobs"]} == {run.pk, mine.pk}
