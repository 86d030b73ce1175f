"""What an order does to the tail: the update by one instrument against everything computed anew, and each kind of bad data."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.risk.domain.contributions import sample
from apps.risk.domain.decomposition import decomposed
from apps.risk.domain.pretrade_risk import HeldVector, RiskQuestion, held_vector, risk_book, risk_impact
from apps.risk.domain.risk_numbers import RiskState, matrix_of
from apps.risk.domain.scenarios import Scenario, ScenarioKind, stressed
from apps.risk.domain.value_at_risk import es_historical, es_normal, var_historical, var_normal

SYMBOLS = tuple("ABCDEF")
SESSIONS = 240
MEASURES = {"var": var_historical, "es": es_historical, "normal_var": var_normal, "normal_es": es_normal}
CRASH = Scenario(name="crash", title="Crash", kind=ScenarioKind.FACTOR, moves=dict.fromkeys(SYMBOLS, -0.3) | {"F": 0.5})
SPIKE = Scenario(name="spike", title="Spike", kind=ScenarioKind.HISTORIC, moves={"A": 0.2, "B": 0.1}, proxied=dict.fromkeys("CDEF", 0.05))
REVERSE = Scenario(name="reverse", title="Reverse", kind=ScenarioKind.REVERSE, loss=0.1)


def matrix(*, gaps=0, without=""):
    """Returns with a common part; the first `gaps` sessions are missing in C, all in those of `without`."""
    rng = np.random.default_rng(5)
    returns = 0.01 * (rng.standard_t(4, (SESSIONS, len(SYMBOLS))) + rng.standard_t(4, (SESSIONS, 1)))
    returns[:gaps, SYMBOLS.index("C")] = np.nan
    for symbol in without:
        returns[:, SYMBOLS.index(symbol)] = np.nan
    return matrix_of(symbols=SYMBOLS, dates=np.datetime64("2020-01-01") + np.arange(SESSIONS), returns=returns)


MATRIX, GAPPED = matrix(), matrix(gaps=40)
BOOKS = {"whole": risk_book(MATRIX, [CRASH, SPIKE, REVERSE]), "gapped": risk_book(GAPPED, [CRASH, SPIKE])}
MATRICES = {"whole": MATRIX, "gapped": GAPPED}
MONEY = st.one_of(st.just(0.0), st.floats(-1e6, 1e6).filter(lambda value: abs(value) > 1))
POSITIONS = st.fixed_dictionaries(dict.fromkeys(SYMBOLS, MONEY))


def held(book, values) -> HeldVector:
    return held_vector(book, book.weights(values))


def anew(values, returns, name):
    """One number of positions from nothing but the matrix."""
    pnl = sample({symbol: value for symbol, value in values.items() if value}, returns).pnl
    return MEASURES[name](pnl, 0.95)


def total(*parts):
    return {symbol: sum(part.get(symbol, 0.0) for part in parts) for symbol in SYMBOLS}


def near(value, scale):
    return pytest.approx(value, abs=1e-9 * max(1.0, scale))


@given(POSITIONS, st.sampled_from(SYMBOLS), MONEY, st.sampled_from(sorted(BOOKS)))
def test_incremental_numbers_are_those_of_a_full_computation(values, symbol, order, kind):
    impact = risk_impact(held(BOOKS[kind], values), RiskQuestion(order={symbol: order}))
    scale = sum(map(abs, values.values())) + abs(order)
    for name in MEASURES:
        change = getattr(impact, name)
        assert change.before == near(anew(values, MATRICES[kind], name), scale)
        assert change.after == near(anew(total(values, {symbol: order}), MATRICES[kind], name), scale)


@given(POSITIONS, POSITIONS, st.integers(1, 3))
def test_an_updated_vector_is_the_new_one(first, second, count):
    book = BOOKS["gapped"]
    before = held(book, first)
    changed = first | {symbol: second[symbol] for symbol in SYMBOLS[:count]}
    updated, new = held_vector(book, book.weights(changed), before), held(book, changed)
    np.testing.assert_allclose(updated.pnl, new.pnl, atol=1e-9 * 1e6)
    np.testing.assert_allclose(updated.stressed, new.stressed, atol=1e-9 * 1e6)
    np.testing.assert_array_equal(updated.missing, new.missing)
    np.testing.assert_array_equal(updated.unknown, new.unknown)


@given(POSITIONS, st.sampled_from(SYMBOLS), MONEY)
def test_stress_losses_are_those_of_the_scenarios(values, symbol, order):
    impact = risk_impact(held(BOOKS["whole"], values), RiskQuestion(order={symbol: order}))
    scale = sum(map(abs, values.values())) + abs(order)
    for when, positions in (("before", values), ("after", total(values, {symbol: order}))):
        losses = [max(0.0, -(outcome.pnl or 0.0)) for outcome in stressed(positions, [CRASH, SPIKE])]
        assert [getattr(change, when) for change in impact.scenarios] == [near(loss, scale) for loss in losses]
        assert getattr(impact.stress, when) == near(max(losses), scale)


def test_the_normal_number_is_that_of_the_sample_covariance():
    values = {"A": 1e5, "B": -4e4, "C": 2e4, "D": 0.0, "E": 1e4, "F": 5e4}
    change = risk_impact(held(BOOKS["whole"], values), RiskQuestion(order={"D": 3e4})).normal_var
    covariance, means = np.cov(MATRIX.returns, rowvar=False, ddof=0), MATRIX.returns.mean(axis=0)
    expected = decomposed(np.array(list((values | {"D": 3e4}).values())), covariance, 1.6448536269514722, means).total
    assert change.after == pytest.approx(expected, rel=1e-12)


def test_of_what_working_orders_may_do_the_worst_counts():
    book, values = BOOKS["whole"], {"A": 1e5}
    buys, sells, order = {"A": 4e4, "B": 2e4}, {"B": -9e4}, {"B": 1e4}
    impact = risk_impact(held(book, values), RiskQuestion(order=order, buys=buys, sells=sells))
    for when, more in (("before", {}), ("after", order)):
        cases = [total(values, *parts, more) for parts in ([], [buys], [sells], [buys, sells])]
        assert getattr(impact.var, when) == near(max(anew(case, MATRIX, "var") for case in cases), 1e5)
    assert impact.scenarios[0].before == near(0.3 * 1.6e5, 1e5)  # the sells would gain in a crash: they may not fill


def test_a_book_that_was_joined_is_the_whole():
    parts = [
        risk_book(matrix_of(symbols=SYMBOLS[a:b], dates=GAPPED.dates, returns=GAPPED.returns[:, a:b]), [CRASH, SPIKE]) for a, b in ((0, 2), (2, 6))
    ]
    values, asked = {"A": 1e5, "C": 5e4, "E": -2e4}, RiskQuestion(order={"F": 1e4})
    joined, whole = (risk_impact(held(book, values), asked) for book in (parts[0].joined(parts[1]), BOOKS["gapped"]))
    assert joined.changes == whole.changes


class TestStates:
    """Bad data gives a state and no number."""

    def impact(self, values, order, *, matrix=MATRIX, scenarios=(CRASH,), **asked):
        return risk_impact(held(risk_book(matrix, scenarios), values), RiskQuestion(order=order, **asked))

    def test_a_position_without_a_price(self):
        impact = self.impact({"A": 1.0}, {"B": 1.0}, unpriced=("Z",))
        assert {(change.state, change.before, change.after, change.note) for change in impact.changes[:4]} == {
            (RiskState.PRICE_MISSING, None, None, "Z")
        }
        assert impact.stress.state is RiskState.PRICE_MISSING

    @pytest.mark.parametrize(("values", "order"), [({"A": 1.0, "D": 1.0}, {"B": 1.0}), ({"A": 1.0}, {"D": 1.0})])
    def test_no_history_of_what_is_held_or_ordered(self, values, order):
        impact = self.impact(values, order, matrix=matrix(without="D"))
        assert (impact.var.state, impact.var.after, impact.var.note) == (RiskState.NO_HISTORY, None, "D")

    def test_too_little_history(self):
        impact = self.impact({"A": 1.0}, {"C": 1.0}, matrix=matrix(gaps=SESSIONS - 99))
        assert (impact.es.state, impact.es.n, impact.es.after) == (RiskState.INSUFFICIENT_DATA, 99, None)
        assert self.impact({"A": 1.0}, {"C": 1.0}, matrix=matrix(gaps=SESSIONS - 100)).es.state is RiskState.OK

    def test_history_that_nobody_holds_takes_no_session_away(self):
        impact = self.impact({"A": 1.0}, {"B": 1.0}, matrix=matrix(gaps=SESSIONS - 99))
        assert (impact.var.state, impact.var.n) == (RiskState.OK, SESSIONS)

    def test_a_scenario_that_knows_nothing_of_the_order(self):
        partly = Scenario(name="partly", title="Partly", kind=ScenarioKind.FACTOR, moves={"A": -0.1})
        impact = self.impact({"A": 1.0}, {"B": 1.0}, scenarios=(CRASH, partly))
        assert (impact.stress.state, impact.stress.note) == (RiskState.INSUFFICIENT_DATA, "Partly: no move of B")
        assert self.impact({"A": 1.0}, {"A": 1.0}, scenarios=(CRASH, partly)).stress.state is RiskState.OK

    @pytest.mark.parametrize("scenarios", [(), (Scenario(name="none", title="None", kind=ScenarioKind.FACTOR),)])
    def test_no_scenario_at_all(self, scenarios):
        impact = self.impact({"A": 1.0}, {"B": 1.0}, scenarios=scenarios)
        assert (impact.stress.state, impact.scenarios) == (RiskState.NO_HISTORY, ())

    def test_nothing_held_and_nothing_ordered_is_no_risk(self):
        impact = self.impact({}, {"A": 0.0})
        assert (impact.var.after, impact.es.after, impact.stress.after) == (0.0, 0.0, 0.0)
