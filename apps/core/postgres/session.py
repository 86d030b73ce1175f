"""Connections of one's own, beside Django's: for locks that outlive a transaction and for progress written outside the work's."""

from typing import Any

import psycopg
from django.db import connection

from apps.core.errors import Unavailable


def open_session(*, application: str = "desk") -> "psycopg.Connection[Any]":
    """A new connection to the same database in autocommit, not from the pool. The caller closes it.

    Raises Unavailable when the database does not answer.
    """
    parameters = connection.get_connection_params()
    parameters.pop("cursor_factory", None)
    parameters.pop("context", None)
    try:
        return psycopg.connect(**parameters, autocommit=True, application_name=application, connect_timeout=10)
    except psycopg.OperationalError as error:
        raise Unavailable(f"the database does not answer: {error}") from error
