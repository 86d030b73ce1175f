"""Advisory locks: within a transaction in a fixed order, and leases that one process of the whole desk holds at a time."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from django.db import OperationalError, connection
from psycopg.errors import LockNotAvailable

from apps.core.errors import Conflict, Unavailable
from apps.core.postgres.session import open_session

LOCK_TIMEOUT_MS = 5_000


def lock_key(name: str) -> int:
    """The signed 64-bit number that PostgreSQL knows a named lock by."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), signed=True)


def lock_transaction(*names: str, timeout_ms: int = LOCK_TIMEOUT_MS) -> None:
    """Hold the named locks until the transaction ends. Always taken in order of name, so that no two callers can deadlock.

    The timeout also holds for the row locks that the rest of the transaction takes. Raises Conflict when somebody else holds
    one for longer, and RuntimeError outside a transaction, where the locks would be gone at once.
    """
    if not connection.in_atomic_block:
        raise RuntimeError("lock_transaction needs a transaction")
    keys = [lock_key(name) for name in sorted(set(names))]
    with connection.cursor() as cursor:
        cursor.execute("select set_config('lock_timeout', %s, true)", [str(timeout_ms)])
        try:
            cursor.execute("select pg_advisory_xact_lock(key) from unnest(%s::bigint[]) with ordinality as given (key, n) order by n", [keys])
        except OperationalError as error:
            if isinstance(error.__cause__, LockNotAvailable):
                raise Conflict(f"{', '.join(sorted(set(names)))} is locked by other work; try again") from error
            raise


class Lease:
    """A lock that lives as long as its connection: PostgreSQL frees it when the process dies, whichever way."""

    def __init__(self, name: str, session: "psycopg.Connection[Any]") -> None:
        self.name = name
        self._session = session

    def check(self) -> None:
        """Raise Unavailable when the connection, and with it the lease, is lost: another process may hold it now."""
        try:
            self._session.execute("select 1")
        except psycopg.OperationalError as error:
            raise Unavailable(f"the lease {self.name!r} is lost: {error}") from error


@contextmanager
def lease(name: str) -> Iterator[Lease]:
    """Within the block this process alone holds the named lease. Raises Conflict when another one holds it.

    It does not wait. Long work calls `Lease.check()` now and then, since a lost connection loses the lease.
    """
    session = open_session(application=f"desk lease {name}"[:60])
    try:
        row = session.execute("select pg_try_advisory_lock(%s)", [lock_key(f"lease:{name}")]).fetchone()
        if row is None or not row[0]:
            raise Conflict(f"{name} is already running elsewhere", lease=name)
        yield Lease(name, session)
    finally:
        session.close()
