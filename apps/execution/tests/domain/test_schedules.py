"""Whole slices that always sum to the parent. The published cases are certified from fixtures/vectors/execution.json."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.errors import InvalidInput
from apps.execution.domain.schedules import apportion, pov, twap, vwap

QUANTITIES = st.integers(0, 10**9)


@given(QUANTITIES, st.integers(1, 500))
def test_equal_slices_sum_to_the_parent_and_differ_by_one_share_at_most(quantity: int, slices: int) -> None:
    parts = twap(quantity, slices)
    assert sum(parts) == quantity
    assert max(parts) - min(parts) <= 1
    assert parts == sorted(parts, reverse=True)


@given(QUANTITIES, st.lists(st.decimals(0, 1000, places=3), min_size=1, max_size=40).filter(any))
def test_slices_by_volume_sum_to_the_parent_and_miss_their_share_by_less_than_one(quantity: int, curve: list[Decimal]) -> None:
    parts = vwap(quantity, curve)
    total = sum(map(Fraction, curve), Fraction(0))
    assert sum(parts) == quantity
    assert all(abs(part - quantity * Fraction(share) / total) < 1 for part, share in zip(parts, curve, strict=True))


@given(st.decimals("0.01", "0.9", places=2), st.integers(0, 10**8))
def test_participation_is_the_rate_of_the_total_volume(rate: Decimal, others: int) -> None:
    own = pov(rate, Decimal(others))
    assert own == pytest.approx(float(rate) * (own + others))


@pytest.mark.parametrize("quantity", [-1, 1.5])
def test_a_parent_that_is_no_whole_quantity_is_refused_by_name(quantity: float) -> None:
    with pytest.raises(InvalidInput) as refused:
        apportion(quantity, [Fraction(1)])  # type: ignore[arg-type]
    assert refused.value.field == "quantity"
