"""The whole risk of a portfolio: against the measures of one series, and the states of bad data."""

from typing import Any

import numpy as np
import pytest

from apps.risk.domain.covariance import sample_covariance
from apps.risk.domain.decomposition import decomposed
from apps.risk.domain.portfolio_risk import (
    Method,
    PortfolioFacts,
    PortfolioRisk,
    ReturnMatrix,
    RiskState,
    Track,
    full_risk,
    matrix_of,
)
from apps.risk.domain.simulation import es_filtered_historical, var_filtered_historical
from apps.risk.domain.value_at_risk import es_cornish_fisher, es_historical, es_normal, var_cornish_fisher, var_historical, var_normal

SYMBOLS = ("AAA", "BBB", "CCC")
VALUES = {"AAA": 50_000.0, "BBB": -20_000.0, "CCC": 30_000.0}
SESSIONS = 300
Z95 = 1.6448536269514722


def history(sessions: int = SESSIONS, seed: int = 7, **changed: Any) -> ReturnMatrix:
    """Returns of three symbols which share a factor."""
    drawn = np.random.default_rng(seed)
    returns = drawn.standard_normal((sessions, 1)) * 0.008 + drawn.standard_t(4, (sessions, 3)) * 0.01
    for symbol, rows in changed.items():
        returns[rows, SYMBOLS.index(symbol)] = np.nan
    return matrix_of(symbols=SYMBOLS, dates=np.datetime64("2025-01-02") + np.arange(sessions), returns=returns)


def pnl(matrix: ReturnMatrix) -> list[float]:
    series: list[float] = (matrix.returns @ np.array([VALUES[symbol] for symbol in SYMBOLS])).tolist()
    return series


def risk(matrix: ReturnMatrix, values: dict[str, float | None] | None = None, **facts: Any) -> PortfolioRisk:
    return full_risk(values=values or dict(VALUES), matrix=matrix, facts=PortfolioFacts(**facts))


def test_each_method_is_the_measure_of_the_profit_and_loss() -> None:
    matrix = history()
    found, series = risk(matrix), pnl(matrix)
    for confidence in (0.95, 0.99):
        for method, var, es in (
            (Method.HISTORICAL, var_historical, es_historical),
            (Method.NORMAL, var_normal, es_normal),
            (Method.CORNISH_FISHER, var_cornish_fisher, es_cornish_fisher),
            (Method.FILTERED_HISTORICAL, var_filtered_historical, es_filtered_historical),
        ):
            assert found.var_of(method, confidence).value == pytest.approx(var(series, confidence), rel=1e-12)
            assert found.es_of(method, confidence).value == pytest.approx(es(series, confidence), rel=1e-12)


def test_the_simulation_is_within_four_standard_errors_of_the_closed_form() -> None:
    found = risk(history())
    (error,) = [one for one in found.simulation_error if one.confidence == 0.99 and one.horizon == 1]
    simulated, exact = found.var_of(Method.MONTE_CARLO, 0.99).value, found.var_of(Method.NORMAL, 0.99).value
    assert simulated is not None
    assert exact is not None
    assert error.value is not None
    assert 0 < abs(simulated - exact) < 4 * error.value
    assert risk(history()).var == found.var, "seeded: the same numbers each time"


def test_every_number_says_what_it_is() -> None:
    matrix = history(CCC=[3])
    number = risk(matrix).var_of(Method.HISTORICAL, 0.99)
    assert (number.method, number.confidence, number.horizon, number.window, number.n) == ("historical", 0.99, 1, 300, 299)
    assert number.fingerprint == matrix.fingerprint != history().fingerprint
    assert str(number.as_of) == "2025-10-28"


def test_parts_are_those_of_the_covariance_and_sum_to_the_whole() -> None:
    matrix = history()
    parts = risk(matrix).contributions[0.95]
    held = np.array([VALUES[symbol] for symbol in SYMBOLS])
    means = matrix.returns.mean(axis=0)
    expected = decomposed(held, sample_covariance(matrix.returns, ddof=0), Z95, means)
    assert parts.total == pytest.approx(expected.total, rel=1e-12)
    np.testing.assert_allclose(parts.marginal, expected.marginal, rtol=1e-10)
    np.testing.assert_allclose(parts.component, expected.component, rtol=1e-10)
    assert abs(parts.component.sum() - parts.total) <= 1e-12 * np.abs(held).sum()
    np.testing.assert_allclose(parts.standalone, expected.standalone - held * means, rtol=1e-10)
    around_the_mean = decomposed(held, sample_covariance(matrix.returns, ddof=0), Z95)
    assert parts.diversification == pytest.approx(around_the_mean.diversification, rel=1e-10)
    for column, closed in enumerate(parts.incremental):
        without = np.where(np.arange(3) == column, 0.0, held)
        assert closed == pytest.approx(expected.total - decomposed(without, sample_covariance(matrix.returns, ddof=0), Z95, means).total, rel=1e-9)
    assert parts.shortfall.sum() == pytest.approx(risk(matrix).es_of(Method.HISTORICAL, 0.95).value, rel=1e-12)


def test_a_session_without_all_returns_is_left_out_of_everything() -> None:
    gaps = history(AAA=[0, 1, 2], CCC=[2, 250])
    kept = np.delete(np.arange(SESSIONS), [0, 1, 2, 250])
    whole = matrix_of(symbols=SYMBOLS, dates=gaps.dates[kept], returns=gaps.returns[kept])
    found, expected = risk(gaps), risk(whole)
    assert (found.n, found.window) == (296, 300)
    assert [one.value for one in found.var + found.es] == pytest.approx([one.value for one in expected.var + expected.es], rel=1e-12)
    np.testing.assert_allclose(found.contributions[0.99].component, expected.contributions[0.99].component, rtol=1e-9)
    assert found.shortest == ("AAA", 297)


def test_what_is_not_held_may_have_gaps() -> None:
    gaps = history(CCC=[1, 2, 3])
    assert risk(gaps, {"AAA": 1.0, "BBB": 2.0}).n == SESSIONS


@pytest.mark.parametrize(
    ("values", "changed", "facts", "state"),
    [
        ({"AAA": None, "BBB": 1.0}, {}, {}, RiskState.PRICE_MISSING),
        ({"AAA": float("nan"), "BBB": 1.0}, {}, {}, RiskState.PRICE_MISSING),
        ({"AAA": 1.0, "NEW": 1.0}, {}, {}, RiskState.NO_HISTORY),
        ({"AAA": 1.0, "CCC": 1.0}, {"CCC": range(SESSIONS)}, {}, RiskState.NO_HISTORY),
        ({"AAA": 1.0, "CCC": 1.0}, {"CCC": range(201)}, {}, RiskState.INSUFFICIENT_DATA),
    ],
)
def test_bad_data_is_a_state_and_never_a_number(values: dict[str, float | None], changed: Any, facts: Any, state: RiskState) -> None:
    found = risk(history(**changed), values, **facts)
    assert found.state is state
    numbers = [*found.var, *found.es, *found.volatility, found.beta]
    assert {one.state for one in numbers} == {state}
    assert all(one.value is None for one in numbers)
    assert not found.contributions


def test_too_little_for_the_far_tail_may_be_enough_for_the_near_one() -> None:
    found = risk(history(CCC=range(100)))
    assert found.n == 200
    assert found.var_of(Method.HISTORICAL, 0.95).state is RiskState.OK
    assert found.var_of(Method.HISTORICAL, 0.99).state is RiskState.INSUFFICIENT_DATA
    assert found.var_of(Method.HISTORICAL, 0.99).value is None
    assert found.state is RiskState.INSUFFICIENT_DATA
    assert list(found.contributions) == [0.95]


def test_a_stale_price_gives_a_number_that_says_so() -> None:
    fresh, stale = risk(history()), risk(history(), stale={"BBB"})
    assert (stale.state, stale.stale) == (RiskState.PRICE_STALE, ("BBB",))
    assert stale.var_of(Method.NORMAL, 0.95).value == fresh.var_of(Method.NORMAL, 0.95).value
    assert stale.var_of(Method.NORMAL, 0.95).state is RiskState.PRICE_STALE


def test_nothing_held_is_no_risk() -> None:
    found = full_risk(values={}, matrix=history())
    assert {one.value for one in (*found.var, *found.es, *found.volatility)} == {0.0}
    assert (found.state, found.drawdown, found.correlation, found.concentration.hhi) == (RiskState.OK, None, None, 0)


def test_several_sessions_are_summed_or_say_that_they_are_scaled() -> None:
    matrix = history()
    found, series = risk(matrix), np.array(pnl(matrix))
    ten = found.var_of(Method.HISTORICAL, 0.95, 10)
    sums = [float(series[at : at + 10].sum()) for at in range(SESSIONS - 9)]
    assert (ten.value, ten.n) == (pytest.approx(var_historical(sums, 0.95)), 291)
    normal = found.var_of(Method.NORMAL, 0.95, 10)
    assert normal.value == pytest.approx(-10 * series.mean() + Z95 * np.sqrt(10) * series.std())
    assert "scaled" in found.var_of(Method.FILTERED_HISTORICAL, 0.95, 10).note
    assert risk(history(255)).var_of(Method.HISTORICAL, 0.99, 10).state is RiskState.INSUFFICIENT_DATA, "246 overlapping sums"


def test_volatility_and_beta_are_of_the_equity() -> None:
    matrix = history()
    market = matrix.returns.mean(axis=1)
    found = risk(matrix, equity=200_000.0, benchmark=market)
    assert found.volatility[0].value == pytest.approx(np.std(pnl(matrix), ddof=1) * np.sqrt(252) / 200_000)
    slope = np.polyfit(market, np.array(pnl(matrix)) / 200_000, 1)[0]
    assert found.beta.value == pytest.approx(slope)
    assert risk(matrix).beta.state is RiskState.INSUFFICIENT_DATA, "no benchmark"


def test_the_track_counts_where_there_is_one() -> None:
    days = np.datetime64("2026-01-05") + np.arange(4)
    found = risk(history(), track=Track(dates=days, returns=np.array([np.nan, 0.1, -0.5, 0.2]))).drawdown
    assert found is not None
    assert found.actual
    assert (found.current, found.deepest) == (pytest.approx(-0.4), pytest.approx(-0.5))
    assert (str(found.falls[0].began), found.falls[0].recovered, found.falls[0].length) == ("2026-01-07", None, 2)
    hypothetical = risk(history()).drawdown
    assert hypothetical is not None
    assert not hypothetical.actual
    assert hypothetical.falls


def test_exposure_concentration_and_liquidity() -> None:
    found = risk(history(), sectors={"AAA": "Energy", "BBB": "Energy"}, currencies={"CCC": "EUR"}, traded={"AAA": 50_000.0, "BBB": 1e9})
    assert (found.exposure.gross, found.exposure.net, found.exposure.short) == (100_000, 60_000, -20_000)
    assert found.exposure.by_sector == {"": 30_000, "Energy": 30_000}
    assert found.exposure.by_currency == {"": 30_000, "EUR": 30_000}
    assert found.concentration.hhi == pytest.approx(0.25 + 0.04 + 0.09)
    assert found.concentration.largest[0] == ("AAA", 0.5)
    assert found.concentration.top[5] == pytest.approx(1)
    assert found.liquidity.days["AAA"] == pytest.approx(5.0)
    assert found.liquidity.longest == ("AAA", pytest.approx(5.0))
    assert found.liquidity.unknown == ("CCC",)
    assert found.liquidity.within[1] == pytest.approx(0.5 * 0.2 + 0.2)
