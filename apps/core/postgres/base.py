"""PostgreSQL backend that keeps the connection's `desk.actor` and `desk.request_id` equal to the current context.

The journal's triggers read both. They are set only when they changed, so a request pays for one extra round trip, and again
after a rollback, because PostgreSQL undoes settings together with the transaction in which they were made.
"""

import select
from typing import Any

from django.db.backends.postgresql import base
from psycopg.pq import TransactionStatus

from apps.core.context import Context, current_context


class DatabaseWrapper(base.DatabaseWrapper):
    _applied: Context | None = None

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

    def create_cursor(self, name: str | None = None) -> Any:
        context = current_context()
        failed = self.connection.info.transaction_status == TransactionStatus.INERROR  # only a rollback may be sent now
        if context != self._applied and not self.needs_rollback and not failed:
            with self.wrap_database_errors:
                self.connection.execute(
                    "select set_config('desk.actor', %s, false), set_config('desk.request_id', %s, false)",
                    (context.actor, context.request_id),
                )
            self._applied = context
        return super().create_cursor(name)

    def _rollback(self) -> Any:
        self._applied = None
        return super()._rollback()  # type: ignore[misc]

    def _savepoint_rollback(self, sid: str) -> None:
        # Not through a cursor of ours, which would set the context first, inside the broken transaction.
        with self.wrap_database_errors:
            self.connection.execute(self.ops.savepoint_rollback_sql(sid))
        self._applied = None

    def _close(self) -> Any:
        self._applied = None
        return super()._close()  # type: ignore[misc]


def _hung_up(connection: Any) -> bool:
    """True when something waits to be read on an idle connection: the server's goodbye, or the end of the stream."""
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))
