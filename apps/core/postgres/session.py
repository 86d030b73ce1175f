"""Connections of one's own, beside Django's: for locks that outlive a transaction and for progress written outside the work's."""

from typing import Any

import psycopg
from django.db import connection

from apps.core.errors import Unavailable


def open_session(*, application: str = "desk") -> "psycopg.Connection[Any]":
    """A new connection to the same database in autocommit, not from the pool. The caller closes it.

    Raises Unavailable when the database does not answer.
    """
    try:
        return psycopg.connect(**session_parameters(), autocommit=True, application_name=application, connect_timeout=10)
    except psycopg.OperationalError as error:
        raise Unavailable(f"the database does not answer: {error}") from error


def session_parameters() -> dict[str, Any]:
    """How to connect to the same database, for a session of one's own or for another process."""
    parameters: dict[str, Any] = connection.get_connection_params()
    return {name: value for name, value in parameters.items() if name not in ("cursor_factory", "context")}
