"""What the monitor says each second: out of a whole risk and of scenarios, with a state in place of a number that cannot be known."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest

from apps.risk.domain.live_numbers import live_numbers
from apps.risk.domain.portfolio_risk import Method, full_risk, historical_risk, matrix_of
from apps.risk.domain.risk_numbers import RiskState
from apps.risk.domain.scenarios import Scenario, ScenarioKind
from apps.risk.domain.value_at_risk import es_historical, var_historical

AT = datetime(2026, 11, 20, 15, tzinfo=UTC)
RETURNS = np.random.default_rng(3).normal(0, 0.01, (300, 2))
MATRIX = matrix_of(symbols=("A", "B"), dates=np.datetime64("2025-01-01") + np.arange(300), returns=RETURNS)
SCENARIOS = (
    Scenario(name="mild", title="Mild", kind=ScenarioKind.FACTOR, moves={"A": -0.1, "B": -0.1}),
    Scenario(name="crash", title="Crash", kind=ScenarioKind.HISTORIC, moves={"A": -0.5}),
    Scenario(name="reverse", title="Reverse", kind=ScenarioKind.REVERSE, loss=0.9),
)


def numbers(values, equity=100_000.0):
    risk = historical_risk(values=values, matrix=MATRIX)
    return live_numbers(risk, values=values, scenarios=SCENARIOS, equity=equity, at=AT)


def test_tail_and_worst_scenario_of_the_values_given() -> None:
    found = numbers({"A": 1000.0, "B": -500.0})
    pnl = RETURNS @ np.array([1000.0, -500.0])
    assert found.var == pytest.approx(var_historical(pnl, 0.95))
    assert found.es == pytest.approx(es_historical(pnl, 0.95))
    assert found.var_far == pytest.approx(var_historical(pnl, 0.99))
    assert (found.state, found.n, found.fingerprint) == (RiskState.OK, 300, MATRIX.fingerprint)
    assert (found.worst, found.stress_loss, found.coverage) == ("Crash", 500.0, pytest.approx(2 / 3))
    assert found.not_known == "Crash knows 67% of the gross value, no move of B"
    whole = numbers({"A": 1000.0})
    assert (whole.worst, whole.coverage, whole.not_known) == ("Crash", 1.0, "")


def test_the_scenario_that_knows_least_is_told_also_where_another_is_the_worst_that_is_known() -> None:
    found = numbers({"A": 100.0, "B": -5000.0})  # what Crash knows loses 50; Mild gains
    assert (found.worst, found.stress_loss, found.coverage) == ("Crash", 50.0, pytest.approx(100 / 5100))
    found = numbers({"A": 100.0, "B": 5000.0})
    assert (found.worst, found.stress_loss, found.coverage) == ("Mild", 510.0, pytest.approx(100 / 5100))
    assert found.not_known.startswith("Crash knows 2%")


@pytest.mark.parametrize(
    "values", [{"A": 1000.0, "B": -500.0}, {"A": 1000.0, "B": None}, {"A": 1.0, "C": 1.0}, {}, {"A": 1.0, "B": float("nan")}, {"B": 0.0}]
)
@pytest.mark.parametrize("sessions", [300, 120, 60])
def test_they_are_the_historical_numbers_of_the_whole_risk(values, sessions) -> None:
    matrix = matrix_of(symbols=("A", "B"), dates=MATRIX.dates[:sessions], returns=RETURNS[:sessions])
    whole = full_risk(values=values, matrix=matrix)
    for confidence, (var, es) in historical_risk(values=values, matrix=matrix).items():
        assert (var, es) == (whole.var_of(Method.HISTORICAL, confidence), whole.es_of(Method.HISTORICAL, confidence))


def test_a_missing_price_leaves_a_state_and_no_number() -> None:
    found = numbers({"A": 1000.0, "B": None}, equity=None)
    assert (found.state, found.var, found.es, found.stress_loss, found.worst) == (RiskState.PRICE_MISSING, None, None, None, "")


def test_a_limit_is_held_against_fresh_numbers_alone() -> None:
    found = numbers({"A": 1000.0})
    assert found.fraction(found.stress_loss, AT) == Decimal("0.005")
    assert found.fraction(found.stress_loss, AT + timedelta(seconds=15)) == Decimal("0.005")
    assert found.fraction(found.stress_loss, AT + timedelta(seconds=15.1)) is None
    assert found.fraction(None, AT) is None
    assert numbers({"A": 1000.0}, equity=-1.0).fraction(1.0, AT) is None
