from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.alerts.domain.wishes import SEVERITIES, Wishes, check_wishes, due_at, kinds_of, quiet_end, wants
from apps.core.errors import InvalidInput

NIGHT = Wishes(quiet_from=time(22), quiet_to=time(7), time_zone="America/New_York")


@pytest.mark.parametrize(
    ("wishes", "wanted"),
    [
        (Wishes(minimum="warning"), True),
        (Wishes(minimum="critical"), False),
        (Wishes(kinds=("RISK_", "ORDER_")), True),
        (Wishes(kinds=("ORDER_",)), False),
        (Wishes(portfolios=(3, 4)), True),
        (Wishes(portfolios=(4,)), False),
    ],
)
def test_an_alert_goes_out_when_severity_kind_and_portfolio_are_wished_for(wishes: Wishes, wanted: bool) -> None:
    assert wants(wishes, severity="warning", code="RISK_LIMIT_BREACH", portfolio_id=3) is wanted


def test_what_is_about_no_portfolio_passes_whatever_portfolios_are_wished_for() -> None:
    assert wants(Wishes(portfolios=(4,)), severity="critical", code="TRADING_HALTED", portfolio_id=None)


@pytest.mark.parametrize(
    ("at", "due"),
    [
        ("2024-01-10T15:00", "2024-01-10T15:00"),  # the day
        ("2024-01-11T02:59", "2024-01-11T02:59"),  # 21:59 in New York
        ("2024-01-11T03:00", "2024-01-11T12:00"),  # 22:00 in New York: until 07:00 of the next day
        ("2024-01-11T11:59", "2024-01-11T12:00"),
        ("2024-01-11T12:00", "2024-01-11T12:00"),  # the end is excluded
        ("2024-03-10T06:30", "2024-03-10T11:00"),  # the night in which the clocks go forward ends an hour earlier
        ("2024-11-03T05:30", "2024-11-03T12:00"),  # and an hour later in autumn
    ],
)
def test_quiet_hours_are_local_times_of_day(at: str, due: str) -> None:
    assert due_at(NIGHT, severity="warning", at=datetime.fromisoformat(f"{at}Z")) == datetime.fromisoformat(f"{due}Z")


def test_what_is_critical_waits_for_nothing() -> None:
    at = datetime(2024, 1, 11, 4, tzinfo=UTC)
    digest = Wishes(quiet_from=time(22), quiet_to=time(7), time_zone="America/New_York", digest_minutes=60)
    assert due_at(digest, severity="critical", at=at) == at
    assert due_at(digest, severity="info", at=at) == datetime(2024, 1, 11, 12, tzinfo=UTC)


def test_a_digest_that_ends_in_quiet_hours_waits_for_their_end() -> None:
    digest = Wishes(quiet_from=time(22), quiet_to=time(7), digest_minutes=60)
    assert due_at(digest, severity="info", at=datetime(2024, 1, 10, 20, tzinfo=UTC)) == datetime(2024, 1, 10, 21, tzinfo=UTC)
    assert due_at(digest, severity="info", at=datetime(2024, 1, 10, 21, 30, tzinfo=UTC)) == datetime(2024, 1, 11, 7, tzinfo=UTC)


TIMES = st.times().map(lambda moment: moment.replace(microsecond=0))
MOMENTS = st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - the zone is given beside
ZONES = st.sampled_from(("UTC", "America/New_York", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe"))


@given(at=MOMENTS, begin=TIMES, end=TIMES, zone=ZONES, minutes=st.sampled_from((0, 1, 60, 1440)), severity=st.sampled_from(SEVERITIES))
def test_nothing_goes_out_early_or_in_quiet_hours_and_nothing_waits_for_ever(
    at: datetime, begin: time, end: time, zone: str, minutes: int, severity: str
) -> None:
    wishes = Wishes(quiet_from=begin, quiet_to=end, time_zone=zone, digest_minutes=minutes) if begin != end else Wishes(digest_minutes=minutes)
    due = due_at(wishes, severity=severity, at=at)
    assert at <= due <= at + timedelta(days=3)
    assert severity == "critical" or quiet_end(wishes, due) is None


@pytest.mark.parametrize(
    ("wishes", "field"),
    [
        (Wishes(minimum="loud"), "minimum"),
        (Wishes(kinds=("risk",)), "kinds"),
        (Wishes(kinds=("",)), "kinds"),
        (Wishes(portfolios=(0,)), "portfolios"),
        (Wishes(quiet_from=time(22)), "quiet_to"),
        (Wishes(quiet_to=time(7)), "quiet_from"),
        (Wishes(quiet_from=time(7), quiet_to=time(7)), "quiet_to"),
        (Wishes(digest_minutes=-1), "digest_minutes"),
        (Wishes(digest_minutes=1441), "digest_minutes"),
        *((Wishes(time_zone=name), "time_zone") for name in ("Mars/Olympus", "", ".", "../etc/passwd", "America")),
    ],
)
def test_wishes_that_make_no_sense_name_their_field(wishes: Wishes, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_wishes(wishes)
    assert caught.value.field == field


def test_kinds_are_read_as_people_write_them() -> None:
    assert kinds_of([" risk_", "ORDER_", "", "RISK_"]) == ("RISK_", "ORDER_")
    check_wishes(NIGHT)
