"""Processes that are really killed: Django is loaded once, and forked for each life.

`Mortal` is the side of the test. Run as a program it reads jobs, one a line, forks a child for each, and says how each child ended.
"""

import json
import os
import select
import subprocess
import sys
import traceback
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

ROOT = Path(__file__).resolve().parents[4]
JOBS = "apps.execution.tests.faults.lives"


class Mortal:
    """Runs functions of `JOBS`, with arguments that JSON can carry, in processes that may die. Use as a context manager."""

    def __init__(self, *, database: str) -> None:
        url = urlsplit(os.environ["DATABASE_URL"])
        environment = os.environ | {
            "DATABASE_URL": urlunsplit(url._replace(path=f"/{database}")),
            "DJANGO_SETTINGS_MODULE": "smarttrader.settings.test",
        }
        command = [sys.executable, "-m", __name__]
        self._process = subprocess.Popen(command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        self._jobs = 0
        self._heard = b""

    def __enter__(self) -> "Mortal":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()  # its children die with it
        self._process.wait()

    def start(self, function: str, **arguments: Any) -> int:
        """Start a process; returns its number."""
        self._jobs += 1
        self._pipe("stdin").write(json.dumps([self._jobs, function, arguments]).encode() + b"\n")
        return self._jobs

    def ended(self, seconds: float) -> tuple[int, int] | None:
        """The next process that ended, and the signal that killed it (0: it returned); None when none has ended in this time.

        Raises RuntimeError when one failed (its traceback is on stderr).
        """
        output = self._pipe("stdout")
        while b"\n" not in self._heard:
            if not select.select([output], [], [], seconds)[0]:
                return None
            more = output.read(4096)
            if not more:
                raise RuntimeError("the processes have gone")
            self._heard += more
        said, _, self._heard = self._heard.partition(b"\n")
        job, how = (int(word) for word in said.split())
        if how < 0:
            raise RuntimeError(f"job {job} failed")
        return job, how

    def run(self, function: str, **arguments: Any) -> int:
        """Start one and wait for its end, two minutes at most; returns the signal that killed it, 0 when it returned."""
        self.start(function, **arguments)
        found = self.ended(120)
        if found is None:
            raise RuntimeError(f"{function} does not end")
        return found[1]

    def _pipe(self, name: str) -> Any:
        return getattr(self._process, name)


def _child(function: str, arguments: dict[str, Any]) -> None:
    try:
        getattr(import_module(JOBS), function)(**arguments)
    except BaseException:  # noqa: BLE001 - whatever it is, the parent hears of it
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _fork(said: bytes) -> tuple[int, int]:
    """Start the child of one line; its process and the number of its job."""
    job, function, arguments = json.loads(said)
    pid = os.fork()
    if pid == 0:
        _die_with_parent()
        _child(function, arguments)
    return pid, job


def _die_with_parent() -> None:
    """Nothing of this outlives the test."""
    import ctypes
    import signal

    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def main() -> None:
    """Load Django, then fork for each line, until nobody asks any more."""
    import django

    django.setup()
    import_module(JOBS).warm_up()
    children: dict[int, int] = {}
    heard = b""
    while True:
        if select.select([0], [], [], 0.02)[0]:
            more = os.read(0, 65536)
            if not more:
                return
            *lines, heard = (heard + more).split(b"\n")
            children |= dict(_fork(said) for said in lines)
        while children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            how = os.WTERMSIG(status) if os.WIFSIGNALED(status) else -os.WEXITSTATUS(status)
            os.write(1, f"{children.pop(pid)} {how}\n".encode())


if __name__ == "__main__":
    main()
