import struct

import pytest
from django.db import connection

from apps.core.postgres.copies import copied

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)


def rows(count):
    return b"".join(struct.pack(">hiq", 1, 8, -1 if n % 3 == 0 else n) for n in range(count))  # -1 ends as the COPY itself does


@pytest.mark.django_db
@pytest.mark.parametrize("count", [0, 1, 2, 50_000])
def test_every_row_arrives_once_and_the_connection_goes_on(count):
    query = "select case when n %% 3 = 0 then -1 else n end::int8 from generate_series(0::int8, %(last)s) as n"
    assert copied(query, {"last": count - 1}) == HEADER + rows(count) + b"\xff\xff"
    with connection.cursor() as cursor:
        cursor.execute("select 1")
        assert cursor.fetchone() == (1,)
