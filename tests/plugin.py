"""Starts the servers that the tests run against before Django reads its settings, and stops them afterwards.

One PostgreSQL for all xdist workers (each has a database of its own), one Redis for each, because Redis's channels know no databases.
"""

import os
from pathlib import Path
from typing import Any

import pytest

from apps.core.servers import EmbeddedServers
from apps.core.servers.redis import PrivateRedis

ROOT = Path(__file__).resolve().parents[1]
_postgres: EmbeddedServers | None = None
_redis: PrivateRedis | None = None


def _use_timescaledb() -> None:
    binaries = ROOT / "var" / "timescaledb" / "bin"
    if binaries.exists() and "DESK_PG_BIN" not in os.environ:
        os.environ |= {"DESK_PG_BIN": str(binaries), "DESK_TS_PRELOAD": "1"}


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Runs before pytest-django touches the settings, in the controller and in every xdist worker."""
    global _postgres, _redis
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker is None:
        os.environ["DESK_VAR"] = str(ROOT / os.environ.get("DESK_VAR", "var") / "test")
        _use_timescaledb()
    servers = EmbeddedServers(Path(os.environ["DESK_VAR"]), fast=True)
    if worker is None and not os.environ.get("DATABASE_URL"):
        if not servers.postgres.running():
            servers.postgres.start()
            _postgres = servers
        os.environ["DATABASE_URL"] = servers.postgres.url
    run = servers.run / (worker or "main")
    run.mkdir(mode=0o700, exist_ok=True)
    _redis = PrivateRedis(servers.var / "redis" / (worker or "main"), run)
    _redis.start()
    os.environ["REDIS_URL"] = f"unix://{_redis.socket}"


def pytest_unconfigure() -> None:
    if _redis is not None:
        _redis.stop()
    if _postgres is not None:
        _postgres.postgres.stop()


@pytest.fixture(autouse=True, scope="session")
def _flush_past_the_guards() -> None:
    """Between tests with real commits Django truncates all tables, which append-only tables refuse to everybody else."""
    from django.db.backends.postgresql.operations import DatabaseOperations

    flush = DatabaseOperations.execute_sql_flush

    def unguarded(self: Any, sql_list: list[str]) -> None:
        flush(self, ["set session_replication_role = replica", *sql_list, "set session_replication_role = origin"] if sql_list else sql_list)

    DatabaseOperations.execute_sql_flush = unguarded


@pytest.fixture(autouse=True)
def _clean_redis() -> None:
    """Each test begins with an empty Redis: no latest price of another test."""
    if _redis is not None:
        _redis.command("FLUSHALL")
