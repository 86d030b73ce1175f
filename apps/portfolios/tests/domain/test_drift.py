"""Drift of weights from targets."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.errors import InvalidInput
from apps.portfolios.domain.drift import drift, targets_check

WEIGHTS = st.dictionaries(st.sampled_from("ABCDEFGH"), st.decimals(min_value=0, max_value="0.125", places=6))


def d(**weights: str) -> dict[str, Decimal]:
    return {symbol: Decimal(weight) for symbol, weight in weights.items()}


def test_it_counts_what_is_held_without_target_and_what_is_wanted_without_holding() -> None:
    found = drift(weights=d(AAPL="0.62", IBM="0.10"), targets=d(AAPL="0.50", MSFT="0.30"))
    assert [(one.symbol, one.drift) for one in found.positions] == [
        ("MSFT", Decimal("-0.30")),
        ("AAPL", Decimal("0.12")),
        ("IBM", Decimal("0.10")),
    ]
    assert (found.max_drift, found.total_drift) == (Decimal("0.30"), Decimal("0.52"))
    assert (found.cash_weight, found.cash_target) == (Decimal("0.28"), Decimal("0.20"))
    assert found.turnover == Decimal("0.30")  # half of 0.52 and of the 0.08 of cash


def test_nothing_held_and_nothing_wanted_is_no_drift() -> None:
    found = drift(weights={}, targets={})
    assert (found.max_drift, found.total_drift, found.turnover, found.positions) == (0, 0, 0, ())


@given(weights=WEIGHTS, targets=WEIGHTS)
def test_drifts_and_cash_sum_to_nothing(weights: dict[str, Decimal], targets: dict[str, Decimal]) -> None:
    found = drift(weights=weights, targets=targets)
    assert sum(one.drift for one in found.positions) + found.cash_weight - found.cash_target == 0
    assert sum(one.current_weight for one in found.positions) + found.cash_weight == 1
    assert found.max_drift <= found.total_drift <= 2 * found.turnover
    assert 0 <= found.turnover <= 1


@given(weights=WEIGHTS)
def test_what_is_on_target_has_no_drift(weights: dict[str, Decimal]) -> None:
    found = drift(weights=weights, targets=weights)
    assert (found.max_drift, found.turnover) == (0, 0)


@pytest.mark.parametrize(
    ("targets", "text"),
    [
        (d(AAPL="0.6", IBM="0.5"), "add up to 1.1"),
        (d(AAPL="-0.1"), "from 0 to 1"),
        (d(AAPL="1.2"), "from 0 to 1"),
        (d(AAPL="NaN"), "from 0 to 1"),
        (d(AAPL="0.0000001"), "more than 6 decimal places"),
    ],
)
def test_targets_that_make_no_portfolio_are_refused(targets: dict[str, Decimal], text: str) -> None:
    with pytest.raises(InvalidInput, match=text):
        targets_check(targets)


def test_all_may_be_invested() -> None:
    targets_check(d(AAPL="0.999999", IBM="0.000001"))
