"""A pooled connection whose server process ended is replaced before anybody uses it."""

import pytest
from django.db import connection

from apps.core.postgres.session import open_session


def backend() -> int:
    with connection.cursor() as cursor:
        cursor.execute("select pg_backend_pid()")
        return int(cursor.fetchone()[0])


@pytest.mark.django_db(transaction=True)
def test_nobody_meets_a_dead_connection() -> None:
    first = backend()
    connection.close()  # back to the pool
    with open_session(application="test pool") as session:
        ended = session.execute("select pg_terminate_backend(pid, 60000) from pg_stat_activity where pid = %s", [first]).fetchone()
    assert ended == (True,)
    assert backend() != first
    connection.close()
    assert backend() != first
