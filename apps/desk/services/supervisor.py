"""One desk on one machine: starts every process, watches them, starts the fallen ones again, stops them all.

Our own code and not a process manager's, because the children must not outlive a supervisor that is killed with -9.
"""

import fcntl
import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from apps.core.errors import Conflict, Unavailable
from apps.core.servers.processes import alive
from apps.desk.domain.processes import REPEAT_SECONDS, DeskProcess, same_message, worth_showing
from apps.desk.services.children import Child, kill_group

REGISTER = "desk.processes"
TICK_SECONDS = 0.1
#: Celery's workers then end as soon as their tasks have ended or a short time has passed (CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT).
CHILD_ENVIRONMENT = {"PYTHONUNBUFFERED": "1", "REMAP_SIGTERM": "SIGQUIT"}
CHECK_SECONDS = 2.0
#: From Ctrl-C to kill -9. The private servers get what is left of the promised ten seconds.
PATIENCE_SECONDS = 7.0
#: A web process that does not answer after so long is reported.
READY_SECONDS = 60.0
#: Of a fallen process's log, on the terminal.
LAST_LINES = 3


class Supervisor:
    """Runs the processes until told to stop. `tell` gets lines for the terminal, `stopping` is asked all the time.

    `check` is called every other second, to look after what is not in the table.
    """

    def __init__(
        self,
        processes: Sequence[DeskProcess],
        *,
        var: Path,
        url: str,
        tell: Callable[[str], None],
        stopping: Callable[[], bool],
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self._folder = var / "log"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._register = var / REGISTER
        self._url = url
        self._tell = tell
        self._stopping = stopping
        self._check = check
        self._shown_at: dict[tuple[str, str], float] = {}
        environment = {**os.environ, **CHILD_ENVIRONMENT}
        self._children = [Child(process, self._folder / f"{process.name}.log", environment) for process in processes]

    def run(self, *, on_ready: Callable[[], None]) -> None:
        """Start all, call `on_ready` once when the web process answers /healthz, keep all running, end all."""
        try:
            for child in self._children:
                child.start()
            self._write_register()
            self._watch(on_ready)
        finally:
            self._end()

    def _watch(self, on_ready: Callable[[], None]) -> None:
        started = checked = time.monotonic()
        ready = False
        while not self._stopping():
            for child in self._children:
                self._look_after(child)
            if not ready and answers(f"{self._url}/healthz"):
                ready = True
                on_ready()
            elif not ready and time.monotonic() - started > READY_SECONDS:
                self._tell(f"no answer from {self._url}/healthz for {READY_SECONDS:.0f} s: see {self._folder / 'web.log'}")
                started = time.monotonic()
            if time.monotonic() - checked > CHECK_SECONDS:
                self._check()
                checked = time.monotonic()
            time.sleep(TICK_SECONDS)

    def _look_after(self, child: Child) -> None:
        for line in child.new_lines():
            if worth_showing(line) and self._is_news(child.name, line):
                self._tell(f"{child.name}: {line}")
        code = child.fallen()
        if code is not None:
            last = "".join(f"\n    {line}" for line in child.last_lines(LAST_LINES))
            delay = child.fall()
            self._tell(f"{child.name} ended ({_reason(code)}), starts again in {delay:g} s; see {child.log}{last}")
        elif child.due():
            child.start()
            self._write_register()

    def _is_news(self, name: str, line: str) -> bool:
        message, now = (name, same_message(line)), time.monotonic()
        if now - self._shown_at.get(message, -REPEAT_SECONDS) < REPEAT_SECONDS:
            return False
        self._shown_at = {key: at for key, at in self._shown_at.items() if now - at < REPEAT_SECONDS} | {message: now}
        return True

    def _write_register(self) -> None:
        """Who runs, for the next supervisor in case this one is killed."""
        entries = [{"pid": child.pid, "started": _start_time(child.pid)} for child in self._children if child.pid]
        fresh = self._register.with_suffix(".new")
        fresh.write_text(json.dumps(entries))
        fresh.replace(self._register)

    def _end(self) -> None:
        """Ask all, wait, then kill what is left: groups too, since a worker's own children may have missed the word."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # they have been heard
        for child in self._children:
            child.terminate()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline and any(child.pid and child.fallen() is None for child in self._children):
            time.sleep(0.02)
        late = [child.name for child in self._children if child.pid and child.fallen() is None]
        for child in self._children:
            child.kill()
        if late:
            self._tell(f"ended by force: {', '.join(late)}")
        self._register.unlink(missing_ok=True)


def _reason(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"


def answers(url: str) -> bool:
    """True when the address answers with 200."""
    try:
        with urlopen(url, timeout=1) as response:  # noqa: S310  (our own address)
            return bool(response.status == 200)
    except (URLError, OSError):
        return False


def _start_time(pid: int | None) -> str:
    """When a process started, in clock ticks since the machine's start: with its number it names one process for ever."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
    except (OSError, IndexError):
        return ""


def end_stale_processes(var: Path) -> None:
    """End what a killed supervisor left behind, had the kernel's word not been enough. Raises Unavailable when one stays."""
    register = var / REGISTER
    try:
        entries = json.loads(register.read_text())
    except (OSError, ValueError):
        return
    stale = [entry["pid"] for entry in entries if entry["started"] and entry["started"] == _start_time(entry["pid"])]
    for pid in stale:
        kill_group(pid)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while left := [pid for pid in stale if alive(pid)]:
        if time.monotonic() > deadline:
            raise Unavailable(f"processes {left} of an earlier desk do not end")
        time.sleep(0.02)
    register.unlink(missing_ok=True)


@contextmanager
def only_desk(var: Path) -> Iterator[None]:
    """Within the block no other desk runs in this folder. Raises Conflict when one does; a killed one holds nothing."""
    var.mkdir(parents=True, exist_ok=True)
    with (var / "desk.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise Conflict(f"a desk runs here already: {file.read().strip()}") from error
        file.truncate(0)
        file.write(f"process {os.getpid()}")
        file.flush()
        yield


def port_check(host: str, port: int) -> None:
    """Pass when the address is free. Raises Conflict, or Unavailable for an address that this machine does not have."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == 98:  # EADDRINUSE
                raise Conflict(f"port {port} is taken: PORT={port + 1} make demo uses another", field="port") from error
            raise Unavailable(f"cannot listen on {host}:{port}: {error.strerror}", field="host") from error
