"""Storing bars from memory."""

from dataclasses import replace
from datetime import UTC, date, datetime

import numpy as np
import pytest

from apps.core.errors import InvalidInput, NotFound
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.models import Bar
from apps.marketdata.selectors.bars import bar_count, bar_panel, bar_series
from apps.marketdata.services.bars import StoreResult, bars_store
from apps.marketdata.tests.factories import RECORDED_AT, InstrumentFactory, make_series, store_series

pytestmark = pytest.mark.django_db


def test_stores_and_reads_the_same_numbers() -> None:
    given = make_series("AAA", [10.0, 11.5, 11.25, 12.125])
    assert store_series(given) == StoreResult(inserted=4, revised=0, unchanged=0)
    found = bar_series(symbol="AAA", timeframe=Timeframe.DAY)
    for name in ("ts", "open", "high", "low", "close", "volume"):
        np.testing.assert_array_equal(getattr(found, name), getattr(given, name))
    row = Bar.objects.order_by("ts").first()
    assert (row.ts, row.revision, row.close, row.recorded_at) == (datetime(2012, 1, 3, tzinfo=UTC), 0, 10.0, RECORDED_AT)


def test_equal_values_change_nothing_and_different_ones_are_revisions() -> None:
    given = make_series("AAA", [10.0, 11.0, 12.0])
    store_series(given)
    assert store_series(given) == StoreResult(inserted=0, revised=0, unchanged=3)
    better = replace(given, close=np.array([10.0, 11.05, 12.0]))
    assert store_series(better) == StoreResult(inserted=0, revised=1, unchanged=2)
    assert list(bar_series(symbol="AAA", timeframe=Timeframe.DAY).close) == [10.0, 11.05, 12.0]
    assert store_series(given) == StoreResult(inserted=0, revised=1, unchanged=2)  # back again is a revision too
    assert list(Bar.objects.filter(ts=datetime(2012, 1, 4, tzinfo=UTC)).order_by("revision").values_list("close", flat=True)) == [11.0, 11.05, 11.0]
    assert bar_count(symbols=["AAA"], timeframe=Timeframe.DAY) == 3


def test_panel_is_aligned_on_the_union_of_times() -> None:
    store_series(make_series("AAA", [1.0, 2.0, 3.0]), make_series("BBB", [5.0, 6.0, 7.0], start=date(2012, 1, 5)))
    panel = bar_panel(symbols=["BBB", "AAA"], timeframe=Timeframe.DAY)
    np.testing.assert_array_equal(panel.close, [[np.nan, 1], [np.nan, 2], [5, 3], [6, np.nan], [7, np.nan]])
    assert panel.symbols == ("BBB", "AAA")
    assert list(panel.series("BBB").close) == [5.0, 6.0, 7.0]


def test_start_is_inclusive_and_end_too_when_it_is_a_date() -> None:
    store_series(make_series("AAA", [1.0, 2.0, 3.0, 4.0]))
    found = bar_series(symbol="AAA", timeframe=Timeframe.DAY, start=date(2012, 1, 4), end=date(2012, 1, 5))
    assert list(found.close) == [2.0, 3.0]
    exclusive = bar_series(symbol="AAA", timeframe=Timeframe.DAY, end=datetime(2012, 1, 5, tzinfo=UTC))
    assert list(exclusive.close) == [1.0, 2.0]
    with pytest.raises(InvalidInput, match="time zone"):
        bar_series(symbol="AAA", timeframe=Timeframe.DAY, end=datetime(2012, 1, 5))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("field", "value", "fault"),
    [
        ("close", 0.0, "above zero"),
        ("low", float("nan"), "above zero"),
        ("volume", -1.0, "negative"),
        ("high", 0.5, "below low"),
        ("close", 99.0, "outside low"),
        ("ts", np.datetime64("2012-01-07", "us"), "no session"),
        ("ts", np.datetime64("2012-01-03", "us"), "before"),
    ],
)
def test_one_bad_bar_refuses_all(field: str, value: object, fault: str) -> None:
    good = make_series("AAA", [10.0, 11.0, 12.0])
    values = getattr(good, field).copy()
    values[1] = value
    with pytest.raises(InvalidInput, match=fault):
        store_series(replace(good, **{field: values}))
    assert not Bar.objects.exists()
    assert store_series(good).inserted == 3


def test_unknown_symbol_is_named_and_not_created() -> None:
    InstrumentFactory(symbol="AAA")
    with pytest.raises(NotFound, match="'NEW'"):
        bars_store(series=[make_series("AAA", [1.0]), make_series("NEW", [1.0])], timeframe=Timeframe.DAY, source="test", recorded_at=RECORDED_AT)
    assert not Bar.objects.exists()
