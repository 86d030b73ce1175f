"""The sizers of seed 003: their formulas, whole lots always, and what they refuse by name."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.errors import InvalidInput
from apps.strategies.domain.sizers import SIZERS, SizingPortfolio, sizer_build, sizer_document
from apps.strategies.domain.strategy import SignalAction, StrategySignal

SIGNAL = StrategySignal(action=SignalAction.BUY, symbol="AAPL", price=50.0, timestamp=datetime(2012, 1, 3, tzinfo=UTC))
MONEY = SizingPortfolio(equity=100_000.0, atr={"AAPL": 2.5})
GIVEN = {
    "fixed": {"fixed_qty": 150},
    "percent": {"pct": 0.1},
    "risk_based": {"risk_pct": 0.01, "stop_pct": 0.06},
    "kelly": {"win_rate": 0.6, "win_loss_ratio": 1},
    "volatility": {"risk_pct": 0.01, "multiplier": 2},
}


@pytest.mark.parametrize(("kind", "quantity"), [("fixed", 150), ("percent", 200), ("risk_based", 333), ("kelly", 200), ("volatility", 200)])
def test_its_formula(kind, quantity):
    """V-B7-2 for risk_based (a distance of 3) and volatility; half Kelly of .2 is 10 %."""
    assert sizer_build(kind, GIVEN[kind]).calculate_qty(SIGNAL, MONEY, 50.0) == quantity


@pytest.mark.parametrize("kind", SIZERS)
def test_its_document_makes_it_again(kind):
    sizer = sizer_build(kind, GIVEN[kind])
    document = sizer_document(sizer)
    assert document.pop("type") == kind
    assert sizer_build(kind, document) == sizer


def test_without_an_average_true_range_nothing_is_bought():
    assert sizer_build("volatility", {}).calculate_qty(SIGNAL, SizingPortfolio(equity=1e5), 50.0) == 0


@given(st.sampled_from(sorted(SIZERS)), st.floats(0, 1e8), st.floats(0.01, 1e5), st.sampled_from([1.0, 10.0, 100.0]))
def test_quantities_are_whole_lots_and_never_negative(kind, equity, price, lot):
    money = SizingPortfolio(equity=equity, atr={"AAPL": price / 50}, lots={"AAPL": lot})
    quantity = sizer_build(kind, GIVEN[kind]).calculate_qty(SIGNAL, money, price)
    assert quantity >= 0
    assert quantity % lot == 0


@pytest.mark.parametrize(
    ("kind", "values", "field"),
    [
        ("percnt", {}, "type"),
        ("percent", {"pct": 10}, "pct"),
        ("percent", {"pct": "ten"}, "pct"),
        ("percent", {"pct": True}, "pct"),
        ("percent", {"share": 1}, "share"),
        ("fixed", {}, "fixed_qty"),
        ("fixed", {"fixed_qty": 0}, "fixed_qty"),
        ("kelly", {"win_rate": 1.5, "win_loss_ratio": 1}, "win_rate"),
        ("volatility", {"period": 1.5}, "period"),
    ],
)
def test_what_is_wrong_is_named(kind, values, field):
    with pytest.raises(InvalidInput) as caught:
        sizer_build(kind, values)
    assert caught.value.field == f"position_sizer.{field}"
