"""A whole desk with a folder of its own, for tests that kill its processes."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen
from uuid import uuid4

from apps.core.servers import EmbeddedServers
from apps.core.servers.processes import alive
from apps.desk.services.supervisor import REGISTER

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 900
PRIVATE = ("DATABASE_URL", "REDIS_URL", "DESK_PG_BIN", "DJANGO_SETTINGS_MODULE")


def eventually(condition: Callable[[], Any], *, seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s"
        time.sleep(0.1)


def port_hold() -> socket.socket:
    """A free port, held for a server to listen on: nobody else is given it, and whoever asks for the address's reuse, as servers do, may
    bind it beside."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    return held


class RunningDesk:
    """`make demo` with its own data; what it prints goes to a file, so that nobody has to read along."""

    def __init__(self, var: Path) -> None:
        self.var = var
        self.servers = EmbeddedServers(var)
        self.output = var / "terminal.txt"
        var.mkdir(parents=True, exist_ok=True)
        self._held = port_hold()
        self.port = self._held.getsockname()[1]
        self.environment = {key: value for key, value in os.environ.items() if key not in PRIVATE} | {"DESK_VAR": str(var)}

    def copied(self, var: Path) -> "RunningDesk":
        """A desk in another folder that begins with what this one left when it was stopped; sockets cannot be copied."""
        shutil.copytree(self.var, var, ignore=shutil.ignore_patterns("run"), dirs_exist_ok=True)
        return RunningDesk(var)

    def start(self) -> None:
        """Start it and wait until people can log in."""
        with self.output.open("w") as output:
            command = [sys.executable, "manage.py", "desk", "--port", str(self.port)]
            self.process = subprocess.Popen(command, cwd=ROOT, env=self.environment, stdout=output, stderr=output, start_new_session=True)
        eventually(lambda: "login admin" in self.printed or self.process.poll() is not None, seconds=START_SECONDS, what="start")
        assert self.process.poll() is None, self.printed
        self.logins = dict(re.findall(r"^login (\S+) (\S+)$", self.printed, re.MULTILINE))

    def stop(self) -> float:
        """Ctrl-C; returns the seconds that it took."""
        started = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        self.process.wait(120)
        return time.monotonic() - started

    def abandon(self) -> None:
        """Whatever happened, leave nothing running."""
        self._held.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(120)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.servers.stop()

    @property
    def printed(self) -> str:
        return self.output.read_text()

    def children(self) -> list[int]:
        """Process ids of the supervisor's children, as it has written them down."""
        try:
            return [entry["pid"] for entry in json.loads((self.var / REGISTER).read_text())]
        except (OSError, ValueError):
            return []

    def kill_everything(self) -> None:
        """kill -9 for the supervisor, its children, PostgreSQL and Redis: what a power cut leaves."""
        pids = [self.process.pid, *self.children(), self.servers.postgres.pid(), self.servers.redis.pid()]
        for pid in filter(None, pids):
            os.kill(pid, signal.SIGKILL)
        self.process.wait()
        eventually(lambda: not any(alive(pid) for pid in pids if pid), seconds=60, what="death")

    def call(self, method: str, path: str, body: Any = None, *, token: str = "", key: str = "") -> Any:
        """One REST call. Raises HTTPError with the problem's text."""
        headers = {"Content-Type": "application/json"}
        headers |= {"Authorization": f"Bearer {token}"} if token else {}
        headers |= {"Idempotency-Key": key} if key else {}
        data = None if body is None else json.dumps(body).encode()
        request = Request(f"http://127.0.0.1:{self.port}/api/v1/{path}", data=data, headers=headers, method=method)
        try:
            with urlopen(request, timeout=120) as response:
                return json.load(response)
        except HTTPError as error:
            error.add_note(error.read().decode(errors="replace")[:500])
            raise

    def token(self, user: str) -> str:
        return str(self.call("POST", "token/", {"username": user, "password": self.logins[user]})["access"])

    def order(self, token: str, portfolio: int, symbol: str, quantity: str) -> dict[str, Any]:
        """Buy at the market; the answer is the acknowledgement."""
        body = {"portfolio_id": portfolio, "symbol": symbol, "side": "buy", "quantity": quantity, "order_type": "market", "time_in_force": "day"}
        return dict(self.call("POST", "orders/", body, token=token, key=str(uuid4())))

    def trades(self, token: str, portfolio: int) -> bool:
        """True when an order passes the gate: after a restart it refuses until the feed has brought a fresh price."""
        try:
            return bool(self.order(token, portfolio, "IBM", "1"))
        except HTTPError as error:
            if error.code == 422:
                return False
            raise

    def answers(self) -> bool:
        try:
            with urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=60) as response:
                return bool(response.status == 200)
        except (URLError, OSError):
            return False

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A manage.py command beside the desk."""
        command = [sys.executable, "manage.py", *words]
        return subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=600, check=False)
