"""What must hold for every portfolio, and a second computation with pandas on stored real prices."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from django.conf import settings
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from apps.risk.domain.contributions import contributions, sample
from apps.risk.domain.correlation import correlated
from apps.risk.domain.covariance import ledoit_wolf
from apps.risk.domain.portfolio_risk import Method, PortfolioRisk, ReturnMatrix, full_risk, matrix_of
from apps.risk.domain.tail_risk import tails
from apps.risk.domain.value_at_risk import es_historical
from apps.risk.domain.var_backtest import MEASURES, hypothetical_back_test
from apps.risk.domain.volatility import shrinkage_of

FEW = examples(max_examples=25, derandomize=True, deadline=None)
#: The methods of which VaR <= ES and monotony hold whatever the data: an expansion outside its domain promises neither.
SOUND = (Method.HISTORICAL, Method.NORMAL, Method.MONTE_CARLO, Method.FILTERED_HISTORICAL)


@st.composite
def portfolios(draw: st.DrawFn) -> tuple[ReturnMatrix, np.ndarray[Any, np.dtype[np.float64]]]:
    """Up to six symbols with 300 returns of fat tails and a common factor, and positions in money, some of them short."""
    count = draw(st.integers(1, 6))
    drawn = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    returns = drawn.standard_normal((300, 1)) * draw(st.floats(0, 0.03)) + drawn.standard_t(3, (300, count)) * 0.01
    returns = np.maximum(returns, -0.99)
    weights = np.array(draw(st.lists(st.floats(-1e6, 1e6).filter(lambda value: abs(value) > 1), min_size=count, max_size=count)))
    symbols = [f"S{at}" for at in range(count)]
    return matrix_of(symbols=symbols, dates=np.datetime64("2025-01-01") + np.arange(300), returns=returns), weights


def values(matrix: ReturnMatrix, weights: Any) -> dict[str, float]:
    return dict(zip(matrix.symbols, np.asarray(weights).tolist(), strict=True))


@FEW
@given(portfolios())
def test_shortfall_is_no_less_than_value_at_risk_and_both_grow_with_confidence(given_one: tuple[ReturnMatrix, Any]) -> None:
    matrix, weights = given_one
    pnl = matrix.returns @ weights
    found = {(tail.method, tail.confidence): tail for tail in tails(pnl, (0.95, 0.975, 0.99))}
    slack = 1e-9 * float(np.abs(pnl).max())
    for method in SOUND:
        for at in (0.95, 0.975, 0.99):
            assert found[method, at].var <= found[method, at].es + slack
        assert found[method, 0.95].var <= found[method, 0.975].var + slack
        assert found[method, 0.975].var <= found[method, 0.99].var + slack
        assert found[method, 0.95].es <= found[method, 0.99].es + slack
    for at in (0.95, 0.99):
        assert found[Method.CORNISH_FISHER, at].var <= found[Method.CORNISH_FISHER, at].es + slack


@FEW
@given(portfolios())
def test_parts_sum_to_the_whole(given_one: tuple[ReturnMatrix, Any]) -> None:
    matrix, weights = given_one
    found = sample(values(matrix, weights), matrix)
    gross = float(np.abs(weights).sum())
    for parts in contributions(found, (0.95, 0.99)):
        assert abs(parts.component.sum() - parts.total) <= 1e-12 * gross
        assert parts.diversification >= -1e-9 * gross, "nobody adds risk by holding two things"
        assert parts.shortfall.sum() == pytest.approx(tails(found.pnl, (parts.confidence,))[0].es, rel=1e-9, abs=1e-9 * gross)


@FEW
@given(portfolios(), st.integers(0, 2**32 - 1))
def test_shortfall_of_a_sum_is_no_more_than_the_sum_of_shortfalls(given_one: tuple[ReturnMatrix, Any], seed: int) -> None:
    matrix, weights = given_one
    share = np.random.default_rng(seed).uniform(0, 1, len(weights))
    one, other = matrix.returns @ (weights * share), matrix.returns @ (weights * (1 - share))
    slack = 1e-9 * float(np.abs(weights).sum())
    # Sub-additive is the exact tail mean (Acerbi and Tasche): the mean below an interpolated quantile may average another number of days.
    for at in (0.95, 0.99):
        whole = es_historical((one + other).tolist(), at, "acerbi")
        assert whole <= es_historical(one.tolist(), at, "acerbi") + es_historical(other.tolist(), at, "acerbi") + slack
        a, b, both = ({tail.method: tail.es for tail in tails(series, (at,))}[Method.NORMAL] for series in (one, other, one + other))
        assert both <= a + b + slack


@FEW
@given(portfolios(), st.floats(0.01, 100))
def test_twice_the_positions_are_twice_the_risk(given_one: tuple[ReturnMatrix, Any], scale: float) -> None:
    matrix, weights = given_one
    small = tails(matrix.returns @ weights, (0.95, 0.99), (1, 10))
    large = tails(matrix.returns @ (weights * scale), (0.95, 0.99), (1, 10))
    for one, other in zip(small, large, strict=True):
        size = 1e-9 * scale * float(np.abs(weights).sum())
        assert other.var == pytest.approx(scale * one.var, rel=1e-6, abs=size)
        assert other.es == pytest.approx(scale * one.es, rel=1e-6, abs=size)


@FEW
@given(portfolios())
def test_the_shrunk_variance_is_that_of_the_shrunk_matrix(given_one: tuple[ReturnMatrix, Any]) -> None:
    matrix, weights = given_one
    rows = matrix.returns[:40]
    expected = weights @ ledoit_wolf(rows.tolist())["covariance"] @ weights
    assert shrinkage_of(rows).variance(weights) == pytest.approx(expected, rel=1e-9)


@pytest.fixture(scope="module")
def prices() -> pd.DataFrame:
    """The last 600 adjusted closes of 20 stocks."""
    rows = pd.read_csv(settings.BASE_DIR / "fixtures/equities_daily_adjclose_20stocks_1990_2022.csv.gz", parse_dates=["date"])
    return rows.pivot_table(index="date", columns="symbol", values="adj_close").iloc[-600:]


@pytest.fixture(scope="module")
def real(prices: pd.DataFrame) -> tuple[PortfolioRisk, pd.DataFrame, pd.Series]:
    """The risk of a book in real stocks, every third one short, and what pandas is given: returns and positions."""
    returns = prices.pct_change(fill_method=None).iloc[1:]
    held = pd.Series([10_000.0 * (at + 1) * (-1 if at % 3 == 0 else 1) for at in range(returns.shape[1])], index=returns.columns)
    matrix = matrix_of(symbols=list(returns.columns), dates=returns.index.to_numpy("datetime64[D]"), returns=returns.to_numpy())
    return full_risk(values=held.to_dict(), matrix=matrix), returns, held


def test_real_stocks_against_pandas(real: tuple[PortfolioRisk, pd.DataFrame, pd.Series]) -> None:
    found, returns, held = real
    whole = returns.dropna()
    pnl = (whole * held).sum(axis=1)
    assert found.n == len(whole)
    for at in (0.95, 0.99):
        assert found.var_of(Method.HISTORICAL, at).value == pytest.approx(-pnl.quantile(1 - at), rel=1e-9)
        assert found.es_of(Method.HISTORICAL, at).value == pytest.approx(-pnl[pnl <= pnl.quantile(1 - at)].mean(), rel=1e-9)
    covariance = whole.cov(ddof=0)
    deviation = float(np.sqrt(held @ covariance @ held))
    assert found.var_of(Method.NORMAL, 0.99).value == pytest.approx(2.3263478740408408 * deviation - pnl.mean(), rel=1e-9)
    component = held * (2.3263478740408408 * (covariance @ held) / deviation - whole.mean())
    np.testing.assert_allclose(found.contributions[0.99].component, component, rtol=1e-9)
    variance = (pnl**2).mean()
    for one in pnl:
        variance = 0.94 * variance + 0.06 * one**2
    assert found.volatility[1].value == pytest.approx(np.sqrt(variance * 252) / held.abs().sum(), rel=1e-9)
    assert found.exposure.net == pytest.approx(held.sum())


def test_real_correlations_against_pandas(real: tuple[PortfolioRisk, pd.DataFrame, pd.Series]) -> None:
    found, returns, _ = real
    assert found.correlation is not None
    order = list(found.correlation.symbols)
    assert sorted(order) == sorted(returns.columns)
    np.testing.assert_allclose(found.correlation.matrix, returns[order].corr().to_numpy(), atol=1e-9)
    assert found.correlation.clusters[0] == 1
    assert set(np.diff(found.correlation.clusters).tolist()) <= {0, 1}, "a cluster's symbols stand together"


def test_a_matrix_of_pairs_that_cannot_be_is_repaired_and_says_so() -> None:
    drawn = np.random.default_rng(3)
    a, b, c = drawn.standard_normal((3, 90)) * 0.01
    gone = np.full(30, np.nan)
    returns = np.column_stack([np.r_[a[:60], gone], np.r_[a[:30], gone, b[:30]], np.r_[gone, -a[30:60], b[:30]]])
    matrix = matrix_of(symbols=["A", "B", "C"], dates=np.datetime64("2026-01-01") + np.arange(90), returns=returns)
    found = correlated(matrix, np.array([0, 1, 2]))
    assert found.repaired, "A is B, B is C, and A is minus C"
    assert np.linalg.eigvalsh(found.matrix).min() >= -1e-9
    young = matrix_of(symbols=["A", "B"], dates=matrix.dates, returns=np.column_stack([a, np.r_[np.full(75, np.nan), c[:15]]]))
    assert correlated(young, np.array([0, 1])).left_out == ("B",)


@pytest.mark.parametrize("method", list(Method))
def test_a_hypothetical_test_forecasts_from_the_sessions_before(method: Method) -> None:
    pnl = np.random.default_rng(5).standard_t(4, 130) * 1000
    dates = np.datetime64("2026-01-01") + np.arange(130)
    test = hypothetical_back_test(method=method, confidence=0.95, dates=dates, pnl=pnl)
    assert (test.observations, test.hypothetical) == (30, True)
    assert test.days[7].var == MEASURES[method](pnl[7:107].tolist(), 0.95)
    assert str(test.days[7].session) == str(dates[107])
    assert test.exceptions == sum(-pnl[100 + at] > day.var for at, day in enumerate(test.days))
