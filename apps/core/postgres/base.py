"""PostgreSQL backend that keeps the connection's `desk.actor` and `desk.request_id` equal to the current context.

The journal's triggers read both. They are set only when they changed, so a request pays for one extra round trip, and again
after a rollback, because PostgreSQL undoes settings together with the transaction in which they were made.
"""

import select
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from django.db.backends.postgresql import base
from psycopg.pq import TransactionStatus

from apps.core.context import Context, current_context

#: A query and its parameters, and the rows that it answers.
Question = tuple[str, Sequence[Any] | Mapping[str, Any]]
Rows = list[tuple[Any, ...]]


class DatabaseWrapper(base.DatabaseWrapper):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._applied: Context | None = None
        self._kept_cursors: list[Any] = []
        self._answers: list[tuple[Question, Rows]] = []

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

    def fetch(self, query: str, parameters: Sequence[Any] | Mapping[str, Any]) -> Rows:
        """All rows that a query answers. An order asks some twenty of them: through Django's cursors each costs it twice as much.

        Whoever watches queries (a wrapper, a test that counts them) sees these too. Raises Django's own database errors.
        """
        if self._watched:
            with self.cursor() as cursor:
                cursor.execute(query, parameters)
                return list(cursor.fetchall())
        for place, (question, rows) in enumerate(self._answers):
            if question == (query, parameters):
                del self._answers[place]
                return rows
        return self._together([(query, parameters)])[0]

    @contextmanager
    def asked(self, questions: Sequence[Question]) -> Iterator[None]:
        """Ask all of them in one round trip: within the block `fetch` has the answer to each of them at hand, once.

        For questions that are asked anyway and do not depend on each other's answers: what the process waits for is less the query than to be
        woken. Each sees what those before it did. Raises Django's database errors, and leaves a transaction broken, as one by one.
        """
        if not self._watched:
            known = [question for question, _ in self._answers]
            new = [question for question in questions if question not in known]
            self._answers += zip(new, self._together(new), strict=True)
        try:
            yield
        finally:
            self._answers.clear()

    @property
    def _watched(self) -> bool:
        return self.connection is None or bool(self.execute_wrappers) or self.queries_logged

    def _together(self, questions: Sequence[Question]) -> list[Rows]:
        """The answers, in one round trip."""
        self.validate_thread_sharing()
        self.validate_no_broken_transaction()
        self._apply_context()
        cursors = self._cursors(len(questions))
        with self.wrap_database_errors:
            if len(questions) == 1:
                cursors[0].execute(*questions[0])
            elif questions:
                with self.connection.pipeline():
                    for cursor, question in zip(cursors, questions, strict=True):
                        cursor.execute(*question)
            return [cursor.fetchall() for cursor in cursors]

    def _cursors(self, number: int) -> list[Any]:
        """So many cursors that are kept: to make one costs as much as a small query."""
        kept = self._kept_cursors
        if kept and kept[0].connection is not self.connection:
            kept.clear()
        while len(kept) < number:
            kept.append(super().create_cursor())
        return kept[:number]

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
        self._applied = None
        self._kept_cursors.clear()
        return super()._close()  # type: ignore[misc]


def _hung_up(connection: Any) -> bool:
    """True when something waits to be read on an idle connection: the server's goodbye, or the end of the stream."""
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))
