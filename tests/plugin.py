"""Starts the servers that the tests run against before Django reads its settings, and stops them afterwards.

One PostgreSQL for all xdist workers (each has a database of its own), one Redis for each, because Redis's channels know no databases.

With CI=true nothing may be left out: a missing TimescaleDB or Chromium ends the run before it begins, and a skipped test fails. The
only exception is the marker `needs_shared_data`, for tests on data sets that may not be copied into the project.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from django.db import transaction
from hypothesis import HealthCheck, settings

from apps.core.servers import EmbeddedServers, ServerError
from apps.core.servers.postgres import has_timescaledb, postgres_binaries
from tests.migrated import cluster_put

ROOT = Path(__file__).resolve().parents[1]
TIMESCALEDB = ROOT / "var" / "timescaledb" / "bin"
SHARED_DATA = Path(os.environ.get("DESK_SHARED_DATA", ROOT.parent / "shared" / "data" / "shared_only"))
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_servers: EmbeddedServers | None = None


def in_ci() -> bool:
    return os.environ.get("CI", "").lower() == "true"


# A property holds or does not, however slow the machine is on which it is tried. CI tries the same examples each time: it tells whether a
# change has broken something, and new counterexamples are found at home.
settings.register_profile("desk", deadline=None, derandomize=in_ci(), suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("desk")


def timescaledb_present() -> bool:
    """A server given by URL is taken to have it, because the suite would say so loudly if it had not."""
    return "DESK_TEST_GIVEN_DATABASE" in os.environ or has_timescaledb(postgres_binaries())


def chromium_path() -> str | None:
    """$DESK_CHROMIUM, else the machine's Chromium."""
    return next((found for name in (os.environ.get("DESK_CHROMIUM", ""), *BROWSERS) if name and (found := shutil.which(name))), None)


def _prepare_environment() -> None:
    """Once, in the controller; workers inherit it."""
    if (TIMESCALEDB / "postgres").exists():
        os.environ.setdefault("DESK_PG_BIN", str(TIMESCALEDB))
    for name in ("DATABASE", "REDIS"):
        if os.environ.get(f"{name}_URL"):
            os.environ[f"DESK_TEST_GIVEN_{name}"] = "1"
    # A folder of its own for each kind of server: a cluster belongs to one major version.
    flavour = "test-timescaledb" if timescaledb_present() else "test"
    os.environ["DESK_VAR"] = str(ROOT / os.environ.get("DESK_VAR", "var") / flavour)


def _refuse_to_leave_out() -> None:
    """In CI, before anything is started."""
    missing = [name for name, there in (("TimescaleDB", timescaledb_present()), ("Chromium", chromium_path())) if not there]
    if missing and in_ci():
        raise pytest.UsageError(f"CI=true, and {' and '.join(missing)} is missing: run `make test`, which sets it up")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    """Runs before pytest-django touches the settings, in the controller and in every xdist worker."""
    global _servers
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    try:
        if worker is None:
            _prepare_environment()
            _refuse_to_leave_out()
        var = Path(os.environ["DESK_VAR"])
        _servers = EmbeddedServers(
            var / worker if worker else var,
            fast=True,
            with_postgres=worker is None and "DESK_TEST_GIVEN_DATABASE" not in os.environ,
            with_redis="DESK_TEST_GIVEN_REDIS" not in os.environ,
        )
        if _servers.with_postgres and not _servers.postgres.data.exists():
            cluster_put(var)
        _servers.start()
    except ServerError as error:
        raise pytest.UsageError(str(error)) from error
    if _servers.with_postgres:
        os.environ["DATABASE_URL"] = _servers.postgres.url
    if _servers.with_redis:
        os.environ["REDIS_URL"] = f"unix://{_servers.redis.socket}"


def pytest_unconfigure() -> None:
    if _servers is not None:
        _servers.stop()
    if "PYTEST_XDIST_WORKER" not in os.environ:  # a worker that was killed left its Redis behind
        for folder in Path(os.environ["DESK_VAR"]).glob("gw*"):
            EmbeddedServers(folder, with_postgres=False).stop()


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("needs_shared_data") and not SHARED_DATA.is_dir():
        pytest.skip(f"needs the shared data sets, which are not in {SHARED_DATA}")
    if item.get_closest_marker("timescaledb") and not timescaledb_present():
        pytest.skip("needs a server with TimescaleDB: run deploy/timescaledb.sh var/timescaledb")
    if item.get_closest_marker("browser") and not chromium_path():
        pytest.skip("needs Chromium: run deploy/chromium.sh")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    return report if item.get_closest_marker("needs_shared_data") else _refuse_skip(report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    return _refuse_skip((yield))


def _refuse_skip(report: Any) -> Any:
    """In CI, what was left out has failed."""
    if in_ci() and report.skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else getattr(report, "wasxfail", "")
        report.outcome = "failed"
        report.longrepr = f"left out although CI=true: {reason}"
        if hasattr(report, "wasxfail"):
            del report.wasxfail
    return report


#: Filled by migrations and the post_migrate signal, changed by no test with real commits: emptying and filling them again would cost a
#: second a test, and a test that comes after another must find what it finds when it comes first.
KEPT = frozenset(
    {"django_migrations", "django_content_type", "auth_permission", "auth_group", "auth_group_permissions"}
    | {"execution_venue", "marketdata_retentionpolicy", "risk_desklimit", "risk_historicaldesklimit"}
    | {f"risk_{prefix}stress{name}" for prefix in ("", "historical") for name in ("scenario", "shock", "exposure")}
    | {f"django_celery_beat_{name}" for name in ("crontabschedule", "intervalschedule", "periodictask", "periodictasks")}
)


def _empty_tables(self: Any, sql_list: list[str]) -> None:
    """Between tests with real commits: empty the tables that have rows, past the guards which refuse that to everybody else."""
    if not sql_list:
        return
    quote = self.quote_name
    names = [name for name in self.connection.introspection.django_table_names(only_existing=True, include_views=False) if name not in KEPT]
    with transaction.atomic(using=self.connection.alias), self.connection.cursor() as cursor:
        cursor.execute(" union all ".join(f"select '{name}' where exists (select 1 from {quote(name)})" for name in names))
        filled = [name for (name,) in cursor.fetchall()]
        cursor.execute("set local session_replication_role = replica")
        for name in filled:
            cursor.execute(f"delete from {quote(name)}")


@pytest.fixture(autouse=True, scope="session")
def _flush_what_tests_filled() -> None:
    from django.core.management.commands import flush
    from django.db.backends.postgresql.operations import DatabaseOperations

    DatabaseOperations.execute_sql_flush = _empty_tables
    flush.emit_post_migrate_signal = Mock()  # what it would make is kept


@pytest.fixture(autouse=True)
def _clean_memory() -> None:
    """Each test begins with an empty Redis, and remembers no price, no position and no returns of another test's database."""
    if _servers is not None and _servers.with_redis:
        _servers.redis.command("FLUSHALL")
    from apps.core.kept import forget_everything
    from apps.marketdata.selectors.quotes import prices_forget

    prices_forget()
    forget_everything()
