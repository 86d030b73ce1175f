"""What a binary COPY sends, all at once: psycopg hands it out row by row, which takes longer than the database needs to send it."""

from collections.abc import Mapping
from typing import Any

from django.db import connection

#: What the last message of a COPY ends with. A row may end with it too: then it is the network that is asked next, which does no harm.
TRAILER = b"\xff\xff"


def copied(query: str, parameters: Mapping[str, Any] | None = None) -> bytearray:
    """The bytes of `copy (query) to stdout` in the binary format, header and trailer included."""
    received = bytearray()
    with connection.cursor() as cursor, cursor.cursor.copy(f"copy ({query}) to stdout (format binary)", parameters) as copy:
        buffered = copy.connection.pgconn.get_copy_data
        while block := copy.read():  # waits for the network
            received += block
            while block[-2:] != TRAILER and (block := buffered(1)[1]):  # takes what has come already, and never the end itself
                received += block
    return received
