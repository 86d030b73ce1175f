from datetime import date
from decimal import Decimal

import pytest

from apps.portfolios.domain.borrow import borrow_fee

FRIDAY, MONDAY = date(2024, 3, 1), date(2024, 3, 4)


@pytest.mark.parametrize(
    ("quantity", "price", "rate", "first", "last", "fee"),
    [
        ("-1000", "50", "0.03", FRIDAY, MONDAY, "12.5"),  # 50,000 x 3 % x 3 / 360
        ("-1000", "50", "0.03", MONDAY, date(2024, 3, 5), "4.1667"),
        ("-0.5", "100", "0.2", MONDAY, date(2024, 3, 5), "0.0278"),
        ("-1000", "50", "0", FRIDAY, MONDAY, "0"),
    ],
)
def test_by_hand(quantity: str, price: str, rate: str, first: date, last: date, fee: str) -> None:
    found = borrow_fee(quantity=Decimal(quantity), price=Decimal(price), annual_rate=Decimal(rate), first=first, last=last)
    assert found == Decimal(fee)
