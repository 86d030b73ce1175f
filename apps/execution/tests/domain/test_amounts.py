from decimal import Decimal

import pytest

from apps.core.trading import Side
from apps.execution.domain.amounts import slippage_bps, slipped, trimmed


@pytest.mark.parametrize(("value", "text"), [("100.000000", "100"), ("0.000000", "0"), ("1E+2", "100"), ("-0.5000", "-0.5"), (None, None)])
def test_trimmed(value, text):
    assert trimmed(None if value is None else Decimal(value)) == text


@pytest.mark.parametrize(("side", "expected"), [(Side.BUY, "5.0"), (Side.SELL, "-5.0")])
def test_slippage_is_a_cost_when_a_buy_pays_more(side, expected):
    assert slippage_bps(side=side, average_price=Decimal("100.05"), arrival_price=Decimal(100)) == Decimal(expected)


def test_slippage_is_unknown_without_both_prices():
    assert slippage_bps(side=Side.BUY, average_price=None, arrival_price=Decimal(100)) is None
    assert slippage_bps(side=Side.BUY, average_price=Decimal(100), arrival_price=None) is None


@pytest.mark.parametrize(("side", "expected"), [(Side.BUY, "100.05"), (Side.SELL, "99.95")])
def test_slipped_is_worse_for_the_side(side, expected):
    assert slipped(Decimal(100), side=side, bps=Decimal(5)) == Decimal(expected)
