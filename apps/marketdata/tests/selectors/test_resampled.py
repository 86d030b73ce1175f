"""Bars of any time frame: stored, made by NumPy, and made by SQL, all the same."""

import gzip
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from django.db import connection, transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.core.errors import InvalidInput
from apps.core.tests.factories import UserFactory
from apps.marketdata.domain.adjustment import Adjustment
from apps.marketdata.domain.bars import FIELDS, BarSeries
from apps.marketdata.domain.points import CloseKind
from apps.marketdata.domain.resampling import resample
from apps.marketdata.domain.screening import query_parse
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.domain.vendor import ActionKind
from apps.marketdata.selectors.bars import EARLIEST, LATEST, bar_series
from apps.marketdata.selectors.closes import closes_panel
from apps.marketdata.selectors.instruments import instrument_get
from apps.marketdata.selectors.resampled import AGGREGATES, GROUPED, bars_at, bars_by_sql, finest_source, panel_at
from apps.marketdata.selectors.screens import screen_run
from apps.marketdata.services.bars import bars_store
from apps.marketdata.tests.factories import RECORDED_AT, InstrumentFactory, make_series, store_closes, store_series
from apps.marketdata.tests.selectors.test_adjusted_bars import act, release
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
        assert found.close[1] == whole.close[2]  # whole, as a stored bar would be that starts before the end
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

    def test_days_of_minutes_are_told_in_the_shares_of_the_last_one(self) -> None:
        """Minutes of the day after are read with them, and its split is not theirs."""
        store_series(named(two_days(), "AAA"), timeframe=MINUTE)
        split("AAA", date(2019, 12, 23))
        raw = bars_at(symbol="AAA", timeframe=DAY)
        same(bars_at(symbol="AAA", timeframe=DAY, end=date(2019, 12, 20), adjustment=Adjustment.SPLIT), rows(raw, 1))
        both = bars_at(symbol="AAA", timeframe=DAY, adjustment=Adjustment.SPLIT)
        assert both.close.tolist() == [raw.close[0] / 2, raw.close[1]]
        assert both.volume.tolist() == [raw.volume[0] * 2, raw.volume[1]]


def two_days() -> BarSeries:
    """Minutes of Friday and Monday, the price of Monday half of Friday's."""
    series = minutes([*range(390), *range(4320, 4710)])
    half = np.where(np.arange(780) < 390, 1.0, 0.5)
    return BarSeries(symbol="AAA", ts=series.ts, volume=series.volume, **{name: getattr(series, name) * half for name in FIELDS[:4]})


def named(series: BarSeries, symbol: str) -> BarSeries:
    return BarSeries(symbol=symbol, ts=series.ts, **{name: getattr(series, name) for name in FIELDS})


def rows(series: BarSeries, count: int) -> BarSeries:
    return BarSeries(symbol=series.symbol, ts=series.ts[:count], **{name: getattr(series, name)[:count] for name in FIELDS})


def split(symbol: str, day: date) -> None:
    """Two for one. The minutes alone do not bear it out, so a person says that it is so."""
    act(symbol, ActionKind.SPLIT, day, 2, doubts=1)
    release(symbol)


class TestPanelAt:
    """DAYS has days alone, MINS minutes alone with a split between the two days, BOTH both, NONE nothing."""

    SYMBOLS = ("MINS", "NONE", "DAYS", "BOTH")

    @pytest.fixture(autouse=True)
    def bars(self) -> None:
        InstrumentFactory(symbol="NONE")
        store_series(named(two_days(), "MINS"), named(minutes(list(range(0, 390, 7)), seed=2), "BOTH"), timeframe=MINUTE)
        store_series(make_series("DAYS", [10.0, 11.0, 12.0], start=date(2019, 12, 19)), make_series("BOTH", [7.0, 8.0], start=date(2019, 12, 20)))
        split("MINS", date(2019, 12, 23))

    @pytest.mark.parametrize("adjustment", [Adjustment.NONE, Adjustment.SPLIT, Adjustment.TOTAL_RETURN])
    @pytest.mark.parametrize("to", list(Timeframe), ids=lambda one: one.code)
    @pytest.mark.parametrize(
        "span",
        [{}, {"start": date(2019, 12, 20), "end": date(2019, 12, 20)}, {"start": datetime(2019, 12, 20, 15, 40, tzinfo=UTC)}],
        ids=["all", "before the split", "from within a bar"],
    )
    def test_each_column_is_what_bars_at_gives(self, to: Timeframe, adjustment: Adjustment, span: dict) -> None:
        found = panel_at(symbols=self.SYMBOLS, timeframe=to, adjustment=adjustment, **span)
        assert found.symbols == self.SYMBOLS
        anchor = date(2019, 12, 20) if span.get("end") else date(2019, 12, 23)
        for symbol in self.SYMBOLS:
            alone = bars_at(symbol=symbol, timeframe=to, adjustment=adjustment, adjusted_to=None if adjustment is Adjustment.NONE else anchor, **span)
            same(found.series(symbol), alone)
        assert len(found.series("MINS"))

    def test_a_symbol_whose_bars_are_stored_is_read_as_it_is(self) -> None:
        found = panel_at(symbols=["MINS", "BOTH"], timeframe=DAY)
        assert found.series("BOTH").close.tolist() == [7.0, 8.0]
        assert found.ts.astype("datetime64[D]").tolist() == [date(2019, 12, 20), date(2019, 12, 23)]

    def test_nothing_more_is_asked_where_all_are_stored(self, django_assert_num_queries) -> None:
        with django_assert_num_queries(2):  # instruments, and whether anything was revised; the COPY is not counted
            panel_at(symbols=["DAYS", "BOTH"], timeframe=DAY)

    def test_what_was_not_known_then_is_not_made(self) -> None:
        assert len(panel_at(symbols=["MINS"], timeframe=DAY, as_of=RECORDED_AT - timedelta(days=1))) == 0
        assert len(panel_at(symbols=["MINS"], timeframe=DAY, as_of=RECORDED_AT)) == 2
        assert len(bars_at(symbol="MINS", timeframe=DAY, as_of=RECORDED_AT - timedelta(days=1))) == 0

    def test_a_symbol_twice_is_refused(self) -> None:
        with pytest.raises(InvalidInput) as refusal:
            panel_at(symbols=["MINS", "MINS"], timeframe=DAY)
        assert refusal.value.field == "symbols"

    def test_a_screen_scores_an_instrument_that_has_minutes_alone(self) -> None:
        user = UserFactory()
        query = query_parse("close > sma(2) - 1000")
        found = screen_run(query=query, universe="all", user=user, now=RECORDED_AT, day=date(2019, 12, 23))
        days = bars_at(symbol="MINS", timeframe=DAY, adjustment=Adjustment.SPLIT)
        assert [row.symbol for row in found.rows] == ["BOTH", "DAYS", "MINS"]
        assert found.rows[-1].values == {"close": days.close[-1], "sma(2)": pytest.approx(days.close.mean())}

    def test_closes_are_made_of_minutes_unless_a_series_of_closes_is_there(self) -> None:
        days = bars_at(symbol="MINS", timeframe=DAY)
        found = closes_panel(symbols=["MINS", "NONE"], adjustment=CloseKind.NONE)
        assert (found.close[:, 0].tolist(), found.sources) == (days.close.tolist(), ("bars", ""))
        store_closes({"MINS": [1.0, 2.0, 3.0]}, adjustment=CloseKind.NONE)
        found = closes_panel(symbols=["MINS"], adjustment=CloseKind.NONE)
        assert (found.close[:, 0].tolist(), found.sources) == ([1.0, 2.0, 3.0], ("closes of test closes",))
