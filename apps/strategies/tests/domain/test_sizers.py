"""The sizers of seed 003: their formulas, whole lots always, and what they refuse by name."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.errors import InvalidInput
from apps.strategies.domain.sizers import SIZERS, SizingPortfolio, bars_wanted, measured, sizer_build, sizer_document
from apps.strategies.domain.strategy import SignalAction, StrategySignal

SIGNAL = StrategySignal(action=SignalAction.BUY, symbol="AAPL", price=50.0, timestamp=datetime(2012, 1, 3, tzinfo=UTC))
MONEY = SizingPortfolio(equity=100_000.0, atr={"AAPL": 2.5}, volatility={"AAPL": 0.4})
GIVEN = {
    "fixed": {"fixed_qty": 150},
    "percent": {"pct": 0.1},
    "risk_based": {"risk_pct": 0.01, "stop_pct": 0.06},
    "kelly": {"win_rate": 0.6, "win_loss_ratio": 1},
    "volatility": {"risk_pct": 0.01, "multiplier": 2},
    "target_volatility": {"target": 0.1, "window": 20},
}


@pytest.mark.parametrize(
    ("kind", "quantity"), [("fixed", 150), ("percent", 200), ("risk_based", 333), ("kelly", 200), ("volatility", 200), ("target_volatility", 500)]
)
def test_its_formula(kind, quantity):
    """V-B7-2 for risk_based (a distance of 3) and volatility; half Kelly of .2 is 10 %."""
    assert sizer_build(kind, GIVEN[kind]).calculate_qty(SIGNAL, MONEY, 50.0) == quantity


@pytest.mark.parametrize("kind", SIZERS)
def test_its_document_makes_it_again(kind):
    sizer = sizer_build(kind, GIVEN[kind])
    document = sizer_document(sizer)
    assert document.pop("type") == kind
    assert sizer_build(kind, document) == sizer


@pytest.mark.parametrize(("kind", "says"), [("volatility", "fewer than 15 bars"), ("target_volatility", "fewer than 61 bars")])
def test_without_a_history_nothing_is_bought_and_it_says_so(kind, says):
    sized = sizer_build(kind, {}).sized("AAPL", SizingPortfolio(equity=1e5), 50.0)
    assert (sized.quantity, says in sized.lacking) == (0, True)


class TestExplanation:
    def test_names_every_number_of_the_formula(self):
        sized = sizer_build("risk_based", GIVEN["risk_based"]).sized("AAPL", MONEY, 50.0)
        assert {term.name: (term.value, term.unit) for term in sized.terms} == {
            "Equity": (100_000, "money"),
            "Risk of the trade": (0.01, "fraction"),
            "Price": (50, "price"),
            "Stop distance": (0.06, "fraction"),
            "Distance": (3, "price"),
        }
        assert (sized.wanted, sized.quantity, sized.caps) == (pytest.approx(1000 / 3), 333, ())

    def test_a_stop_price_takes_the_place_of_the_percentage(self):
        money = SizingPortfolio(equity=100_000.0, stops={"AAPL": 48.0})
        assert sizer_build("risk_based", GIVEN["risk_based"]).sized("AAPL", money, 50.0).quantity == 500

    @pytest.mark.parametrize(
        ("kind", "values", "quantity", "says"),
        [
            ("kelly", {"win_rate": 0.9, "win_loss_ratio": 2}, 400, "42.5% of equity is above the cap of 20.0%"),
            ("kelly", {"win_rate": 0.4, "win_loss_ratio": 1}, 0, "Kelly's fraction is -20.0%: such a bet is not made"),
            ("target_volatility", {"target": 0.8, "cap": 1}, 2000, "200.0% of equity is above the cap of 100.0%"),
        ],
    )
    def test_says_what_capped_it(self, kind, values, quantity, says):
        sized = sizer_build(kind, values).sized("AAPL", MONEY, 50.0)
        assert sized.quantity == quantity
        assert [says in cap for cap in sized.caps] == [True]

    def test_the_cash_caps_what_it_does_not_pay_for(self):
        money = SizingPortfolio(equity=100_000.0, affordable={"AAPL": 150.9})
        sized = sizer_build("percent", GIVEN["percent"]).sized("AAPL", money, 50.0)
        assert (sized.wanted, sized.quantity, sized.caps) == (200, 150, ("the cash pays for 150 shares",))


@pytest.mark.parametrize(("kind", "what"), [("volatility", "atr"), ("target_volatility", "volatility"), ("percent", None)])
def test_bars_are_looked_at_only_where_the_formula_needs_them(kind, what):
    sizer = sizer_build(kind, {})
    close = [100.0 + n % 3 for n in range(80)]
    seen = measured(sizer, "AAPL", high=[price + 1 for price in close], low=[price - 1 for price in close], close=close)
    assert list(seen) == ([what] if what else [])
    assert all(values["AAPL"] > 0 for values in seen.values())
    assert (bars_wanted(sizer) > 0) is (what is not None)


@given(st.sampled_from(sorted(SIZERS)), st.floats(0, 1e8), st.floats(0.01, 1e5), st.sampled_from([1.0, 10.0, 100.0]))
def test_quantities_are_whole_lots_and_never_negative(kind, equity, price, lot):
    money = SizingPortfolio(equity=equity, atr={"AAPL": price / 50}, volatility={"AAPL": 0.3}, lots={"AAPL": lot})
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
        ("target_volatility", {"window": 1}, "window"),
        ("target_volatility", {"target": 0}, "target"),
        ("fixed", {"fixed_qty": 1e13}, "fixed_qty"),
    ],
)
def test_what_is_wrong_is_named(kind, values, field):
    with pytest.raises(InvalidInput) as caught:
        sizer_build(kind, values)
    assert caught.value.field == f"position_sizer.{field}"
