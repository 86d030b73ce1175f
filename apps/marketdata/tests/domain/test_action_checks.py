"""Splits and dividends against the bars around them."""

from decimal import Decimal

import numpy as np
import pytest

from apps.marketdata.domain.action_checks import Doubt, Surroundings, action_check
from apps.marketdata.domain.vendor import ActionKind

QUIET = 100.0 * np.exp(0.01 * np.resize([0.0, 1.0, 0.0, -1.0], 61))  # one percent up or down each day, ends at 100


def around(open_on: float, *, close_on: float | None = None, closes: np.ndarray = QUIET) -> Surroundings:
    return Surroundings(closes=closes, open_on=open_on, close_on=open_on if close_on is None else close_on)


def doubt(kind: ActionKind, value: str, bars: Surroundings, ratio: str = "1") -> Doubt | None:
    return action_check(kind, Decimal(value), bars, ratio=Decimal(ratio)).doubt


@pytest.mark.parametrize(
    ("ratio", "opened"),
    [
        ("2", 50.0),
        ("2", 55.2),  # up a tenth overnight
        ("2", 45.3),
        ("7", 14.3),
        ("0.1", 1000.0),
        ("1.05", 95.2),
        ("1.231", 82.0),
    ],
)
def test_a_split_that_the_price_shows_is_believed(ratio: str, opened: float) -> None:
    assert doubt(ActionKind.SPLIT, ratio, around(opened)) is None


@pytest.mark.parametrize(
    ("ratio", "opened"),
    [
        ("2", 100.0),  # the price did not move
        ("2", 75.0),
        ("2", 200.0),  # upside down
        ("0.5", 50.0),
        ("2", 33.3),
        ("20", 50.0),  # two for one, misprinted
        ("1.05", 99.0),
        ("1.0001", 120.0),
    ],
)
def test_a_split_that_would_move_the_price_more_than_the_data_shows_is_not(ratio: str, opened: float) -> None:
    assert doubt(ActionKind.SPLIT, ratio, around(opened)) is Doubt.NOT_IN_THE_DATA


def test_a_wild_share_may_move_more() -> None:
    wild = 100.0 * np.exp(0.05 * np.resize([0.0, 1.0, 0.0, -1.0], 61))
    assert doubt(ActionKind.SPLIT, "2", around(62.0)) is Doubt.NOT_IN_THE_DATA
    assert doubt(ActionKind.SPLIT, "2", around(62.0, closes=wild)) is None
    assert doubt(ActionKind.SPLIT, "2", around(75.0, closes=wild)) is Doubt.NOT_IN_THE_DATA  # nearer to no split than to one


def test_a_misprinted_open_is_outvoted_by_the_close() -> None:
    assert doubt(ActionKind.SPLIT, "2", around(99.0, close_on=50.5)) is None


@pytest.mark.parametrize("bars", [around(50.0, closes=np.empty(0)), around(np.nan)])
@pytest.mark.parametrize("kind", list(ActionKind))
def test_without_bars_nothing_is_believed(kind: ActionKind, bars: Surroundings) -> None:
    assert doubt(kind, "2", bars) is Doubt.NO_BARS


@pytest.mark.parametrize(
    ("cash", "opened", "expected"),
    [
        ("0.5", 101.0, None),
        ("10", 101.0, None),  # a tenth hides in ordinary moves
        ("25", 74.0, None),
        ("25", 99.0, Doubt.NOT_IN_THE_DATA),
        ("100", 1.0, Doubt.LARGER_THAN_PRICE),
        ("265", 99.0, Doubt.LARGER_THAN_PRICE),
    ],
)
def test_dividends(cash: str, opened: float, expected: Doubt | None) -> None:
    assert doubt(ActionKind.DIVIDEND, cash, around(opened)) is expected


def test_a_dividend_on_the_day_of_a_split_is_compared_with_the_price_after_it() -> None:
    assert doubt(ActionKind.DIVIDEND, "15", around(1.0), ratio="10") is Doubt.LARGER_THAN_PRICE
    assert doubt(ActionKind.DIVIDEND, "1", around(10.0), ratio="10") is None


def test_the_numbers_are_said() -> None:
    said = action_check(ActionKind.SPLIT, Decimal("2.0000"), around(99.0)).text
    assert said == "a split of 2 for one says x 0.5, the price went x 0.99 overnight (tolerance 11%)"
