"""What an order's commission is expected to be."""

from decimal import Decimal

import pytest

from apps.execution.domain.commissions import CommissionTerms, commission_estimate

#: Interactive Brokers, fixed prices.
FIXED = CommissionTerms(minimum=Decimal(1), per_share=Decimal("0.005"), cap=Decimal("0.01"))


@pytest.mark.parametrize(
    ("quantity", "value", "commission"),
    # The first three are the examples that Interactive Brokers gives: 100 shares at 25, 1,000 at 25, 1,000 at 0.25.
    [("100", "2500", "1"), ("1000", "25000", "5"), ("1000", "250", "2.5"), ("10", "50", "0.5"), ("1000", None, "5"), ("10", None, "1")],
)
def test_per_share_with_a_least_and_a_most(quantity, value, commission):
    assert commission_estimate(FIXED, quantity=Decimal(quantity), value=value and Decimal(value)) == Decimal(commission)


def test_one_commission_per_order():
    terms = CommissionTerms(minimum=Decimal("1.50"))
    assert commission_estimate(terms, quantity=Decimal(100_000), value=Decimal(10)) == Decimal("1.50")
