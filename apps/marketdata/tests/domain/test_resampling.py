"""Longer bars out of shorter ones."""

import gzip
from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.errors import InvalidInput
from apps.marketdata.domain.bars import FIELDS, BarSeries
from apps.marketdata.domain.calendars import session_hours
from apps.marketdata.domain.resampling import period_starts, resample
from apps.marketdata.domain.timeframes import Timeframe
from tests.plugin import SHARED_DATA

MINUTE, FIVE, FIFTEEN, HOUR, DAY, WEEK, MONTH = Timeframe


def bars(*rows: tuple[str, float]) -> BarSeries:
    """Bars with a close and what follows from it: opens one below, range from two below to one above, a volume of a hundred."""
    close = np.array([price for _, price in rows])
    ts = np.array([moment for moment, _ in rows], "datetime64[us]")
    return BarSeries(symbol="AAA", ts=ts, open=close - 1, high=close + 1, low=close - 2, close=close, volume=np.full(len(rows), 100.0))


def table(series: BarSeries) -> list[tuple[str, float, float, float, float, float]]:
    columns = (getattr(series, name).tolist() for name in FIELDS)
    return [(str(moment)[:16], *row) for moment, row in zip(series.ts, zip(*columns, strict=True), strict=True)]


def test_hours_begin_at_the_open_and_the_last_is_shorter() -> None:
    given_ = bars(("2019-12-23T14:30", 10), ("2019-12-23T15:29", 12), ("2019-12-23T15:30", 11), ("2019-12-23T20:30", 20), ("2019-12-23T20:59", 19))
    assert table(resample(given_, MINUTE, HOUR, "XNYS")) == [
        ("2019-12-23T14:30", 9, 13, 8, 12, 200),
        ("2019-12-23T15:30", 10, 12, 9, 11, 100),
        ("2019-12-23T20:30", 19, 21, 17, 19, 200),
    ]


def test_extended_hours_have_buckets_of_their_own() -> None:
    given_ = bars(("2019-12-23T09:59", 10), ("2019-12-23T14:29", 11), ("2019-12-23T14:30", 12), ("2019-12-23T20:59", 13), ("2019-12-23T21:00", 14))
    assert [row[0][-5:] for row in table(resample(given_, MINUTE, HOUR, "XNYS"))] == ["09:00", "14:00", "14:30", "20:30", "21:00"]


def test_a_day_is_its_regular_session() -> None:
    given_ = bars(
        ("2019-12-23T14:29", 99), ("2019-12-23T14:30", 10), ("2019-12-23T20:59", 12), ("2019-12-23T21:00", 99), ("2019-12-24T17:59", 15),
        ("2019-12-24T18:00", 99),
    )  # fmt: skip
    assert table(resample(given_, MINUTE, DAY, "XNYS")) == [("2019-12-23T00:00", 9, 13, 8, 12, 200), ("2019-12-24T00:00", 14, 16, 13, 15, 100)]


def test_weeks_begin_on_monday_and_months_on_the_first() -> None:
    given_ = bars(("2012-01-06", 10), ("2012-01-09", 11), ("2012-01-13", 12), ("2012-01-17", 13), ("2012-02-01", 14))
    assert table(resample(given_, DAY, WEEK, "XNYS")) == [
        ("2012-01-02T00:00", 9, 11, 8, 10, 100),
        ("2012-01-09T00:00", 10, 13, 9, 12, 200),
        ("2012-01-16T00:00", 12, 14, 11, 13, 100),
        ("2012-01-30T00:00", 13, 15, 12, 14, 100),
    ]
    assert [row[0][:10] for row in table(resample(given_, DAY, MONTH, "XNYS"))] == ["2012-01-01", "2012-02-01"]
    assert period_starts(np.array(["2012-01-01", "2012-01-02"], "datetime64[D]"), WEEK).tolist() == [date(2011, 12, 26), date(2012, 1, 2)]


def test_what_lies_outside_every_session_is_left_out() -> None:
    assert table(resample(bars(("2019-12-25T15:00", 10)), MINUTE, FIVE, "XNYS")) == []
    assert len(resample(bars(("2019-12-25T15:00", 10)), MINUTE, FIVE, "24/7")) == 1


@pytest.mark.parametrize(("source", "to"), [(DAY, MINUTE), (HOUR, FIFTEEN), (WEEK, MONTH)])
def test_bars_are_not_cut(source: Timeframe, to: Timeframe) -> None:
    with pytest.raises(InvalidInput, match="cannot be made"):
        resample(bars(("2012-01-06", 10)), source, to, "XNYS")
    assert resample(given_ := bars(("2012-01-06", 10)), source, source, "XNYS") is given_


FIRST = np.datetime64("2019-12-20T08:00", "m")
moments = st.lists(st.integers(0, 5 * 24 * 60), min_size=1, max_size=300, unique=True).map(sorted)


@st.composite
def minutes(draw: st.DrawFn) -> BarSeries:
    """Minutes at any time from Friday 2019-12-20 over a weekend to the half day before Christmas."""
    at = draw(moments)
    seed = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    price = seed.uniform(10, 20, (4, len(at)))
    ts = (FIRST + np.array(at) * np.timedelta64(1, "m")).astype("datetime64[us]")
    return BarSeries(
        symbol="AAA",
        ts=ts,
        open=price[0],
        high=price.max(axis=0),
        low=price.min(axis=0),
        close=price[1],
        volume=seed.integers(0, 1000, len(at)) * 1.0,
    )


@given(
    series=minutes(), path=st.sampled_from([(FIVE, FIFTEEN), (FIVE, HOUR), (FIFTEEN, HOUR), (FIFTEEN, DAY), (HOUR, DAY), (DAY, WEEK), (DAY, MONTH)])
)
def test_a_detour_changes_nothing(series: BarSeries, path: tuple[Timeframe, Timeframe]) -> None:
    over, to = path
    detour = resample(resample(series, MINUTE, over, "XNYS"), over, to, "XNYS")
    assert table(detour) == table(resample(series, MINUTE, to, "XNYS"))


@given(series=minutes(), to=st.sampled_from([FIVE, FIFTEEN, HOUR]))
def test_nothing_is_lost_or_invented(series: BarSeries, to: Timeframe) -> None:
    longer = resample(series, MINUTE, to, "24/7")
    assert longer.volume.sum() == series.volume.sum()
    assert (longer.high.max(), longer.low.min()) == (series.high.max(), series.low.min())
    assert (longer.open[0], longer.close[-1]) == (series.open[0], series.close[-1])
    assert (np.diff(longer.ts) > np.timedelta64(0)).all()
    assert (longer.high >= np.maximum(longer.open, longer.close)).all()


@pytest.mark.needs_shared_data
def test_the_half_day_before_christmas_2019() -> None:
    with gzip.open(SHARED_DATA / "minute_9etfs_2019_12.csv.gz", "rt") as file:
        frame = pd.read_csv(file)
    frame = frame[frame["symbol"] == "SPY"].sort_values("datetime_utc")
    ts = pd.to_datetime(frame["datetime_utc"], utc=True).dt.tz_localize(None).to_numpy("datetime64[us]")
    series = BarSeries(symbol="SPY", ts=ts, **{name: frame[name].to_numpy(float) for name in FIELDS})
    opened, closed = session_hours("XNYS", date(2019, 12, 24))
    assert closed == datetime(2019, 12, 24, 18, tzinfo=UTC)
    mine = frame[(ts >= np.datetime64(opened.replace(tzinfo=None))) & (ts < np.datetime64(closed.replace(tzinfo=None)))]
    hours = resample(series, MINUTE, HOUR, "XNYS")
    hours = hours.ts[hours.ts.astype("datetime64[D]") == np.datetime64("2019-12-24")]
    assert [str(moment)[11:16] for moment in hours] == ["14:30", "15:30", "16:30", "17:30", "18:00"]  # the vendor has a minute after the close
    day = resample(series, MINUTE, DAY, "XNYS")
    row = int(np.searchsorted(day.ts, np.datetime64("2019-12-24")))
    assert (day.open[row], day.high[row], day.low[row], day.close[row], day.volume[row]) == (
        mine["open"].iloc[0], mine["high"].max(), mine["low"].min(), mine["close"].iloc[-1], mine["volume"].sum(),
    )  # fmt: skip
