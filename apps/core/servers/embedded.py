"""The private servers as a pair: found if they run, started if they do not, stopped by the last one who uses them."""

import contextlib
import fcntl
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from types import FrameType
from typing import NoReturn, TextIO

from apps.core.servers.errors import ServerError
from apps.core.servers.folders import make_run_folder
from apps.core.servers.postgres import PrivatePostgres
from apps.core.servers.redis import PrivateRedis

ROOT = Path(__file__).resolve().parents[3]
COMMANDS_WITHOUT_SERVERS = {
    "help", "--help", "-h", "version", "--version", "check", "collectstatic", "diffsettings", "findstatic", "startapp", "startproject",
}  # fmt: skip


class EmbeddedServers:
    """The private PostgreSQL and Redis of one `var` folder, or one of them.

    Everybody who uses them holds a shared lock on a file between `start` and `stop`, and the last one to let go stops the servers.
    The kernel lets go for a process that is killed, so a dead user never keeps them, and never takes them from the living.
    """

    def __init__(self, var: Path, *, fast: bool = False, with_postgres: bool = True, with_redis: bool = True) -> None:
        self.var = var.resolve()
        self.fast = fast
        self.with_postgres = with_postgres
        self.with_redis = with_redis
        self._hold: TextIO | None = None

    @cached_property
    def run(self) -> Path:
        """Folder of the sockets, mode 0700."""
        return make_run_folder(self.var)

    @cached_property
    def postgres(self) -> PrivatePostgres:
        return PrivatePostgres(self.var / "postgres", self.run, self.fast)

    @cached_property
    def redis(self) -> PrivateRedis:
        return PrivateRedis(self.var / "redis", self.run)

    @property
    def _servers(self) -> list[PrivatePostgres | PrivateRedis]:
        return [*([self.redis] if self.with_redis else []), *([self.postgres] if self.with_postgres else [])]

    @contextlib.contextmanager
    def _exclusively(self) -> Iterator[None]:
        """One process at a time starts or stops servers here."""
        self.var.mkdir(parents=True, exist_ok=True)
        with (self.var / "servers.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def running(self) -> bool:
        return all(server.running() for server in self._servers)

    def alive(self) -> bool:
        """True while no server has died; cheap enough to be asked every second. A server that recovers is alive."""
        return all(server.pid() is not None for server in self._servers)

    def start(self) -> None:
        """Use the servers: start what does not run. Until `stop`, nobody else's `stop` ends them. Raises ServerError."""
        with self._exclusively():
            if self._hold is None:
                self._hold = (self.var / "servers.users").open("w")
                fcntl.flock(self._hold, fcntl.LOCK_SH)
            try:
                for server in self._servers:
                    server.start()
            except BaseException:
                self._leave()
                raise

    def stop(self) -> None:
        """Let go of the servers, and stop them when nobody else uses them."""
        with self._exclusively():
            self._leave()

    def _leave(self) -> None:
        if self._let_go():  # both, since another user may have left the one that we did not need
            self.postgres.stop()
            self.redis.stop()

    def _let_go(self) -> bool:
        """True when nobody uses the servers any more."""
        if self._hold is not None:
            self._hold.close()
            self._hold = None
        with (self.var / "servers.users").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True


def command_needs_servers(argv: Sequence[str]) -> bool:
    """False for those manage.py commands that never connect to anything."""
    return len(argv) > 1 and argv[1] not in COMMANDS_WITHOUT_SERVERS and not {"--help", "-h"} & set(argv)


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(128 + number)


@contextlib.contextmanager
def servers_for_command(argv: Sequence[str]) -> Iterator[None]:
    """Private servers for the time of one manage.py command, in place of those whose URL is not given."""
    servers = EmbeddedServers(
        ROOT / os.environ.get("DESK_VAR", "var"),
        with_postgres=not os.environ.get("DATABASE_URL"),
        with_redis=not os.environ.get("REDIS_URL"),
    )
    if not command_needs_servers(argv) or not (servers.with_postgres or servers.with_redis):
        yield
        return
    # The default action of SIGTERM would leave the servers behind. Commands may set their own.
    signal.signal(signal.SIGTERM, _end)
    try:
        servers.start()
    except ServerError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(5)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):  # an impatient second Ctrl-C must not leave them behind either
            signal.signal(number, signal.SIG_IGN)
        servers.stop()
