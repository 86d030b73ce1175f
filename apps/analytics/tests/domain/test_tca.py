"""Shortfall is an identity: what the paper portfolio made less what the real one made. Published cases are in fixtures/vectors."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.analytics.domain.tca import implementation_shortfall, slippage
from apps.core.errors import InvalidInput

PRICE = st.decimals("1", "500", places=2)
FILLS = st.lists(st.fixed_dictionaries({"quantity": st.integers(1, 400).map(Decimal), "price": PRICE}), max_size=6)


@given(st.sampled_from(["BUY", "SELL"]), PRICE, PRICE, PRICE, FILLS, st.integers(0, 500), st.decimals(0, 50, places=2))
def test_the_parts_sum_to_paper_less_actual(
    side: str, decision: Decimal, arrival: Decimal, end: Decimal, fills: list[dict[str, Decimal]], left: int, fees: Decimal
) -> None:
    filled = sum((fill["quantity"] for fill in fills), Decimal(0))
    ordered = filled + left + 1
    parts = implementation_shortfall(side, ordered, decision, arrival, fills, end, fees)
    sign = 1 if side == "BUY" else -1
    paper = sign * ordered * (end - decision)
    actual = sign * sum((fill["quantity"] * (end - fill["price"]) for fill in fills), Decimal(0)) - fees
    assert parts["total"] == pytest.approx(float(paper - actual))
    assert parts["total"] == pytest.approx(sum(parts[name] for name in ("delay", "trading", "opportunity", "fees")))


def test_a_fill_without_price_is_named() -> None:
    with pytest.raises(InvalidInput) as refused:
        slippage("BUY", [{"quantity": Decimal(1), "price": Decimal(1)}, {"quantity": Decimal(1)}], benchmark_price=Decimal(1))
    assert refused.value.field == "fills/1/price"
