"""Parts of the trading day, by the exchanges' own hours."""

from datetime import UTC, date, datetime

import numpy as np
import pytest

from apps.core.errors import InvalidInput
from apps.marketdata.domain import calendars
from apps.marketdata.domain.sessions import SessionPart, extended_hours, part_begins, session_of, session_part, session_parts

CLOSED, PRE, REGULAR, POST = SessionPart


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize("calendar", ["XNYS", "XNAS"])
@pytest.mark.parametrize(
    ("moment", "part"),
    [
        ("2019-12-23T08:59:59", CLOSED),
        ("2019-12-23T09:00", PRE),  # 04:00 in New York
        ("2019-12-23T14:29:59", PRE),
        ("2019-12-23T14:30", REGULAR),
        ("2019-12-23T20:59:59", REGULAR),
        ("2019-12-23T21:00", POST),
        ("2019-12-24T00:59:59", POST),
        ("2019-12-24T01:00", CLOSED),  # 20:00
        ("2019-12-24T17:59:59", REGULAR),
        ("2019-12-24T18:00", POST),  # half day: 13:00 to 17:00
        ("2019-12-24T22:00", CLOSED),
        ("2019-12-25T15:00", CLOSED),
        ("2019-07-02T08:00", PRE),  # summer time
        ("2019-07-02T23:59", POST),
        ("2019-07-03T00:00", CLOSED),
    ],
)
def test_parts_of_the_american_day(calendar: str, moment: str, part: SessionPart) -> None:
    assert session_part(calendar, at(moment)) is part


def test_other_exchanges_have_regular_sessions_alone() -> None:
    assert session_part("XETR", at("2019-07-02T06:59")) is CLOSED
    assert session_part("XETR", at("2019-07-02T07:00")) is REGULAR
    assert session_part("XETR", at("2019-07-02T15:30")) is CLOSED
    assert session_part("24/7", at("2019-12-25T23:59:59")) is REGULAR


def test_many_moments_at_once() -> None:
    ts = np.array(["2019-12-24T01:30", "2019-12-24T00:30", "2019-12-24T10:00", "1950-01-01", "2019-12-24T19:00"], "datetime64[us]")
    assert session_parts("XNYS", ts).tolist() == [CLOSED, POST, PRE, CLOSED, POST]
    assert session_of("XNYS", ts).tolist() == [None, date(2019, 12, 23), date(2019, 12, 24), None, date(2019, 12, 24)]
    begins = part_begins("XNYS", ts).tolist()
    assert begins == [None, datetime(2019, 12, 23, 21), datetime(2019, 12, 24, 9), None, datetime(2019, 12, 24, 18)]  # noqa: DTZ001


def test_hours_with_the_extended_ones() -> None:
    assert extended_hours("XNYS", date(2019, 12, 24)) == (at("2019-12-24T09:00"), at("2019-12-24T22:00"))
    assert extended_hours("XETR", date(2019, 7, 2)) == calendars.session_hours("XETR", date(2019, 7, 2))


def test_half_days() -> None:
    halves = [day for day in calendars.sessions("XNYS", date(2019, 1, 1), date(2019, 12, 31)) if calendars.is_half_day("XNYS", day)]
    assert halves == [date(2019, 7, 3), date(2019, 11, 29), date(2019, 12, 24)]
    with pytest.raises(InvalidInput, match="no session"):
        calendars.is_half_day("XNYS", date(2019, 12, 25))
