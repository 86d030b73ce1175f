"""Bars of any time frame: stored, made by NumPy, and made by SQL, all the same."""

import gzip
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from django.db import connection, transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.marketdata.domain.adjustment import Adjustment
from apps.marketdata.domain.bars import FIELDS, BarSeries
from apps.marketdata.domain.resampling import resample
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.domain.vendor import ActionKind
from apps.marketdata.selectors.bars import EARLIEST, LATEST, bar_series
from apps.marketdata.selectors.instruments import instrument_get
from apps.marketdata.selectors.resampled import AGGREGATES, GROUPED, bars_at, bars_by_sql, finest_source
from apps.marketdata.services.bars import bars_store
from apps.marketdata.tests.factories import RECORDED_AT, InstrumentFactory, make_series, store_series
from apps.marketdata.tests.selectors.test_adjusted_bars import act
from tests.plugin import SHARED_DATA

pytestmark = pytest.mark.django_db

MINUTE, FIVE, FIFTEEN, HOUR, DAY, WEEK, MONTH = Timeframe
FIRST = np.datetime64("2019-12-20T14:30", "m")


def same(one: BarSeries, other: BarSeries) -> None:
    for name in ("ts", *FIELDS):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def minutes(at: list[int], seed: int = 0) -> BarSeries:
    """Minutes so many minutes after the open of Friday 2019-12-20."""
    random = np.random.default_rng(seed)
    price = random.uniform(10, 20, (2, len(at)))
    ts = (FIRST + np.array(at) * np.timedelta64(1, "m")).astype("datetime64[us]")
    return BarSeries(
        symbol="AAA",
        ts=ts,
        open=price[0],
        high=price.max(axis=0),
        low=price.min(axis=0),
        close=price[1],
        volume=random.integers(1, 999, len(at)) * 1.0,
    )


def store(series: BarSeries, timeframe: Timeframe, recorded_at: datetime = RECORDED_AT) -> BarSeries:
    InstrumentFactory(symbol=series.symbol)
    bars_store(series=[series], timeframe=timeframe, source="test", recorded_at=recorded_at)
    return series


def by_sql(source: Timeframe, to: Timeframe, **options: object) -> BarSeries:
    return bars_by_sql(instrument_get("AAA"), source, to, EARLIEST, LATEST, **options)


class TestSqlAndNumPy:
    @settings(max_examples=15, deadline=None)
    @given(
        at=st.lists(st.integers(-60, 500) | st.integers(4320, 4800) | st.integers(5760, 6100), min_size=1, max_size=60, unique=True).map(sorted),
        to=st.sampled_from([DAY, WEEK, MONTH]),
        seed=st.integers(0, 99),
    )
    def test_of_minutes_over_a_half_day(self, at: list[int], to: Timeframe, seed: int) -> None:
        with transaction.atomic():
            series = store(minutes(at, seed), MINUTE)
            found = by_sql(MINUTE, to)
            transaction.set_rollback(True)
        same(found, resample(series, MINUTE, to, "XNYS"))

    @pytest.mark.parametrize("to", [WEEK, MONTH])
    def test_of_days_with_revisions(self, to: Timeframe) -> None:
        closes = np.random.default_rng(1).uniform(10, 20, 300).round(2)
        first = make_series("AAA", closes)
        store_series(first)
        later = RECORDED_AT + timedelta(days=1)
        second = make_series("AAA", closes + 0.01)
        store(second, DAY, later)
        same(by_sql(DAY, to), resample(second, DAY, to, "XNYS"))
        same(by_sql(DAY, to, as_of=RECORDED_AT), resample(first, DAY, to, "XNYS"))

    @pytest.mark.needs_shared_data
    @pytest.mark.parametrize("symbol", ["SPY", "AGG"])
    def test_of_real_minutes(self, symbol: str) -> None:
        with gzip.open(SHARED_DATA / "minute_9etfs_2019_12.csv.gz", "rt") as file:
            frame = pd.read_csv(file)
        frame = frame[frame["symbol"] == symbol].sort_values("datetime_utc")
        ts = pd.to_datetime(frame["datetime_utc"], utc=True).dt.tz_localize(None).to_numpy("datetime64[us]")
        columns = {name: frame[name].to_numpy(float) for name in FIELDS}
        series = store(BarSeries(symbol="AAA", ts=ts, **columns), MINUTE)
        for to in (DAY, WEEK, MONTH):
            same(by_sql(MINUTE, to), resample(series, MINUTE, to, "XNYS"))


class TestContinuousAggregate:
    """The community edition is not at hand in tests: a view of the aggregate's name and columns stands for it."""

    def view(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                f"create view {AGGREGATES[WEEK]} as select instrument_id, date_trunc('week', ts, 'UTC') as ts,"
                " (array_agg(open order by ts))[1] as open,"
                " max(high) + 1000 as high, min(low) as low, (array_agg(close order by ts desc))[1] as close, sum(volume) as volume"
                " from marketdata_bar where timeframe = 1440 group by 1, 2"
            )

    def test_it_is_read_where_there_is_one_and_passed_over_when_bars_were_revised(self) -> None:
        series = make_series("AAA", [10.0, 11.0, 12.0, 13.0])
        store_series(series)
        weeks = by_sql(DAY, WEEK)
        self.view()
        marked = by_sql(DAY, WEEK)
        np.testing.assert_array_equal(marked.high, weeks.high + 1000)
        np.testing.assert_array_equal(marked.close, weeks.close)
        same(by_sql(DAY, WEEK, as_of=RECORDED_AT), weeks)
        store_series(make_series("AAA", [10.0, 11.0, 12.0, 14.0]), recorded_at=RECORDED_AT + timedelta(days=1))
        assert by_sql(DAY, WEEK).close[0] == 14.0
        assert "array_agg" in GROUPED


class TestBarsAt:
    def test_stored_ones_are_given_as_they_are(self) -> None:
        store_series(make_series("AAA", [10.0, 11.0]))
        weekly = store(make_series("AAA", [99.0], start=date(2012, 1, 9)), WEEK)
        same(bars_at(symbol="AAA", timeframe=WEEK), weekly)

    def test_the_finest_that_reaches_back_furthest_is_taken(self) -> None:
        store(minutes(list(range(0, 390, 5))), FIVE)
        store(minutes(list(range(390))), MINUTE)
        pk = instrument_get("AAA").pk
        assert finest_source(pk, HOUR, EARLIEST, LATEST) is MINUTE
        store_series(make_series("AAA", [10.0, 11.0], start=date(2019, 12, 20)))
        assert finest_source(pk, WEEK, EARLIEST, LATEST) is MINUTE
        store_series(make_series("AAA", [10.0, 11.0], start=date(2019, 11, 1)))
        assert finest_source(pk, WEEK, EARLIEST, LATEST) is DAY
        assert finest_source(pk, MINUTE, EARLIEST, LATEST) is None

    def test_hours_of_minutes_within_a_range(self) -> None:
        series = store(minutes(list(range(390))), MINUTE)
        whole = resample(series, MINUTE, HOUR, "XNYS")
        found = bars_at(symbol="AAA", timeframe=HOUR, start=datetime(2019, 12, 20, 15, 30, tzinfo=UTC), end=datetime(2019, 12, 20, 17, 0, tzinfo=UTC))
        assert found.ts.tolist() == whole.ts[1:3].tolist()
        assert found.close[0] == whole.close[1]
        assert found.close[1] == series.close[149]  # the running hour, as far as it is before the end
        assert len(bars_at(symbol="AAA", timeframe=HOUR, last=2)) == 2

    def test_a_week_is_whole_from_its_monday(self) -> None:
        store_series(make_series("AAA", [10.0, 11.0, 12.0, 13.0, 14.0, 15.0]))  # Tuesday 2012-01-03 to Tuesday the 10th
        found = bars_at(symbol="AAA", timeframe=WEEK, start=date(2012, 1, 5), end=date(2012, 1, 9))
        assert found.ts.astype("datetime64[D]").tolist() == [date(2012, 1, 2), date(2012, 1, 9)]
        assert (found.open[0], found.close[1]) == (10.0, 14.0)

    def test_adjusted_weeks_are_made_of_adjusted_days(self) -> None:
        store_series(make_series("AAA", [100.0, 102.0, 51.5, 52.0]))
        store(make_series("AAA", [99.0], start=date(2012, 1, 9)), WEEK)
        act("AAA", ActionKind.SPLIT, date(2012, 1, 5), 2)
        found = bars_at(symbol="AAA", timeframe=WEEK, adjustment=Adjustment.SPLIT, end=date(2012, 1, 6))
        assert (found.open.tolist(), found.close.tolist(), found.volume.tolist()) == ([50.0], [52.0], [6e6])
        same(found, resample(bar_series(symbol="AAA", timeframe=DAY, adjustment=Adjustment.SPLIT), DAY, WEEK, "XNYS"))

    def test_nothing_stored_is_nothing_found(self) -> None:
        InstrumentFactory(symbol="AAA")
        assert len(bars_at(symbol="AAA", timeframe=WEEK)) == 0
        assert len(bars_at(symbol="AAA", timeframe=MONTH, adjustment=Adjustment.SPLIT)) == 0
