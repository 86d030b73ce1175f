"""The database as it was at one moment, without a lock: for who reads much and must not keep others from writing."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction


@contextmanager
def snapshot() -> Iterator[None]:
    """Within the block every query sees what was committed at the moment of the first, and nothing can be written.

    Raises RuntimeError inside of a transaction, which has seen other moments already.
    """
    if connection.in_atomic_block:
        raise RuntimeError("a snapshot needs a transaction of its own")
    with connection.cursor():
        pass  # tells the connection who acts, which would else be the transaction's first query
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("set transaction isolation level repeatable read, read only")
        yield
