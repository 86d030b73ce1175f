"""Advisory locks: within a transaction in a fixed order, and leases that one process of the whole desk holds at a time."""

import hashlib
from collections.abc import Iterable, Iterator
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


def lease_break(name: str) -> bool:
    """End the connection that holds the lease; whether somebody held it. For a holder that is known to hang: it finds out when it wakes up,
    and what it would still write must be refused by a fencing token."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and objsubid = 1 and granted"
            " and database = (select oid from pg_database where datname = current_database())"
            " and ((classid::int8 << 32) | objid::int8) = %s",
            [lock_key(f"lease:{name}")],
        )
        return any(ended for (ended,) in cursor.fetchall())


class LeaseSet:
    """Several leases on one connection, taken and given back one by one. All are gone when the connection is.

    Each method raises Unavailable when the connection is lost; the set is then worth nothing, and its owner opens another one.
    """

    def __init__(self, *, application: str) -> None:
        self.held: set[str] = set()
        self._session = open_session(application=application[:60])

    def take(self, name: str) -> bool:
        """Take a lease unless somebody holds it."""
        if name not in self.held and self._ask("select pg_try_advisory_lock(%s)", [lock_key(f"lease:{name}")]):
            self.held.add(name)
        return name in self.held

    def release(self, name: str) -> None:
        """Give a lease back."""
        if name in self.held:
            self.held.discard(name)
            self._ask("select pg_advisory_unlock(%s)", [lock_key(f"lease:{name}")])

    def taken(self, names: Iterable[str]) -> set[str]:
        """Which of the named leases anybody holds now. A dead process holds none."""
        keys = {lock_key(f"lease:{name}"): name for name in names}
        found = self._ask(
            "select array_agg((classid::int8 << 32) | objid::int8) from pg_locks where locktype = 'advisory' and objsubid = 1 and granted"
            " and database = (select oid from pg_database where datname = current_database())",
            [],
        )
        return {keys[key] for key in found or () if key in keys}

    def check(self) -> None:
        """Pass while the connection, and with it every lease, is there."""
        self._ask("select 1", [])

    def close(self) -> None:
        """Give everything back."""
        self.held.clear()
        self._session.close()

    def _ask(self, sql: str, parameters: list[Any]) -> Any:
        try:
            row = self._session.execute(sql, parameters).fetchone()
        except psycopg.OperationalError as error:
            raise Unavailable(f"the leases are lost: {error}") from error
        return row[0] if row else None
