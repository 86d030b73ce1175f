"""Regression on factors, and the ends of months."""

import numpy as np
import pytest

from apps.core.errors import InsufficientData, InvalidInput
from apps.marketdata.domain.cross_section import mean_and_t, trailing_mean
from apps.marketdata.domain.exposures import exposures, month_ends


def returns(months: int = 60) -> dict[str, list[float]]:
    random = np.random.default_rng(2)
    return {name: random.normal(0, 0.04, months).tolist() for name in ("mkt", "smb", "hml")}


def test_v_c2_3_exact_returns_give_exact_coefficients() -> None:
    factors = returns()
    excess = [0.001 + 1.1 * a + 0.3 * b - 0.2 * c for a, b, c in zip(*factors.values(), strict=True)]
    found = exposures(excess, factors)
    assert found.alpha.value == pytest.approx(0.001)
    assert [beta.value for beta in found.betas] == pytest.approx([1.1, 0.3, -0.2])
    assert found.r_squared == pytest.approx(1.0)


def test_t_statistics_are_those_of_the_normal_equations() -> None:
    factors = returns()
    random = np.random.default_rng(3)
    x = np.column_stack([np.ones(60), *factors.values()])
    y = x @ np.array([0.002, 0.9, 0.1, 0.0]) + random.normal(0, 0.01, 60)
    found = exposures(y, factors)
    inverse = np.linalg.inv(x.T @ x)
    beta = inverse @ x.T @ y
    residual = y - x @ beta
    t = beta / np.sqrt(residual @ residual / 56 * np.diag(inverse))
    assert [found.alpha.t, *(one.t for one in found.betas)] == pytest.approx(t)
    assert found.r_squared == pytest.approx(1 - residual @ residual / ((y - y.mean()) @ (y - y.mean())))


def test_too_few_months_and_useless_factors_are_refused() -> None:
    factors = returns(30)
    assert exposures(factors["mkt"], factors).observations == 30
    with pytest.raises(InsufficientData, match="29"):
        exposures([float("nan"), *factors["mkt"][1:]], factors)
    with pytest.raises(InsufficientData, match="combinations"):
        exposures(factors["mkt"], {"a": factors["mkt"], "b": factors["mkt"]})
    with pytest.raises(InvalidInput):
        exposures([0.1], factors)


def test_a_month_counts_once_it_is_over() -> None:
    days = np.array(["2012-01-30", "2012-01-31", "2012-02-28", "2012-02-29", "2012-03-20"], "datetime64[us]")
    assert month_ends(days).tolist() == [1, 3]
    assert month_ends(np.append(days, np.datetime64("2012-03-30", "us"))).tolist() == [1, 3, 5]
    assert month_ends(days[:0]).tolist() == []


def test_means_leave_out_what_is_not_there() -> None:
    values = np.array([np.nan, 1.0, 3.0, np.nan])
    assert np.array_equal(trailing_mean(values, 2), [np.nan, 1.0, 2.0, 3.0], equal_nan=True)
    assert mean_and_t(values)[0] == 2.0
    assert mean_and_t(values)[1] == pytest.approx(2 / (np.sqrt(2) / np.sqrt(2)))
    assert all(np.isnan(mean_and_t(values[:1])))
