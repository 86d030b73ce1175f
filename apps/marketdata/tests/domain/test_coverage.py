"""What is left to ask for."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.marketdata.domain.coverage import bar_end, believed_until, finished_until, has_session, spans_merged, spans_missing
from apps.marketdata.domain.timeframes import Timeframe

BASE = datetime(2026, 1, 1, tzinfo=UTC)
spans = st.tuples(st.integers(0, 30), st.integers(0, 30)).map(lambda pair: (BASE + timedelta(hours=pair[0]), BASE + timedelta(hours=pair[1])))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def hours(given_spans) -> set[datetime]:
    return {BASE + timedelta(hours=n) for n in range(31) for start, end in given_spans if start <= BASE + timedelta(hours=n) < end}


@given(st.lists(spans))
def test_merged_spans_hold_the_same_time_and_do_not_touch(given_spans) -> None:
    merged = spans_merged(given_spans)
    assert hours(merged) == hours(given_spans)
    assert all(one[1] < other[0] for one, other in pairwise(merged))


@given(spans, st.lists(spans))
def test_what_is_missing_is_wanted_and_not_covered(wanted, covered) -> None:
    missing = spans_missing(wanted, covered)
    assert hours(missing) == hours([wanted]) - hours(covered)
    assert all(start < end for start, end in missing)


@pytest.mark.parametrize(
    ("timeframe", "now", "expected"),
    [
        ("1d", "2012-01-03T20:59", "2011-12-31"),
        ("1d", "2012-01-03T21:00", "2012-01-04"),
        ("1d", "2012-01-08T12:00", "2012-01-07"),
        ("1w", "2012-01-06T20:59", "2012-01-02"),
        ("1w", "2012-01-06T21:00", "2012-01-09"),
        ("1mo", "2012-01-31T20:59", "2012-01-01"),
        ("1mo", "2012-01-31T21:00", "2012-02-01"),
    ],
)
def test_bars_are_finished_when_their_last_session_has_closed(timeframe: str, now: str, expected: str) -> None:
    assert finished_until(Timeframe.parse(timeframe), "XNYS", at(now)) == at(expected)


def test_intraday_bars_are_finished_when_their_time_is_over() -> None:
    now = at("2012-01-03T15:00")
    assert finished_until(Timeframe.MINUTES_5, "XNYS", now) == at("2012-01-03T14:56")  # exclusive: the bar of 14:55 is over
    assert finished_until(Timeframe.MINUTES_5, "XNYS", now - timedelta(seconds=1)) == at("2012-01-03T14:55")


def believed(complete_to: str, last_bar: str | None, now: str) -> datetime:
    last = None if last_bar is None else at(last_bar)
    return believed_until(at(complete_to), last, timeframe=Timeframe.DAY, calendar="XNYS", now=at(now))


def test_the_newest_bar_is_believed_half_an_hour_after_the_close() -> None:
    assert believed("2012-01-04", "2012-01-03", "2012-01-03T21:29") == at("2011-12-31")
    assert believed("2012-01-04", "2012-01-03", "2012-01-03T21:30") == at("2012-01-04")


def test_a_bar_that_is_late_is_asked_for_again_for_a_week() -> None:
    assert believed("2012-01-06", "2012-01-03", "2012-01-06T12:00") == at("2012-01-04")
    assert believed("2012-01-06", "2012-01-03", "2012-01-20T12:00") == at("2012-01-06")
    assert believed("2012-01-06", None, "2012-01-06T12:00") == at("2011-12-30")


def test_a_bar_lasts_to_where_the_next_may_start() -> None:
    assert bar_end(at("2012-01-03T14:30"), Timeframe.MINUTES_15) == at("2012-01-03T14:45")
    assert [bar_end(at("2012-01-01"), item) for item in (Timeframe.DAY, Timeframe.WEEK, Timeframe.MONTH)] == [
        at("2012-01-02"),
        at("2012-01-08"),
        at("2012-02-01"),
    ]


def test_a_stretch_without_a_session_needs_no_request() -> None:
    assert not has_session((at("2012-01-07"), at("2012-01-09")), Timeframe.DAY, "XNYS")
    assert has_session((at("2012-01-07"), at("2012-01-09T00:00:00.000001")), Timeframe.DAY, "XNYS")
    assert has_session((at("2012-01-07"), at("2012-01-09")), Timeframe.DAY, "24/7")
    assert has_session((at("2012-01-07"), at("2012-01-09")), Timeframe.MONTH, "XNYS")
    assert not has_session((at("2012-04-07T12:00"), at("2012-04-07T13:00")), Timeframe.MINUTE, "XNYS")
    assert has_session((at("2012-01-06T14:30"), at("2012-01-06T14:31")), Timeframe.MINUTE, "XNYS")
