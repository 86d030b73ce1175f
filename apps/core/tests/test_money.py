from decimal import Decimal

import pytest

from apps.core.errors import InvalidInput
from apps.core.money import exact, money, price_from_float


class TestExact:
    @pytest.mark.parametrize("value", ["1.123456", Decimal("1.1234560"), 7, "-0.5", "1E+3"])
    def test_what_has_few_enough_places_passes_unchanged(self, value: str | Decimal | int) -> None:
        assert exact(value, places=6, field="price") == Decimal(value)

    @pytest.mark.parametrize("value", ["1.1234567", Decimal("0.00000001"), "1E-7"])
    def test_more_places_are_refused_not_rounded(self, value: str | Decimal) -> None:
        with pytest.raises(InvalidInput, match="more than 6 decimal places") as caught:
            exact(value, places=6, field="price")
        assert caught.value.field == "price"

    @pytest.mark.parametrize("value", ["NaN", "Infinity", "-inf", "sNaN", "", "1,5", "12.3.4", None])
    def test_what_is_no_number_is_refused(self, value: str | None) -> None:
        with pytest.raises(InvalidInput):
            exact(value, places=6, field="price")  # type: ignore[arg-type]


def test_a_price_from_a_float_is_what_the_float_shows() -> None:
    assert price_from_float(0.1 + 0.2) == Decimal("0.300000")
    assert price_from_float(189.5) == Decimal("189.5")
    assert price_from_float(1e-7) == 0


def test_the_desks_own_amounts_are_rounded_half_up() -> None:
    assert money(Decimal("1.00005")) == Decimal("1.0001")
    assert money(Decimal("-1.00005")) == Decimal("-1.0001")
