"""Factors of splits and dividends, by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.errors import InvalidInput
from apps.marketdata.domain.adjustment import Adjustment, Closes, Event, adjusted, factors
from apps.marketdata.domain.bars import BarSeries
from apps.marketdata.domain.vendor import ActionKind

DAYS = np.array(["2012-01-03", "2012-01-04", "2012-01-05", "2012-01-06"], "datetime64[D]")
CLOSE = np.array([100.0, 102.0, 50.0, 51.0])


def event(kind: ActionKind, day: str, value: float) -> Event:
    return Event(kind=kind, day=np.datetime64(day, "D"), value=value)


def split(day: str, ratio: float) -> Event:
    return event(ActionKind.SPLIT, day, ratio)


def dividend(day: str, cash: float) -> Event:
    return event(ActionKind.DIVIDEND, day, cash)


def series(close: np.ndarray = CLOSE) -> BarSeries:
    return BarSeries(
        symbol="AAA",
        ts=DAYS.astype("datetime64[us]"),
        open=close,
        high=close * 1.01,
        low=close * 0.99,
        close=close,
        volume=np.full(len(close), 1000.0),
    )


def adjust(*events: Event, adjustment: Adjustment, close: np.ndarray = CLOSE) -> BarSeries:
    return adjusted(series(close), DAYS, events, adjustment, Closes(days=DAYS, close=close))


def test_a_split_divides_earlier_prices_and_multiplies_earlier_volumes() -> None:
    found = adjust(split("2012-01-05", 2.0), adjustment=Adjustment.SPLIT)
    np.testing.assert_array_equal(found.close, [50.0, 51.0, 50.0, 51.0])
    np.testing.assert_array_equal(found.high, CLOSE * 1.01 * [0.5, 0.5, 1, 1])
    np.testing.assert_array_equal(found.volume, [2000.0, 2000.0, 1000.0, 1000.0])


def test_a_reverse_split_does_the_opposite() -> None:
    found = adjust(split("2012-01-05", 0.1), adjustment=Adjustment.SPLIT)
    np.testing.assert_allclose(found.close, [1000.0, 1020.0, 50.0, 51.0])
    np.testing.assert_allclose(found.volume, [100.0, 100.0, 1000.0, 1000.0])


def test_splits_multiply() -> None:
    split_by, _ = factors(DAYS, [split("2012-01-04", 2.0), split("2012-01-06", 3.0)], Adjustment.SPLIT, Closes(days=DAYS, close=CLOSE))
    np.testing.assert_allclose(split_by, [1 / 6, 1 / 3, 1 / 3, 1.0])


def test_a_dividend_leaves_its_share_of_the_close_before() -> None:
    found = adjust(dividend("2012-01-05", 5.1), adjustment=Adjustment.TOTAL_RETURN)
    np.testing.assert_allclose(found.close, [95.0, 96.9, 50.0, 51.0])  # 1 - 5.1 / 102 = 0.95
    np.testing.assert_array_equal(found.volume, series().volume)


def test_a_dividend_reinvested_at_the_close_makes_the_days_return_that_of_a_holder() -> None:
    found = adjust(dividend("2012-01-05", 5.0), adjustment=Adjustment.TOTAL_RETURN_AT_CLOSE)
    assert found.close[2] / found.close[1] == pytest.approx((50.0 + 5.0) / 102.0)


def test_a_dividend_on_the_day_of_a_split_is_paid_on_the_new_shares() -> None:
    events = (split("2012-01-05", 2.0), dividend("2012-01-05", 2.55))
    found = adjust(*events, adjustment=Adjustment.TOTAL_RETURN)
    np.testing.assert_allclose(found.close[:2], CLOSE[:2] / 2 * 0.95)  # 1 - 2.55 / (102 / 2)


@pytest.mark.parametrize("adjustment", list(Adjustment))
@pytest.mark.parametrize("day", ["2012-01-03", "2011-12-30"])
def test_what_happened_before_the_first_bar_changes_nothing(adjustment: Adjustment, day: str) -> None:
    np.testing.assert_array_equal(adjust(split(day, 2.0), dividend(day, 1.0), adjustment=adjustment).close, CLOSE)


def test_split_adjusted_prices_know_no_dividends_and_raw_ones_nothing() -> None:
    events = (split("2012-01-06", 2.0), dividend("2012-01-05", 5.0))
    np.testing.assert_array_equal(adjust(*events, adjustment=Adjustment.NONE).close, CLOSE)
    np.testing.assert_array_equal(adjust(*events, adjustment=Adjustment.SPLIT).close, [50.0, 51.0, 25.0, 51.0])


def test_a_dividend_as_large_as_the_price_changes_nothing() -> None:
    np.testing.assert_array_equal(adjust(dividend("2012-01-05", 102.0), adjustment=Adjustment.TOTAL_RETURN).close, CLOSE)


def test_names() -> None:
    assert Adjustment.parse(" total_return ") is Adjustment.TOTAL_RETURN
    with pytest.raises(InvalidInput, match="one of none, split, total_return"):
        Adjustment.parse("full")


prices = st.lists(st.floats(1.0, 1000.0), min_size=4, max_size=4).map(np.array)
ratios = st.floats(0.05, 20.0)


@given(close=prices, ratio=ratios, day=st.sampled_from(DAYS.tolist()))
def test_traded_value_does_not_depend_on_splits(close: np.ndarray, ratio: float, day: object) -> None:
    found = adjust(split(str(day), ratio), adjustment=Adjustment.SPLIT, close=close)
    np.testing.assert_allclose(found.close * found.volume, close * 1000.0)


@given(close=prices, ratio=ratios, share=st.floats(0.0, 0.5), days=st.tuples(st.sampled_from(DAYS.tolist()), st.sampled_from(DAYS.tolist())))
def test_returns_of_days_without_an_action_stay(close: np.ndarray, ratio: float, share: float, days: tuple[object, object]) -> None:
    events = (split(str(days[0]), ratio), dividend(str(days[1]), share * close.min() / max(ratio, 1.0)))
    for adjustment in Adjustment:
        found = adjust(*events, adjustment=adjustment, close=close)
        quiet = ~np.isin(DAYS[1:].astype(str), [str(day) for day in days])
        np.testing.assert_allclose((found.close[1:] / found.close[:-1])[quiet], (close[1:] / close[:-1])[quiet])
        assert found.close[-1] == close[-1]
