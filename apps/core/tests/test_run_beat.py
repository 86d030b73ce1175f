"""Two beats on one desk: one is elected, the other waits and takes over."""

import io
import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from celery import current_app
from django.core.management import CommandError, call_command
from django.db import connection
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from apps.core.management.commands.run_beat import Command

pytestmark = pytest.mark.django_db(transaction=True)


class Beat:
    """The command in a thread, told to stop as a signal would."""

    def __init__(self) -> None:
        self.command = Command(stdout=io.StringIO(), stderr=io.StringIO())
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        try:
            call_command(self.command)
        finally:
            connection.close()

    def says(self, text: str) -> bool:
        return text in self.command.stderr.getvalue()

    def stop(self) -> None:
        self.command._stop.set()
        self.thread.join(60)
        assert not self.thread.is_alive()


def wait_until(condition: Callable[[], bool]) -> None:
    tick = threading.Event()
    for _ in range(1200):
        if condition():
            return
        tick.wait(0.05)
    raise AssertionError("it did not come true")


def queued(queue: str) -> int:
    with current_app.connection_for_read() as broker:
        return int(broker.default_channel.client.llen(queue))


def test_one_beats_and_the_other_takes_over() -> None:
    PeriodicTask.objects.all().delete()
    every_second = IntervalSchedule.objects.create(every=1, period=IntervalSchedule.SECONDS)
    PeriodicTask.objects.create(name="core.housekeeping", task="core.housekeeping", queue="beat-test", interval=every_second)
    first = Beat()
    wait_until(lambda: first.says("Beat is running."))
    second = Beat()
    try:
        wait_until(lambda: second.says("waiting for its lease"))
        assert not second.says("Beat is running.")
        with pytest.raises(CommandError) as refused:
            call_command("run_beat", "--no-wait")
        assert refused.value.returncode == 4
        wait_until(lambda: queued("beat-test") >= 1)
        first.stop()
        wait_until(lambda: second.says("Beat is running."))
        before = queued("beat-test")
        wait_until(lambda: queued("beat-test") > before)
    finally:
        first.stop()
        second.stop()
    assert "Beat stopped." in first.command.stdout.getvalue()
    assert timedelta(seconds=1) == every_second.schedule.run_every
