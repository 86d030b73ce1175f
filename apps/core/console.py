"""Progress of a command on a terminal: a bar on stderr, nothing where nobody looks."""

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from apps.core.jobs import JobProgress

if TYPE_CHECKING:
    from rich.progress import TaskID


def wants_bar(*, no_progress: bool) -> bool:
    """True for a terminal, unless --no-progress or NO_COLOR says otherwise."""
    return sys.stderr.isatty() and not no_progress and "NO_COLOR" not in os.environ


class ConsoleProgress:
    """A bar on stderr (where `bar` is wanted), the JobRun's progress (where there is one) and the signal to stop, as one Progress."""

    def __init__(self, *, bar: bool, stopping: Callable[[], bool], job: JobProgress | None = None) -> None:
        self._job = job
        self._stopping = stopping
        self._task: TaskID | None = None
        self._bar = None
        if bar:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._bar.start()

    def start(self, total: int | None, message: str = "") -> None:
        """Begin a stretch; the bar of the one before goes away."""
        if self._job:
            self._job.start(total, message)
        if self._bar:
            if self._task is not None:
                self._bar.remove_task(self._task)
            self._task = self._bar.add_task(message, total=total)

    def advance(self, n: int = 1) -> None:
        """Count `n` more steps as done."""
        if self._job:
            self._job.advance(n)
        if self._bar and self._task is not None:
            self._bar.advance(self._task, n)

    def say(self, text: str) -> None:
        """Show one line above the bar."""
        if self._job:
            self._job.say(text)
        if self._bar:
            self._bar.console.print(text)

    def cancelled(self) -> bool:
        """True after SIGINT or SIGTERM, or once somebody cancelled the JobRun."""
        return self._stopping() or bool(self._job and self._job.cancelled())

    def close(self) -> None:
        """Take the bar off the screen."""
        if self._bar:
            self._bar.stop()
