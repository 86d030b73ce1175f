"""PostgreSQL backend that keeps the connection's `desk.actor` and `desk.request_id` equal to the current context.

The journal's triggers read both. They are set only when they changed, so a request pays for one extra round trip, and again
after a rollback, because PostgreSQL undoes settings together with the transaction in which they were made.
"""

import select
from collections.abc import Mapping, Sequence
from typing import Any

from django.db.backends.postgresql import base
from psycopg.pq import TransactionStatus

from apps.core.context import Context, current_context


class DatabaseWrapper(base.DatabaseWrapper):
    _applied: Context | None = None
    _kept_cursor: Any = None

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """A connection from the pool whose server is still there: after a restart of the database nobody meets a dead one.

        Django's own health check asks the server, which costs every request three round trips; a socket that was hung up says so itself.
        """
        while True:
            connection = super().get_new_connection(conn_params)
            if self.pool is None or not _hung_up(connection):
                return connection
            connection.close()
            self.pool.putconn(connection)

    def fetch(self, query: str, parameters: Sequence[Any] | Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """All rows that a query answers. An order asks some twenty of them: through Django's cursors each costs it twice as much.

        Whoever watches queries (a wrapper, a test that counts them) sees these too. Raises Django's own database errors.
        """
        if self.connection is None or self.execute_wrappers or self.queries_logged:
            with self.cursor() as cursor:
                cursor.execute(query, parameters)
                return list(cursor.fetchall())
        self.validate_thread_sharing()
        self.validate_no_broken_transaction()
        self._apply_context()
        with self.wrap_database_errors:
            if self._kept_cursor is None or self._kept_cursor.connection is not self.connection:
                self._kept_cursor = super().create_cursor()
            found: list[tuple[Any, ...]] = self._kept_cursor.execute(query, parameters).fetchall()
        return found

    def create_cursor(self, name: str | None = None) -> Any:
        self._apply_context()
        return super().create_cursor(name)

    def _apply_context(self) -> None:
        context = current_context()
        if context == self._applied or self.needs_rollback:
            return
        if self.connection.info.transaction_status != TransactionStatus.INERROR:  # else only a rollback may be sent now
            with self.wrap_database_errors:
                self.connection.execute(
                    "select set_config('desk.actor', %s, false), set_config('desk.request_id', %s, false)",
                    (context.actor, context.request_id),
                )
            self._applied = context

    def _rollback(self) -> Any:
        self._applied = None
        return super()._rollback()  # type: ignore[misc]

    def _savepoint_rollback(self, sid: str) -> None:
        # Not through a cursor of ours, which would set the context first, inside the broken transaction.
        with self.wrap_database_errors:
            self.connection.execute(self.ops.savepoint_rollback_sql(sid))
        self._applied = None

    def _close(self) -> Any:
        self._applied = self._kept_cursor = None
        return super()._close()  # type: ignore[misc]


def _hung_up(connection: Any) -> bool:
    """True when something waits to be read on an idle connection: the server's goodbye, or the end of the stream."""
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))
