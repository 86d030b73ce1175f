"""Calendars against dates that are known from the exchange's own announcements."""

from datetime import UTC, date, datetime

import numpy as np
import pytest

from apps.core.errors import InvalidInput
from apps.marketdata.domain import calendars

XNYS = "XNYS"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_sessions_leave_out_weekends_holidays_and_hurricane_sandy() -> None:
    assert calendars.sessions(XNYS, date(2012, 10, 26), date(2012, 11, 1)) == (date(2012, 10, 26), date(2012, 10, 31), date(2012, 11, 1))


def test_hours_follow_daylight_saving_and_half_days() -> None:
    assert calendars.session_hours(XNYS, date(2012, 1, 3)) == (at("2012-01-03T14:30"), at("2012-01-03T21:00"))
    assert calendars.session_hours(XNYS, date(2012, 7, 2)) == (at("2012-07-02T13:30"), at("2012-07-02T20:00"))
    assert calendars.session_hours(XNYS, date(2012, 12, 24))[1] == at("2012-12-24T18:00")


def test_no_session_is_refused_by_name() -> None:
    with pytest.raises(InvalidInput, match="2012-12-25 is no session of XNYS"):
        calendars.session_hours(XNYS, date(2012, 12, 25))
    with pytest.raises(InvalidInput, match="'NOPE'"):
        calendars.sessions("NOPE", date(2012, 1, 1), date(2012, 1, 2))


def test_neighbours() -> None:
    assert calendars.previous_session(XNYS, date(2012, 1, 3)) == date(2011, 12, 30)
    assert calendars.next_session(XNYS, date(2012, 1, 13)) == date(2012, 1, 17)  # Martin Luther King's day
    assert calendars.sessions_between(XNYS, date(2012, 1, 13), date(2012, 1, 18)) == 2
    assert calendars.sessions_between(XNYS, date(2012, 1, 18), date(2012, 1, 13)) == 0


@pytest.mark.parametrize(
    ("moment", "session", "completed", "is_open", "change"),
    [
        ("2012-01-03T14:29", date(2011, 12, 30), date(2011, 12, 30), False, "2012-01-03T14:30"),
        ("2012-01-03T14:30", date(2012, 1, 3), date(2011, 12, 30), True, "2012-01-03T21:00"),
        ("2012-01-03T20:59", date(2012, 1, 3), date(2011, 12, 30), True, "2012-01-03T21:00"),
        ("2012-01-03T21:00", date(2012, 1, 3), date(2012, 1, 3), False, "2012-01-04T14:30"),
        ("2012-01-07T12:00", date(2012, 1, 6), date(2012, 1, 6), False, "2012-01-09T14:30"),
    ],
)
def test_moments_around_a_session(moment, session, completed, is_open, change) -> None:
    assert calendars.session_at(XNYS, at(moment)) == session
    assert calendars.last_completed_session(XNYS, at(moment)) == completed
    assert calendars.is_open(XNYS, at(moment)) is is_open
    assert calendars.next_change(XNYS, at(moment)) == at(change)


def test_crypto_never_closes() -> None:
    assert calendars.is_open("24/7", at("2012-01-07T23:59:59"))
    assert calendars.is_session("24/7", np.array(["2012-01-07"], "datetime64[D]")).all()


def test_local_dates_are_the_exchanges() -> None:
    moments = np.array(["2012-01-04T02:00", "2012-01-04T06:00"], "datetime64[us]")
    assert calendars.local_dates(XNYS, moments).tolist() == [date(2012, 1, 3), date(2012, 1, 4)]


def test_before_and_after_what_is_known_is_refused() -> None:
    with pytest.raises(InvalidInput, match="known from 1970"):
        calendars.session_at(XNYS, at("1960-01-01"))
    with pytest.raises(InvalidInput, match="known up to"):
        calendars.next_session(XNYS, date(2041, 1, 1))
    assert calendars.next_change(XNYS, at("2045-01-01")) is None
