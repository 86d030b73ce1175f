"""Price bands and the short sale circuit breaker, by the vectors of domain.md A5."""

from decimal import Decimal

import pytest

from apps.compliance.domain.market_rules import luld_band, short_sale_allowed, short_sale_triggered
from apps.core.errors import InvalidInput


def test_v_a5_1_a_fall_of_a_tenth_restricts_short_sales_to_prices_above_the_bid() -> None:
    assert short_sale_triggered("20.00", "18.00")
    assert not short_sale_triggered("20.00", "18.01")
    assert not short_sale_allowed(limit_price=Decimal("17.95"), best_bid=Decimal("17.95"))
    assert short_sale_allowed(limit_price=Decimal("17.96"), best_bid=Decimal("17.95"))


@pytest.mark.parametrize(("limit", "bid"), [(None, "17.95"), ("17.96", None)])
def test_a_short_sale_at_the_market_or_without_a_bid_is_not_above_it(limit, bid) -> None:
    assert not short_sale_allowed(limit_price=limit and Decimal(limit), best_bid=bid and Decimal(bid))


def test_v_a5_2_the_bands_of_tier_one() -> None:
    assert luld_band("50.00", 1) == [Decimal("47.50"), Decimal("52.50")]
    assert luld_band("50.00", 1, near_open_close=True) == [Decimal(45), Decimal(55)]


def test_no_band_goes_below_zero() -> None:
    assert luld_band("0.10", 2, near_open_close=True) == [Decimal(0), Decimal("0.25")]


@pytest.mark.parametrize("call", [lambda: luld_band("0", 1), lambda: luld_band("50", 3), lambda: luld_band("nan", 1), lambda: luld_band("x", 1)])
def test_what_is_no_price_or_no_tier_is_refused(call) -> None:
    with pytest.raises(InvalidInput):
        call()
