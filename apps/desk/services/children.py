"""One child process of the supervisor: started, watched, ended, its output in a file of its own."""

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

from apps.desk.domain.processes import DeskProcess, falls_in_a_row, restart_delay

PR_SET_PDEATHSIG = 1
LONGEST_LOG = 20 * 1024 * 1024
#: Longest piece of a log that is read at once; what a child wrote beyond it in one tick stays in the file, unread.
LONGEST_READ = 64 * 1024
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def _prepare(niceness: int) -> None:
    """Runs in the child before its program: the kernel ends it when the supervisor is gone, even by kill -9."""
    if _libc is not None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    stand_back(niceness)


def stand_back(niceness: int) -> None:
    """Let others go first, as nice does (0 to 19). A child is a session of its own, and where Linux shares the processor among sessions before it
    looks at processes ("autogroup", as most systems have it) the number counts within the session only: so the session is told too."""
    os.nice(niceness)
    if niceness:
        with contextlib.suppress(OSError):  # no such sharing here, or none that we may change
            Path("/proc/self/autogroup").write_text(str(niceness))


class Child:
    """A process of the table. `start` again after `fall` keeps the log."""

    def __init__(self, process: DeskProcess, log: Path, environment: dict[str, str]) -> None:
        self.process = process
        self.log = log
        self._environment = environment
        self._popen: subprocess.Popen[bytes] | None = None
        self._read = 0
        self._first = 0
        self._partial = b""
        self._started = 0.0
        self._falls = 0
        self.start_at = 0.0

    @property
    def name(self) -> str:
        return self.process.name

    @property
    def pid(self) -> int | None:
        return self._popen.pid if self._popen else None

    def start(self) -> None:
        """Start it, in a session of its own: Ctrl-C at the terminal reaches the supervisor alone, which ends all in order."""
        self._shorten_log()
        with self.log.open("ab") as output:
            self._read = self._first = output.tell()
            self._popen = subprocess.Popen(
                self.process.argv,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=partial(_prepare, self.process.niceness),  # the supervisor has one thread
            )
        self._started = time.monotonic()

    def fallen(self) -> int | None:
        """Exit code of a process that ended by itself (negative for a signal), else None."""
        return self._popen.poll() if self._popen else None

    def fall(self) -> float:
        """Note the end of the process and plan its next start; returns the delay [s]."""
        self.kill()  # whatever it forked
        self._popen = None
        now = time.monotonic()
        self._falls = falls_in_a_row(before=self._falls, ran_seconds=now - self._started)
        delay = restart_delay(self._falls)
        self.start_at = now + delay
        return delay

    def due(self) -> bool:
        return self._popen is None and time.monotonic() >= self.start_at

    def terminate(self) -> None:
        """Ask it to end."""
        if self._popen and self._popen.poll() is None:
            self._popen.terminate()

    def kill(self) -> None:
        """End it and everything that it started, now."""
        if self._popen:
            kill_group(self._popen.pid)
            self._popen.wait()

    def new_lines(self) -> list[str]:
        """Complete lines that it wrote since the last call."""
        with self.log.open("rb") as file:
            file.seek(self._read)
            text = self._partial + file.read(LONGEST_READ)
            self._read = file.tell()
        lines = text.split(b"\n")
        self._partial = lines.pop()
        return [line.decode(errors="replace") for line in lines]

    def last_lines(self, count: int) -> list[str]:
        """What it wrote last since it was started."""
        with self.log.open("rb") as file:
            file.seek(max(self._first, file.seek(0, os.SEEK_END) - LONGEST_READ))
            return file.read().decode(errors="replace").splitlines()[-count:]

    def _shorten_log(self) -> None:
        if self.log.exists() and self.log.stat().st_size > LONGEST_LOG:
            shutil.move(self.log, self.log.with_suffix(".log.1"))


def kill_group(pid: int) -> None:
    """SIGKILL for a process that leads a session, and for all of its group."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
