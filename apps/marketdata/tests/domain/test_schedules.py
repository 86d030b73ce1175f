"""Slots against hours of New York that are known: 2012 began on a Sunday, clocks moved on 11 March, 3 July and 23 November closed early."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.marketdata.domain.schedules import Schedule, ScheduleKind


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def schedule(kind: ScheduleKind, minutes: int, calendar: str = "XNYS") -> Schedule:
    return Schedule(kind=kind, minutes=minutes, calendar=calendar)


AFTER = schedule(ScheduleKind.AFTER_CLOSE, 45)
DURING = schedule(ScheduleKind.IN_SESSION, 60)


@pytest.mark.parametrize(
    ("now", "latest", "following"),
    [
        ("2012-01-03T21:44", "2011-12-30T21:45", "2012-01-03T21:45"),
        ("2012-01-03T21:45", "2012-01-03T21:45", "2012-01-04T21:45"),
        ("2012-01-07T12:00", "2012-01-06T21:45", "2012-01-09T21:45"),  # a weekend
        ("2012-03-09T22:00", "2012-03-09T21:45", "2012-03-12T20:45"),  # summer time begins
        ("2012-07-03T17:45", "2012-07-03T17:45", "2012-07-05T20:45"),  # a half day and a holiday
        ("2012-10-27T00:00", "2012-10-26T20:45", "2012-10-31T20:45"),  # the hurricane
    ],
)
def test_after_each_close(now: str, latest: str, following: str) -> None:
    assert (AFTER.latest(at(now)), AFTER.following(at(now))) == (at(latest), at(following))


@pytest.mark.parametrize(
    ("now", "latest", "following"),
    [
        ("2012-01-03T14:29", "2011-12-30T20:30", "2012-01-03T14:30"),
        ("2012-01-03T14:30", "2012-01-03T14:30", "2012-01-03T15:30"),
        ("2012-01-03T15:29", "2012-01-03T14:30", "2012-01-03T15:30"),
        ("2012-01-03T20:59", "2012-01-03T20:30", "2012-01-04T14:30"),
        ("2012-01-04T03:00", "2012-01-03T20:30", "2012-01-04T14:30"),
        ("2012-11-23T19:00", "2012-11-23T17:30", "2012-11-26T14:30"),
    ],
)
def test_while_the_market_is_open(now: str, latest: str, following: str) -> None:
    assert (DURING.latest(at(now)), DURING.following(at(now))) == (at(latest), at(following))


def test_day_and_night() -> None:
    quarter, now = schedule(ScheduleKind.EVERY, 15), at("2012-01-07T12:14:59")
    assert (quarter.latest(now), quarter.following(now)) == (
        at("2012-01-07T12:00"),
        at("2012-01-07T12:15"),
    )


@settings(deadline=None)  # the first use of a calendar reads it
@given(
    kind=st.sampled_from(ScheduleKind),
    minutes=st.integers(1, 600),
    calendar=st.sampled_from(["XNYS", "XTKS", "24/7"]),
    now=st.datetimes(datetime(2012, 1, 5), datetime(2013, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 (hypothesis adds the zone)
)
def test_slots_follow_each_other_without_a_hole(kind: ScheduleKind, minutes: int, calendar: str, now: datetime) -> None:
    made = schedule(kind, minutes, calendar)
    latest, following = made.latest(now), made.following(now)
    assert latest <= now < following
    assert made.latest(following) == following
    assert made.latest(following - timedelta(microseconds=1)) == latest


def test_a_slot_is_due_once_and_only_the_newest_is_made_up_for() -> None:
    now = at("2012-01-06T22:00")
    slot = at("2012-01-06T21:45")
    assert AFTER.due(now, None) == slot
    assert AFTER.due(now, at("2012-01-03T21:45")) == slot
    assert AFTER.due(now, slot) is None
    assert AFTER.due(now + timedelta(days=2), slot) is None
