"""Who hears of stale data, and how often."""

from datetime import UTC, date, datetime, timedelta

import pytest
from django.contrib.auth.models import Group

from apps.alerts.selectors import open_alerts
from apps.core.models import User
from apps.core.roles import Role
from apps.marketdata.models import FeedState, Instrument
from apps.marketdata.selectors.freshness import data_freshness
from apps.marketdata.services.freshness import freshness_check
from apps.marketdata.tests.factories import make_series, store_series

pytestmark = pytest.mark.django_db

#: Friday evening in New York, after the close; AAA has bars up to that day.
NOW = datetime(2012, 1, 6, 22, tzinfo=UTC)


@pytest.fixture
def operator() -> User:
    user = User.objects.create_user("olga")
    user.groups.add(Group.objects.get_or_create(name=Role.OPERATOR)[0])
    return user


@pytest.fixture(autouse=True)
def bars() -> None:
    store_series(make_series("AAA", [1.0, 2.0, 3.0, 4.0]))


def codes(user: User) -> list[str]:
    return [alert.code for alert in open_alerts(user)]


def test_up_to_date_over_the_weekend_and_until_the_next_close(operator) -> None:
    for now in (NOW, NOW + timedelta(days=2), datetime(2012, 1, 9, 20, 59, tzinfo=UTC)):
        assert freshness_check(now=now).stale == ()
    assert codes(operator) == []


def test_a_missing_session_is_told_once(operator) -> None:
    late = datetime(2012, 1, 9, 21, 1, tzinfo=UTC)
    assert [(item.symbol, item.sessions_behind) for item in freshness_check(now=late).stale] == [("AAA", 1)]
    freshness_check(now=late + timedelta(minutes=5))
    assert codes(operator) == ["DATA_STALE"]
    assert open_alerts(operator)[0].data == {"symbols": ["AAA"]}


def test_an_instrument_that_nobody_may_trade_is_not_watched(operator) -> None:
    Instrument.objects.update(tradable=False)
    assert freshness_check(now=NOW + timedelta(days=30)).instruments == ()


def test_an_instrument_is_watched_from_its_listing_to_its_delisting(operator) -> None:
    Instrument.objects.update(delisted_on=date(2012, 1, 10))
    assert [item.symbol for item in data_freshness(datetime(2012, 1, 9, 21, 1, tzinfo=UTC)).stale] == ["AAA"]
    assert data_freshness(datetime(2012, 1, 10, 21, 1, tzinfo=UTC)).instruments == ()
    Instrument.objects.update(delisted_on=None, listed_on=date(2012, 2, 1))
    assert data_freshness(NOW).instruments == ()


def test_an_instrument_without_bars_is_stale() -> None:
    Instrument.objects.create(symbol="NEW", name="New", asset_class="stock")
    assert [item.symbol for item in data_freshness(NOW).stale] == ["NEW"]


def test_a_feed_that_stands_still_while_the_market_is_open(operator) -> None:
    wall = datetime(2026, 11, 20, tzinfo=UTC)
    state = FeedState.objects.create(
        name="replay",
        mode="replay",
        market_time=datetime(2012, 1, 9, 15, tzinfo=UTC),
        session=date(2012, 1, 9),
        updated_at=wall,
    )
    assert not freshness_check(now=wall + timedelta(seconds=30)).feed_stopped
    assert freshness_check(now=wall + timedelta(seconds=90)).feed_stopped
    assert codes(operator) == ["FEED_STOPPED"]
    state.ended = True
    state.save()
    assert not freshness_check(now=wall + timedelta(days=1)).feed_stopped


class TestLiveFeed:
    """A live feed of New York's shares on the half day after Thanksgiving 2024, which closes at 13:00 (18:00 UTC)."""

    OPEN, CLOSE = datetime(2024, 11, 29, 14, 30, tzinfo=UTC), datetime(2024, 11, 29, 18, tzinfo=UTC)

    def still(self, moved_at: datetime, now: datetime, *, calendars: tuple[str, ...] = ("XNYS",)) -> bool:
        FeedState.objects.update_or_create(
            pk="live", defaults={"mode": "live", "market_time": moved_at, "session": now.date(), "updated_at": moved_at, "calendars": list(calendars)}
        )
        return data_freshness(now).feed_stopped

    def test_a_minute_without_a_tick_while_the_market_is_open(self, operator) -> None:
        middle = self.OPEN + timedelta(hours=1)
        assert not self.still(middle - timedelta(seconds=60), middle)
        assert self.still(middle - timedelta(seconds=61), middle)
        freshness_check(now=middle)
        assert [alert.data for alert in open_alerts(operator) if alert.code == "FEED_STOPPED"] == [{"feeds": ["live"]}]

    def test_the_half_day_is_over_when_it_is_over(self) -> None:
        assert self.still(self.CLOSE - timedelta(minutes=5), self.CLOSE - timedelta(seconds=1))
        assert not self.still(self.CLOSE - timedelta(minutes=5), self.CLOSE)
        assert self.still(self.CLOSE, self.CLOSE + timedelta(minutes=5), calendars=("XNYS", "24/7"))  # coins trade on

    def test_a_market_that_has_just_opened_is_given_its_minute(self) -> None:
        yesterday = self.OPEN - timedelta(days=2)
        assert not self.still(yesterday, self.OPEN + timedelta(seconds=60))
        assert self.still(yesterday, self.OPEN + timedelta(seconds=61))
