"""Orders that another process sends: committed to the database, with a word to whoever listens there.

Where a broker allows one connection only, one process holds it. Everybody else's adapter is this one: it says that there is
something to do, and knows nothing more. A word that is lost costs a moment: the process looks for itself as well.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from django.db import connection

from apps.core.postgres.session import open_session
from apps.execution.brokers.protocol import BrokerOrder, BrokerTimeout, ExecutionReport


def channel_of(broker: str) -> str:
    """The channel of LISTEN and NOTIFY for a broker's process."""
    return f"broker_{broker}"


class Outbox:
    """A `Broker` which leaves every request to the broker's own process. What an order's row says is the request."""

    def __init__(self, name: str) -> None:
        self._name = name

    @property
    def name(self) -> str:
        return self._name

    def submit(self, order: BrokerOrder) -> tuple[ExecutionReport, ...]:
        return self._tell(order)

    def cancel(self, order: BrokerOrder) -> tuple[ExecutionReport, ...]:
        return self._tell(order)

    def replace(self, order: BrokerOrder, changed: BrokerOrder) -> tuple[ExecutionReport, ...]:
        return self._tell(changed)

    def lookup(self, order: BrokerOrder) -> tuple[ExecutionReport, ...]:
        raise BrokerTimeout(f"order {order.reference} is looked up by the process that holds the line to {self._name}")

    def _tell(self, order: BrokerOrder) -> tuple[ExecutionReport, ...]:
        tell(self._name, order.reference)
        return ()


@contextmanager
def listening(broker: str) -> Iterator["psycopg.Connection[Any]"]:
    """A connection on which the broker's process hears of requests: its `fileno` can be read then, and `heard` empties it."""
    session = open_session(application=f"desk outbox {broker}")
    try:
        session.execute(f"listen {channel_of(broker)}")
        yield session
    finally:
        session.close()


def heard(session: "psycopg.Connection[Any]") -> tuple[str, ...]:
    """The words that have come since the last time. Raises psycopg.OperationalError when the connection is lost."""
    return tuple(word.payload for word in session.notifies(timeout=0))


def tell(broker: str, word: str) -> None:
    """Say something to a broker's process, heard when the transaction around it commits."""
    with connection.cursor() as cursor:
        cursor.execute("select pg_notify(%s, %s)", [channel_of(broker), word])
