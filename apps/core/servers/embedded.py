"""The private servers as a pair: found if they run, started if they do not, stopped by whoever started them."""

import contextlib
import fcntl
import hashlib
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from apps.core.servers.postgres import PrivatePostgres, ServerError
from apps.core.servers.redis import PrivateRedis

#: A Unix socket's path holds 107 bytes.
LONGEST_RUN_PATH = 80
COMMANDS_WITHOUT_SERVERS = {"help", "--help", "-h", "--version", "version", "startapp", "startproject", "collectstatic"}


@dataclass(frozen=True, slots=True)
class ServerUrls:
    """What Django, Redis clients and Celery connect to."""

    database: str
    redis_base: str

    def redis(self, number: int) -> str:
        """URL of one of Redis's numbered databases."""
        if self.redis_base.startswith("unix:"):
            return f"{self.redis_base}?db={number}"
        return f"{self.redis_base.rstrip('/')}/{number}"

    def celery(self, number: int) -> str:
        """The same for Celery, whose transport spells a socket differently."""
        if self.redis_base.startswith("unix:"):
            return f"redis+socket:{self.redis_base.removeprefix('unix:')}?virtual_host={number}"
        return self.redis(number)


class EmbeddedServers:
    """The private PostgreSQL and Redis of one `var` folder."""

    def __init__(self, var: Path, *, fast: bool = False) -> None:
        self.var = var.resolve()
        self.fast = fast

    @cached_property
    def run(self) -> Path:
        """Folder of the sockets, mode 0700."""
        folder = self.var / "run"
        if len(str(folder)) > LONGEST_RUN_PATH:
            name = hashlib.sha256(f"{os.getuid()}:{self.var}".encode()).hexdigest()[:12]
            folder = Path(tempfile.gettempdir()) / f"desk-{name}"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder

    @cached_property
    def postgres(self) -> PrivatePostgres:
        return PrivatePostgres(self.var / "postgres", self.run, self.fast)

    @cached_property
    def redis(self) -> PrivateRedis:
        return PrivateRedis(self.var / "redis", self.run)

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        self.var.mkdir(parents=True, exist_ok=True)
        with (self.var / "servers.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def running(self) -> bool:
        return self.postgres.running() and self.redis.running()

    def start(self) -> None:
        with self._lock():
            self.redis.start()
            self.postgres.start()

    def stop(self) -> None:
        with self._lock():
            self.postgres.stop()
            self.redis.stop()


def server_urls(*, var: Path, database_url: str, redis_url: str) -> ServerUrls:
    """The given URLs, and the private servers' for those that are empty."""
    embedded = EmbeddedServers(var)
    return ServerUrls(database_url or embedded.postgres.url, redis_url or f"unix://{embedded.run}/redis.sock")


@contextlib.contextmanager
def servers_for_command(argv: Sequence[str]) -> Iterator[None]:
    """Private servers for the time of one manage.py command, unless they already run or URLs are given."""
    given = bool(os.environ.get("DATABASE_URL") and os.environ.get("REDIS_URL"))
    if given or len(argv) < 2 or argv[1] in COMMANDS_WITHOUT_SERVERS or "--help" in argv:
        yield
        return
    servers = EmbeddedServers(Path(__file__).resolve().parents[3] / os.environ.get("DESK_VAR", "var"))
    try:
        ours = not servers.running()
        if ours:
            servers.start()
    except ServerError as error:
        sys.exit(f"{error}")
    try:
        yield
    finally:
        if ours:
            servers.stop()
