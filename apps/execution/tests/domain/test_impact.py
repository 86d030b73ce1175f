"""The optimal schedule against a second computation: a numerical minimum of cost plus risk. Published cases are in fixtures/vectors."""

import numpy as np
import pytest
from scipy.optimize import minimize

from apps.core.errors import InvalidInput
from apps.execution.domain.impact import Schedule, optimal_schedule

PAPER = {"quantity": 1.0, "horizon": 5.0, "slices": 5, "volatility": 0.95, "gamma": 0.25, "eta": 2.5, "epsilon": 0.0625}


def schedule(**changed: float) -> Schedule:
    return optimal_schedule(**PAPER | changed)  # type: ignore[arg-type]


@pytest.mark.parametrize("risk_aversion", [0.0, 0.1, 1.0, 10.0])
def test_no_other_trajectory_costs_less(risk_aversion: float) -> None:
    found = schedule(risk_aversion=risk_aversion)

    def objective(inner: np.ndarray) -> float:
        holdings = np.concatenate([[1.0], inner, [0.0]])
        trades = -np.diff(holdings)
        # Written out from the paper: permanent impact moves the price for what is left, temporary impact hits each trade.
        cost = 0.25 * (trades * holdings[1:]).sum() + 0.0625 * np.abs(trades).sum() + 2.5 * (trades**2).sum()
        return float(cost + risk_aversion * 0.95**2 * (holdings[1:] ** 2).sum())

    best = minimize(objective, np.linspace(1, 0, 6)[1:-1], tol=1e-12)
    assert found.holdings[1:-1] == pytest.approx(best.x, abs=1e-5)
    assert found.expected_cost + risk_aversion * found.variance == pytest.approx(best.fun, abs=1e-9)


def test_urgency_only_moves_trading_forward() -> None:
    calm, urgent = schedule(risk_aversion=0.1).holdings, schedule(risk_aversion=5.0).holdings
    assert all(later <= earlier for earlier, later in zip(calm, urgent, strict=True))
    assert calm[-1] == urgent[-1] == 0.0


@pytest.mark.parametrize(("field", "value"), [("slices", 0), ("quantity", 0.0), ("volatility", -1.0), ("eta", 0.1), ("horizon", float("nan"))])
def test_what_makes_no_sense_is_refused_by_name(field: str, value: float) -> None:
    with pytest.raises(InvalidInput) as refused:
        schedule(risk_aversion=1.0, **{field: value})
    assert refused.value.field == field
