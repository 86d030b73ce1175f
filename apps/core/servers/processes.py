"""What /proc says of processes: which of them still hold a cluster's files."""

import os
import signal
import time
from pathlib import Path

PROC = Path("/proc")


def state(pid: int) -> str:
    """One letter, as in ps ("S", "R", "Z"); empty when there is no such process."""
    try:
        return (PROC / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()[0]
    except (OSError, IndexError):
        return ""


def alive(pid: int) -> bool:
    """True for a process that runs. A zombie, which only waits to be reaped, does not: kill(pid, 0) would say otherwise."""
    return state(pid) not in ("", "Z", "X")


def working_in(folder: Path) -> list[int]:
    """Processes whose working folder is `folder`: a PostgreSQL server and its back ends work in their data folder."""
    found = []
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            try:
                if (entry / "cwd").readlink() == folder and alive(int(entry.name)):
                    found.append(int(entry.name))
            except OSError:  # gone meanwhile, or another user's
                continue
    return found


def end_all(folder: Path, *, patience: float) -> list[int]:
    """End the processes that work in `folder`: ask, wait [s], kill, wait. Returns those that would not go."""
    for word in (signal.SIGQUIT, signal.SIGKILL):
        deadline = time.monotonic() + patience
        for pid in working_in(folder):
            try:
                os.kill(pid, word)
            except ProcessLookupError:
                continue
        while working_in(folder) and time.monotonic() < deadline:
            time.sleep(0.02)
    return working_in(folder)
