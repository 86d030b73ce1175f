"""A process that dies at one chosen point: before or after a statement, a commit, a word to Redis, or whatever calls `point` itself.

Dying means what it means to the database: the connection is gone, and with it everything that was not committed and every word that was
to be said after the commit. Then `Crash` unwinds the stack; it is no Exception, so that nothing on the way can take it for an error.
"""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from django.db import connection

from apps.execution.services import reports


class Crash(BaseException):
    """The process dies here."""


def crash(name: str) -> None:
    """Die in a test's own process: what the database would see of it, and nothing more."""
    connection.close()
    raise Crash(name)


def kill(_name: str) -> None:
    """Die for good."""
    os.kill(os.getpid(), signal.SIGKILL)


class Faults:
    """Counts the points that are passed, and dies at one of them when it is armed. `died_at` says where."""

    def __init__(self, die: Callable[[str], None] = crash) -> None:
        self.passed = 0
        self._die = die
        self.died_at = ""
        self._left: int | None = None

    def point(self, name: str) -> None:
        """One side of something that leaves the process or comes into it."""
        self.passed += 1
        if self._left is None:
            return
        self._left -= 1
        if self._left < 0:
            self._left, self.died_at = None, name
            self._die(name)

    def around(self, name: str, work: Callable[[], Any]) -> Any:
        """Do it, with a point on either side."""
        self.point(f"before {name}")
        result = work()
        self.point(f"after {name}")
        return result

    @contextmanager
    def armed(self, after: int | None) -> Iterator[None]:
        """Inside, the process dies after so many more points; with None it lives, and the points are only counted."""
        self._left, self.died_at = after, ""
        commit, publish = connection.commit, reports.publish

        def statement(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
            return self.around(f"statement {' '.join(sql.split())[:60]}", lambda: execute(sql, params, many, context))

        with (
            patch.object(connection, "commit", lambda: self.around("commit", commit)),
            patch.object(reports, "publish", lambda *args, **words: self.around("publish", lambda: publish(*args, **words))),
            connection.execute_wrapper(statement),
        ):
            try:
                yield
            finally:
                self._left = None
