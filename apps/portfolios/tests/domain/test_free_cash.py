from decimal import Decimal

import pytest

from apps.portfolios.domain.free_cash import cash_free


@pytest.mark.parametrize(
    ("currency", "claims", "free"),
    [
        ("USD", "0", "1000"),  # no more than there is of it
        ("EUR", "0", "100"),
        ("USD", "600", "510"),  # 1000 + 100 x 1.1 - 600
        ("EUR", "1000", "100"),  # 110 are left, which is 100 euros
        ("EUR", "1055", "50"),
        ("EUR", "1109.99995", "0"),  # rounded down to four places: 0.00005 / 1.1
        ("USD", "2000", "0"),
        ("CHF", "0", "0"),
    ],
)
def test_what_is_free_by_hand(currency: str, claims: str, free: str) -> None:
    lines, rates = {"USD": Decimal(1000), "EUR": Decimal(100)}, {"USD": Decimal(1), "EUR": Decimal("1.1"), "CHF": Decimal("1.2")}
    assert cash_free(lines=lines, claims=Decimal(claims), rates=rates, currency=currency) == Decimal(free)


def test_a_debt_in_another_currency_is_served_first() -> None:
    lines, rates = {"USD": Decimal(1000), "EUR": Decimal(-100)}, {"USD": Decimal(1), "EUR": Decimal("1.1")}
    assert cash_free(lines=lines, claims=Decimal(0), rates=rates, currency="USD") == 890
