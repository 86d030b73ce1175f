"""Starts the private servers that the tests run against, before Django reads its settings, and stops them afterwards."""

import os
from pathlib import Path

import pytest

from apps.core.servers import EmbeddedServers

ROOT = Path(__file__).resolve().parents[1]
_servers: EmbeddedServers | None = None


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Runs before pytest-django touches the settings, in the controller and in every xdist worker."""
    global _servers
    if os.environ.get("DATABASE_URL") and os.environ.get("REDIS_URL"):
        return
    os.environ.setdefault("DESK_TEST_VAR", str(ROOT / os.environ.get("DESK_VAR", "var") / "test"))
    os.environ["DESK_VAR"] = os.environ["DESK_TEST_VAR"]
    timescale = ROOT / "var" / "timescaledb" / "bin"
    if timescale.exists() and "DESK_PG_BIN" not in os.environ:
        os.environ["DESK_PG_BIN"] = str(timescale)
        os.environ["DESK_TS_PRELOAD"] = "1"
    servers = EmbeddedServers(Path(os.environ["DESK_VAR"]), fast=True)
    if "PYTEST_XDIST_WORKER" not in os.environ:
        if not servers.running():
            servers.start()
            _servers = servers


def pytest_unconfigure() -> None:
    if _servers is not None:
        _servers.stop()
