"""How a session's volume is usually spread over it, from stored intraday bars."""

from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pytest

from apps.marketdata.domain import calendars
from apps.marketdata.domain.bars import BarSeries
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.models import Instrument
from apps.marketdata.selectors.volumes import volume_curve
from apps.marketdata.tests.factories import InstrumentFactory, store_series

pytestmark = pytest.mark.django_db

BAR = Timeframe.MINUTES_15
DAY = date(2024, 7, 9)


def store(sessions) -> Instrument:
    """Bars of a quarter of an hour: from each session's open, one for each volume."""
    ts, volumes = [], []
    for day, volume in sorted(sessions.items()):
        opened = np.datetime64(calendars.session_hours("XNYS", day)[0].replace(tzinfo=None), "us")
        ts.extend(opened + number * np.timedelta64(15, "m") for number in range(len(volume)))
        volumes.extend(volume)
    price = np.full(len(ts), 100.0)
    series = BarSeries(symbol="AAPL", ts=np.array(ts), open=price, high=price, low=price, close=price, volume=np.array(volumes, float))
    store_series(series, timeframe=BAR)
    return Instrument.objects.get(symbol="AAPL")


def curve(instrument, *, start=timedelta(0), length=timedelta(hours=1), buckets=4):
    return volume_curve(instrument, day=DAY, start=start, length=length, buckets=buckets)


def test_the_mean_of_the_sessions_shares() -> None:
    aapl = store({date(2024, 7, 5): [4, 2, 2, 2], date(2024, 7, 8): [600, 100, 100, 200]})
    assert curve(aapl) == ((Decimal("0.5"), Decimal("0.15"), Decimal("0.15"), Decimal("0.2")), 2)


def test_a_stretch_begins_after_the_open_also_on_a_half_day() -> None:
    aapl = store({date(2024, 7, 3): [9, 3, 1], date(2024, 7, 8): [9, 3, 1]})
    assert curve(aapl, start=timedelta(minutes=15), length=timedelta(minutes=30), buckets=2) == ((Decimal("0.75"), Decimal("0.25")), 2)


def test_the_day_itself_and_sessions_too_long_ago_do_not_count() -> None:
    aapl = store({date(2024, 6, 3): [0, 0, 0, 9], DAY: [0, 0, 0, 9], date(2024, 7, 8): [1, 1, 1, 1]})
    assert curve(aapl) == ((Decimal("0.25"),) * 4, 1)


def test_bars_longer_than_a_bucket_say_nothing_of_it() -> None:
    aapl = store({date(2024, 7, 8): [1, 1, 1, 1]})
    assert curve(aapl, buckets=8) == ((), 0)


def test_without_bars_or_volume_there_is_none() -> None:
    assert curve(InstrumentFactory(symbol="KO")) == ((), 0)
    assert curve(store({date(2024, 7, 8): [0, 0, 0, 0]})) == ((), 0)
