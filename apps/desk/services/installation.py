"""Brings the database and the static files of a desk up to date. Safe to run on several machines at once."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.core.management import call_command
from django.db import connections

from apps.core.locks import lock_key
from apps.core.postgres.session import open_session
from apps.desk.selectors.readiness import migrations_pending

INSTALLATION = "desk-installation"


@contextmanager
def installing() -> Iterator[None]:
    """Within the block nobody else installs into this database; waits for those who do. PostgreSQL frees it when we die."""
    session = open_session(application="desk installation")
    try:
        session.execute("select pg_advisory_lock(%s)", [lock_key(INSTALLATION)])
        yield
    finally:
        session.close()


def database_migrate(*, tell: Callable[[str], None]) -> None:
    """Apply the migrations that the database lacks; does nothing, quickly, when there are none."""
    if migrations_pending():
        tell("bringing the database up to date")
        call_command("migrate", interactive=False, verbosity=0)


def static_collect() -> None:
    """Copy the static files that changed to where the web process serves them from."""
    call_command("collectstatic", interactive=False, verbosity=0)


def connections_leave() -> None:
    """Close all connections and the threads of their pools: the supervisor forks, and holds no connection while it watches."""
    for connection in connections.all(initialized_only=True):
        connection.close()
        connection.close_pool()  # type: ignore[attr-defined]  # PostgreSQL's backend has it
