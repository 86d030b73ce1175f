"""Databases with all migrations applied, made once and then copied: to migrate takes half a minute, to copy one takes a second.

What was made is named after everything that the migrations do, so that a changed migration makes a new one. A cluster that is copied holds
both: the desk's own database, and the one that tests' databases are made from.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import psycopg
from psycopg import sql

from apps.core.servers import EmbeddedServers
from apps.core.servers.postgres import DATABASE, postgres_binaries

ROOT = Path(__file__).resolve().parents[1]
CLUSTERS = ROOT / "var" / "migrated"
TEMPLATE = "desk_template_"
#: Migrations, the versions of the packages that have some, and what migrations import: their operations, and guards written by the domains.
SOURCES = ("apps/*/migrations/*.py", "apps/*/domain/*.py", "apps/core/operations.py", "apps/core/postgres/*.py", "requirements/base.txt")


@cache
def migrations_hash() -> str:
    digest = hashlib.sha256()
    for path in sorted(path for pattern in SOURCES for path in ROOT.glob(pattern)):
        digest.update(f"{path.relative_to(ROOT)}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """One process makes it, the others wait and find it."""
    CLUSTERS.mkdir(parents=True, exist_ok=True)
    with (CLUSTERS / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _migrate(**environment: str) -> None:
    given = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    command = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
    done = subprocess.run(command, cwd=ROOT, env=given | environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the migrations failed:\n{done.stdout}{done.stderr}")


def migrated_template(url: str) -> str:
    """Name of a database on the server of `url` that has all migrations and admits nobody, which `create database` may copy."""
    name = TEMPLATE + migrations_hash()
    with _alone("template"), psycopg.connect(url, autocommit=True) as connection:
        there = [row[0] for row in connection.execute("select datname from pg_database where starts_with(datname, %s)", [TEMPLATE])]
        if name in there:
            return name
        for stale in there:
            connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(stale)))
        making = f"{name}_making"
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(making)))
        _migrate(DATABASE_URL=with_database(url, making))
        # Nobody may be in a database that is copied, TimescaleDB's own workers included.
        connection.execute(sql.SQL("alter database {} with allow_connections false").format(sql.Identifier(making)))
        connection.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [making])
        connection.execute(sql.SQL("alter database {} rename to {}").format(sql.Identifier(making), sql.Identifier(name)))
    return name


def with_database(url: str, name: str) -> str:
    head, _, query = url.partition("?")
    return f"{head.rsplit('/', 1)[0]}/{name}" + (f"?{query}" if query else "")


def cluster_put(var: Path) -> None:
    """Put a cluster with all migrations, stopped cleanly, where private servers in the folder `var` look for theirs."""
    var.mkdir(parents=True, exist_ok=True)
    with _alone("cluster"):
        made = CLUSTERS / hashlib.sha256(f"{migrations_hash()}:{postgres_binaries()}".encode()).hexdigest()[:16]
        if not made.exists():
            _cluster_make(made)
    shutil.copytree(made / "postgres", var / "postgres")


def _cluster_make(made: Path) -> None:
    for stale in [folder for folder in CLUSTERS.iterdir() if folder.is_dir()]:
        shutil.rmtree(stale)
    making = CLUSTERS / "making"
    servers = EmbeddedServers(making, fast=True, with_redis=False)
    servers.start()
    try:
        url = servers.postgres.url
        template = sql.Identifier(migrated_template(url))
        own = sql.Identifier(DATABASE)
        with psycopg.connect(with_database(url, "postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL("drop database {} with (force)").format(own))
            connection.execute(sql.SQL("create database {} template {}").format(own, template))
    finally:
        servers.stop()
    making.rename(made)
