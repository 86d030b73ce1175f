"""Scenarios on positions (domain.md B5): replayed windows with proxies and coverage, shocked factors, the reverse, and what bad input becomes."""

import math
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.risk.domain.scenario_moves import (
    Exposure,
    Proxy,
    ScenarioTerms,
    estimated_betas,
    factor_scenario,
    historic_scenario,
    reverse_scenario,
    window_returns,
)
from apps.risk.domain.scenarios import JointMoves, Scenario, ScenarioKind, StressState, stressed, worst_outcome

CRISIS = ScenarioTerms(
    name="2007-2009", title="Crisis", kind=ScenarioKind.HISTORIC, start=date(2007, 10, 9), end=date(2009, 3, 9), index_return=-0.5678
)


def shocked(**shocks: float) -> ScenarioTerms:
    return ScenarioTerms(name="s", title="S", kind=ScenarioKind.FACTOR, shocks=shocks)


def only(values, scenario, **told):
    (outcome,) = stressed(values, [scenario], **told)
    return outcome


def test_the_worst_is_one_that_says_something_and_was_not_told_what_to_lose() -> None:
    held, told = {"A": 1000.0}, {"title": "S", "kind": ScenarioKind.FACTOR}
    scenarios = [
        Scenario(name="b", moves={"A": -0.1}, **told),
        Scenario(name="a", moves={"A": -0.1}, **told),
        Scenario(name="up", moves={"A": 0.2}, **told),
        Scenario(name="of others", moves={"B": -0.9}, **told),
        Scenario(name="r", title="R", kind=ScenarioKind.REVERSE, loss=0.5, joint=JointMoves(symbols=("A",), covariance=np.array([[1e-4]]), n=250)),
    ]
    outcomes = stressed(held, scenarios, equity=1000.0)
    worst = worst_outcome(outcomes)
    assert (worst.name, worst.loss) == ("a", 100.0)
    assert [outcome.loss for outcome in outcomes] == [100.0, 100.0, 0.0, None, 500.0]
    assert worst_outcome(outcomes[3:]) is None


def test_v_b5_2_an_equity_beta_of_1_2_loses_24000_of_100000() -> None:
    ready = factor_scenario(shocked(equity=-0.2), ["A"], given={"A": {"equity": Exposure(beta=1.2)}}, estimated={})
    outcome = only({"A": 100_000.0}, ready, equity=200_000.0)
    assert (outcome.state, outcome.coverage, outcome.proxied) == (StressState.OK, 1.0, ())
    assert outcome.pnl == pytest.approx(-24_000)
    assert outcome.fraction == pytest.approx(-0.12)


def test_v_b5_3_a_young_stock_without_proxy_is_excluded_and_never_zero() -> None:
    ready = historic_scenario(CRISIS, ["OLD", "YOUNG"], own={"OLD": -0.4}, market="SPX", proxies={}, betas={})
    outcome = only({"OLD": 30_000.0, "YOUNG": 10_000.0}, ready)
    assert (outcome.state, outcome.excluded, outcome.coverage) == (StressState.PARTIAL, ("YOUNG",), 0.75)
    assert outcome.by_symbol == {"OLD": -12_000.0}


def test_v_b5_1_the_reverse_names_the_joint_move_and_how_far_it_is() -> None:
    joint = JointMoves(symbols=("CAD", "EUR"), covariance=np.diag([0.05**2, 0.12**2]), n=250)
    ready = Scenario(name="r", title="R", kind=ScenarioKind.REVERSE, loss=0.1, joint=joint)
    outcome = only({"CAD": 2e6, "EUR": 1e6}, ready, equity=5e6)
    assert outcome.moves == pytest.approx({"CAD": -0.1024590164, "EUR": -0.2950819672}, abs=1e-10)
    assert outcome.distance == pytest.approx(3.200921998, abs=1e-9)
    assert outcome.pnl == -500_000
    assert sum(outcome.by_symbol.values()) == pytest.approx(-500_000)


def test_a_window_prefers_own_returns_then_the_named_proxy_then_the_market_times_beta() -> None:
    ready = historic_scenario(
        CRISIS,
        ["OWN", "NAMED", "BETA", "NOTHING", "SPX"],
        own={"OWN": -0.1, "OTHER": -0.3},
        market="SPX",
        proxies={"OWN": Proxy(symbol="OTHER", beta=1), "NAMED": Proxy(symbol="OTHER", beta=0.5)},
        betas={"OWN": 2.0, "NAMED": 2.0, "BETA": 0.5},
    )
    assert ready.moves == {"OWN": -0.1}
    assert ready.proxied == pytest.approx({"NAMED": -0.15, "BETA": -0.2839, "SPX": -0.5678})
    assert ready.move("NOTHING") is None


def test_a_proxy_without_prices_and_a_market_without_return_know_nothing() -> None:
    terms = ScenarioTerms(name="w", title="W", kind=ScenarioKind.HISTORIC, start=date(2007, 10, 9), end=date(2009, 3, 9))
    ready = historic_scenario(terms, ["A", "B"], own={}, market="SPX", proxies={"A": Proxy(symbol="X", beta=1)}, betas={"B": 1.0})
    assert ready.proxied == {}
    outcome = only({"A": 1.0, "B": 1.0}, ready)
    assert (outcome.state, outcome.pnl, outcome.coverage) == (StressState.INSUFFICIENT_DATA, None, 0.0)


def test_nothing_held_long_loses_more_than_all_of_it() -> None:
    ready = historic_scenario(CRISIS, ["A"], own={}, market="SPX", proxies={}, betas={"A": 2.5})
    assert only({"A": 100.0}, ready).pnl == -100


@pytest.mark.parametrize(
    ("values", "unpriced", "state", "pnl"),
    [
        ({}, (), StressState.EMPTY, 0.0),
        ({"A": 0.0}, (), StressState.EMPTY, 0.0),
        ({"A": 100.0}, ("B",), StressState.PRICE_MISSING, None),
        ({"A": math.nan}, (), StressState.PRICE_MISSING, None),
        ({"Z": 100.0}, (), StressState.INSUFFICIENT_DATA, None),
        ({"A": 100.0, "Z": 100.0}, (), StressState.PARTIAL, -20.0),
        ({"A": 100.0}, (), StressState.OK, -20.0),
    ],
)
def test_each_bad_input_has_a_state_of_its_own(values, unpriced, state, pnl) -> None:
    moving = Scenario(name="s", title="S", kind=ScenarioKind.FACTOR, moves={"A": -0.2})
    outcome = only(values, moving, unpriced=unpriced)
    assert (outcome.state, outcome.pnl) == (state, pnl)
    backwards = only(values, Scenario(name="r", title="R", kind=ScenarioKind.REVERSE, loss=0.1), unpriced=unpriced, equity=100.0)
    assert backwards.state is (state if state in {StressState.EMPTY, StressState.PRICE_MISSING} else StressState.INSUFFICIENT_DATA)


def test_a_reverse_of_what_never_moves_is_no_number() -> None:
    joint = JointMoves(symbols=("A",), covariance=np.zeros((1, 1)), n=100)
    outcome = only({"A": 100.0}, Scenario(name="r", title="R", kind=ScenarioKind.REVERSE, loss=0.1, joint=joint), equity=100.0)
    assert (outcome.state, outcome.pnl, outcome.distance) == (StressState.INSUFFICIENT_DATA, None, None)


def test_given_exposures_stand_in_the_place_of_estimates_and_curvature_counts() -> None:
    ready = factor_scenario(
        shocked(rates=0.02, equity=-0.1),
        ["BOND", "STOCK", "NEITHER"],
        given={"BOND": {"rates": Exposure(beta=-16.0, gamma=400.0), "credit": Exposure(beta=-1.0)}},
        estimated={"BOND": {"rates": -5.0}, "STOCK": {"equity": 1.5}},
    )
    assert ready.moves == pytest.approx({"BOND": -0.32 + 0.08})
    assert ready.proxied == pytest.approx({"STOCK": -0.15})


def test_a_sector_leaves_other_sectors_alone_and_knows_nothing_of_what_has_none() -> None:
    given = {"IN": {"sector:Energy": Exposure(beta=1.0)}, "OUT": {"sector:Health Care": Exposure(beta=1.0)}, "NONE": {}}
    ready = factor_scenario(shocked(**{"sector:Energy": -0.25}), ["IN", "OUT", "NONE"], given=given, estimated={})
    assert ready.moves == {"IN": -0.25, "OUT": 0.0}


def test_a_currency_leaves_what_is_quoted_in_others_alone() -> None:
    given = {"SAP": {"fx:EUR": Exposure(beta=1.0)}, "IBM": {}}
    assert factor_scenario(shocked(**{"fx:EUR": -0.1}), ["SAP", "IBM"], given=given, estimated={}).moves == {"SAP": -0.1, "IBM": 0.0}


def test_a_window_needs_a_close_at_both_ends_and_takes_friday_for_monday() -> None:
    ts = np.array(["2020-02-14", "2020-02-19", "2020-03-20"], "datetime64[us]")
    closes = np.array([[100.0, 100.0, np.nan], [110.0, np.nan, 50.0], [55.0, np.nan, 40.0]])
    found = window_returns(["WHOLE", "GONE", "LATE"], ts, closes, start=date(2020, 2, 17), end=date(2020, 3, 23))
    assert found == pytest.approx({"WHOLE": -0.45})
    assert window_returns(["A"], ts[:0], closes[:0, :1], start=date(2020, 2, 17), end=date(2020, 3, 23)) == {}


def test_exposures_are_estimated_together_and_only_with_enough_days() -> None:
    rng = np.random.default_rng(5)
    factors = rng.standard_normal((200, 2)) * 0.01
    returns = np.column_stack([factors @ [1.5, -0.5], factors @ [1.0, 0.0]])
    returns[59:, 1] = np.nan
    found = estimated_betas(["A", "SHORT"], returns, factors)
    assert found == {"A": pytest.approx((1.5, -0.5))}


def test_a_factor_that_does_not_move_gives_no_exposure() -> None:
    returns = np.random.default_rng(5).standard_normal((100, 1))
    assert estimated_betas(["A"], returns, np.zeros((100, 1))) == {}


def test_a_reverse_is_made_of_symbols_with_enough_returns() -> None:
    returns = np.random.default_rng(5).standard_normal((100, 3)) * 0.01
    returns[50:, 2] = np.nan
    terms = ScenarioTerms(name="r", title="R", kind=ScenarioKind.REVERSE, loss=0.1)
    ready = reverse_scenario(terms, ["A", "B", "YOUNG"], returns)
    assert ready.joint is not None
    assert (ready.joint.symbols, ready.joint.n) == (("A", "B"), 100)
    assert only({"A": 100.0, "YOUNG": 300.0}, ready, equity=1000.0).coverage == 0.25
    assert reverse_scenario(terms, ["YOUNG"], returns[:, 2:]).joint is None


@settings(max_examples=40)
@given(
    values=st.dictionaries(st.sampled_from("ABCDEF"), st.floats(-1e6, 1e6, allow_subnormal=False), min_size=1),
    moves=st.dictionaries(st.sampled_from("ABC"), st.floats(-1, 1)),
    proxied=st.dictionaries(st.sampled_from("DE"), st.floats(-1, 1)),
    scale=st.floats(0.01, 100),
)
def test_a_result_is_the_sum_of_its_parts_grows_with_the_positions_and_never_covers_more_than_all(values, moves, proxied, scale) -> None:
    scenario = Scenario(name="s", title="S", kind=ScenarioKind.FACTOR, moves=moves, proxied=proxied)
    outcome = only(values, scenario)
    assert 0 <= outcome.coverage <= 1 + 1e-12
    assert set(outcome.by_symbol) | set(outcome.excluded) == {symbol for symbol, value in values.items() if value}
    if outcome.pnl is not None:
        assert outcome.pnl == pytest.approx(math.fsum(outcome.by_symbol.values()), rel=1e-9, abs=1e-6)
        larger = only({symbol: value * scale for symbol, value in values.items()}, scenario)
        assert larger.pnl == pytest.approx(outcome.pnl * scale, rel=1e-9, abs=1e-6)
