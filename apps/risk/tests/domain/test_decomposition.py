"""Parts of value at risk: what must hold for every portfolio. Published cases are in fixtures/vectors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.errors import InvalidInput
from apps.risk.domain.decomposition import decompose, decomposed, historical_components, incremental

SEEDS = st.integers(0, 2**32 - 1)
Z = 1.6448536269514722


def portfolio(seed: int, assets: int = 5) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    returns = random.standard_t(5, (250, assets)) / 100 @ random.normal(size=(assets, assets))
    return random.normal(0, 1e6, assets), np.cov(returns.T), returns


@given(SEEDS)
def test_components_sum_to_the_total_and_parts_are_never_less_risky_alone(seed: int) -> None:
    positions, covariance, _ = portfolio(seed)
    found = decomposed(positions, covariance, Z)
    assert found.component.sum() == pytest.approx(found.total, rel=1e-12)
    assert found.diversification >= -1e-6 * found.total


@given(SEEDS, st.floats(0.1, 100))
def test_twice_the_portfolio_is_twice_the_risk(seed: int, scale: float) -> None:
    positions, covariance, _ = portfolio(seed)
    assert decomposed(positions * scale, covariance, Z).total == pytest.approx(scale * decomposed(positions, covariance, Z).total)


@given(SEEDS)
def test_marginals_are_the_slope(seed: int) -> None:
    positions, covariance, _ = portfolio(seed)
    trade = np.zeros_like(positions)
    trade[2] = 1.0
    exact, approximate = incremental(positions, trade, covariance, Z)
    assert exact == pytest.approx(approximate, rel=1e-3, abs=1e-6)
    assert approximate == pytest.approx(decomposed(positions, covariance, Z).marginal[2])


def test_historical_components_of_the_shortfall() -> None:
    """V-B2-2, historical at 80 %."""
    returns = np.array(
        [[.012, .008, -.003], [-.008, -.004, .002], [.005, .007, .001], [-.021, -.012, .006], [.017, .009, -.002],
         [.003, -.001, 0], [-.034, -.02, .009], [.009, .004, .001], [.011, .01, -.004], [-.006, -.007, .003]]
    )  # fmt: skip
    value_at_risk, shortfall, parts = historical_components(np.array([0.5, 0.3, 0.2]), returns, 0.8)
    assert (value_at_risk, shortfall) == pytest.approx((0.00642, 0.01705))
    assert parts == pytest.approx([0.01375, 0.0048, -0.0015])


def test_a_portfolio_without_risk_has_no_parts() -> None:
    found = decomposed(np.zeros(2), np.eye(2), Z)
    assert (found.total, *found.marginal, *found.component) == (0.0,) * 5


def test_an_expected_return_counts_against_the_loss() -> None:
    returns = [[0.01, 0.02], [0.03, -0.01], [-0.01, 0.0]]
    with_mean, without = (decompose(returns=returns, weights=[0.5, 0.5], confidence=0.95, use_mean=use) for use in (True, False))
    assert without["total"] - with_mean["total"] == pytest.approx(np.mean(returns))
    assert sum(with_mean["component"]) == pytest.approx(with_mean["total"])


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"weights": None}, "weights"),
        ({"covariance": None}, "returns"),
        ({"z": None}, "confidence"),
        ({"confidence": 2.0, "z": None}, "confidence"),
        ({"weights": [1.0]}, "weights"),
        ({"use_mean": True}, "use_mean"),
    ],
)
def test_what_is_missing_or_does_not_fit_is_named(changed: dict[str, object], field: str) -> None:
    good: dict[str, object] = {"covariance": [[1.0, 0.0], [0.0, 1.0]], "weights": [0.5, 0.5], "z": 1.65}
    assert decompose(**good)["total"] > 0  # type: ignore[arg-type]
    with pytest.raises(InvalidInput) as refused:
        decompose(**good | changed)  # type: ignore[arg-type]
    assert refused.value.field == field
