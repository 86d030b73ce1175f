from datetime import UTC, datetime

import pytest

from apps.execution.domain.sessions import day_order_end


@pytest.mark.parametrize(
    ("made", "end"),
    [
        ("2024-07-02T15:00", "2024-07-02T20:00"),  # during a session
        ("2024-07-02T20:00", "2024-07-03T17:00"),  # at its close: the next one, a half day
        ("2024-07-03T18:00", "2024-07-05T20:00"),  # after the half day, before a holiday
        ("2024-07-06T12:00", "2024-07-08T20:00"),  # on a Saturday
    ],
)
def test_day_order_ends_with_its_session(made, end):
    given, expected = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (made, end))
    assert day_order_end(calendar="XNYS", market_time=given) == expected
