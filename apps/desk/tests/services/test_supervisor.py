"""The supervisor with real processes: small ones, so that it is its behaviour that takes the time."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from apps.core.errors import Conflict
from apps.core.servers.processes import alive
from apps.desk.services.children import stand_back
from apps.desk.services.supervisor import REGISTER, end_stale_processes, only_desk, port_check

ROOT = Path(__file__).resolve().parents[4]
SUPERVISOR = """
import json, signal, sys
from pathlib import Path
from apps.desk.domain.processes import DeskProcess
from apps.desk.services.supervisor import Supervisor, end_stale_processes
stop = []
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda *_: stop.append(1))
var, table = Path(sys.argv[1]), json.loads(sys.argv[2])
end_stale_processes(var)
processes = [DeskProcess(name=name, argv=(sys.executable, "-u", "-c", code)) for name, code in table.items()]
say = lambda line: print(line, flush=True)
Supervisor(processes, var=var, url="http://127.0.0.1:1", tell=say, stopping=lambda: bool(stop)).run(on_ready=lambda: None)
"""
SLEEPER = "import os, time; print('up', os.getpid()); time.sleep(600)"
DEAF = "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', os.getpid()); time.sleep(600)"
WARNS = "import time; print('INFO quiet'); [print(n, 'WARNING look here') for n in range(9)]; print('ERROR bad'); time.sleep(600)"
PARENT = "import os, subprocess, sys, time; c = subprocess.Popen(['sleep', '600']); print('up', c.pid); time.sleep(600)"


class Run:
    """A supervisor in a process of its own."""

    def __init__(self, var: Path, **table: str) -> None:
        self.var = var
        command = [sys.executable, "-c", SUPERVISOR, str(var), json.dumps(table)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)

    def log(self, name: str) -> str:
        path = self.var / "log" / f"{name}.log"
        return path.read_text() if path.exists() else ""

    def pid(self, name: str) -> int:
        """What the child says of itself, or of its own child."""
        eventually(lambda: self.starts(name))
        return int(self.starts(name)[-1])

    def starts(self, name: str) -> list[str]:
        """What the child has said of itself, each time that it was started; a line that is still being written does not count."""
        return re.findall(r"up (\d+)\n", self.log(name))

    def says(self) -> str:
        return self.process.stdout.readline()

    def stop(self, word: int = signal.SIGINT) -> None:
        """Ten seconds are promised; a test machine is busy."""
        self.process.send_signal(word)
        self.process.wait(60)


def eventually(condition: Callable[[], Any], *, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen"
        time.sleep(0.02)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    runs: list[Run] = []

    def run(**table: str) -> Run:
        runs.append(Run(tmp_path, **table))
        return runs[-1]

    yield run
    for made in runs:
        if made.process.poll() is None:
            made.stop()


class TestStop:
    @pytest.mark.parametrize("word", [signal.SIGINT, signal.SIGTERM])
    def test_every_process_ends(self, start: Callable[..., Run], word: int) -> None:
        run = start(first=SLEEPER, second=PARENT)
        pids = [run.pid("first"), run.pid("second")]
        run.stop(word)
        assert run.process.returncode == 0
        assert not any(map(alive, pids))
        assert "ended by force" not in run.process.stdout.read()

    def test_a_deaf_process_is_ended_by_force_in_time(self, start: Callable[..., Run]) -> None:
        run = start(deaf=DEAF)
        pid = run.pid("deaf")
        run.stop()
        assert not alive(pid)
        assert "ended by force: deaf" in run.process.stdout.read()


class TestFall:
    def test_a_fallen_process_starts_again_and_the_terminal_hears_why(self, start: Callable[..., Run]) -> None:
        run = start(worker=SLEEPER)
        first = run.pid("worker")
        os.kill(first, signal.SIGKILL)
        said = run.says()
        assert "worker ended (signal SIGKILL), starts again in 0.5 s" in said
        eventually(lambda: len(run.starts("worker")) == 2)
        assert alive(run.pid("worker"))

    def test_falls_in_a_row_take_longer(self, start: Callable[..., Run]) -> None:
        run = start(broken="raise SystemExit('no luck')")
        said = [run.says() for _ in range(4)]
        assert "exit code 1" in said[0]
        assert "no luck" in said[1]
        assert "starts again in 1 s" in said[2]


def test_each_warning_reaches_the_terminal_once_and_the_log_has_everything(start: Callable[..., Run]) -> None:
    run = start(noisy=WARNS)
    assert [run.says(), run.says()] == ["noisy: 0 WARNING look here\n", "noisy: ERROR bad\n"]
    assert "INFO quiet" in run.log("noisy")
    assert run.log("noisy").count("WARNING") == 9


class TestKilledSupervisor:
    def test_takes_its_children_along(self, start: Callable[..., Run]) -> None:
        run = start(first=SLEEPER, second=SLEEPER)
        pids = [run.pid("first"), run.pid("second")]
        run.process.kill()
        run.process.wait()
        eventually(lambda: not any(map(alive, pids)))

    def test_the_next_one_ends_what_is_left(self, start: Callable[..., Run], tmp_path: Path) -> None:
        run = start(deaf=DEAF)
        pid = run.pid("deaf")
        run.process.kill()
        run.process.wait()
        assert alive(pid)
        end_stale_processes(tmp_path)
        assert not alive(pid)

    def test_a_number_that_another_process_has_now_is_left_alone(self, tmp_path: Path) -> None:
        stranger = subprocess.Popen(["sleep", "60"])
        try:
            (tmp_path / REGISTER).write_text(json.dumps([{"pid": stranger.pid, "started": "1"}]))
            end_stale_processes(tmp_path)
            assert alive(stranger.pid)
        finally:
            stranger.kill()
            stranger.wait()


class TestRefusals:
    def test_one_desk_in_a_folder(self, tmp_path: Path) -> None:
        with only_desk(tmp_path), pytest.raises(Conflict, match=f"process {os.getpid()}"), only_desk(tmp_path):
            pass
        with only_desk(tmp_path):
            pass

    def test_a_taken_port_is_named(self) -> None:
        with socket.socket() as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # until somebody listens, others may bind it too, who ask for it
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
            port_check("127.0.0.1", port)
            taken.listen()
            with pytest.raises(Conflict, match=f"port {port} is taken: PORT={port + 1}"):
                port_check("127.0.0.1", port)


def test_a_process_stands_back_with_its_session() -> None:
    code = """
import os
from pathlib import Path
shared = Path("/proc/self/autogroup")
print(os.nice(0), shared.read_text().rpartition(" ")[2] if shared.exists() else "7")
"""
    child = subprocess.run(
        [sys.executable, "-c", code], start_new_session=True, preexec_fn=partial(stand_back, 7), capture_output=True, text=True, check=True
    )
    assert child.stdout.split() == [str(os.nice(0) + 7), "7"]
