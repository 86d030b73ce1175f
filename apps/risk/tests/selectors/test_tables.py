"""The tables of the risk page, from a portfolio of two stocks that move together and one that does not."""

from datetime import UTC, date, datetime

import numpy as np
import pytest

from apps.core.tables import Table
from apps.risk.domain.factor_exposure import weighted
from apps.risk.domain.portfolio_risk import Method, PortfolioFacts, full_risk, matrix_of
from apps.risk.selectors.board import QUICK, RiskBoard
from apps.risk.selectors.tables.backtests import backtests_table, exceptions_table
from apps.risk.selectors.tables.positions import concentration_table, correlation_table, drawdowns_table, exposures_table, liquidity_table
from apps.risk.selectors.tables.tails import components_table, provenance, var_table, volatility_table, why_unknown
from apps.risk.selectors.var_backtests import hypothetical_back_tests

NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)
VALUES = {"AAA": 60_000.0, "BBB": 30_000.0, "ZZZ": -10_000.0}


def board_of(values: dict[str, float | None] = VALUES, *, sessions: int = 300, **asked: float) -> RiskBoard:
    """A board whose risk is computed from made-up returns instead of a stored portfolio."""
    drawn = np.random.default_rng(20_261_120).standard_normal((sessions, 3)) * 0.01
    returns = np.column_stack([drawn[:, 0], 0.9 * drawn[:, 0] + 0.1 * drawn[:, 1], drawn[:, 2]])
    dates = np.arange(np.datetime64("2025-01-02"), np.datetime64("2025-01-02") + sessions)
    matrix = matrix_of(symbols=("AAA", "BBB", "ZZZ"), dates=dates, returns=returns)
    facts = PortfolioFacts(
        equity=100_000.0,
        benchmark=drawn[:, 0],
        sectors={"AAA": "technology", "BBB": "technology"},
        currencies=dict.fromkeys(VALUES, "USD"),
        traded={"AAA": 1_000_000.0, "BBB": 30_000.0},
    )
    board = RiskBoard(portfolio_id=1, now=NOW, **asked)  # type: ignore[arg-type]
    board.__dict__["risk"] = full_risk(values=values, matrix=matrix, facts=facts, as_of=date(2026, 11, 20))
    board.__dict__["factors"] = weighted(board.risk.values, {"AAA": {"ff.mkt_rf": 1.5, "ff.smb": 0.5}, "ZZZ": {"ff.mkt_rf": 1.0, "ff.smb": -0.5}})
    return board


def records(table: Table) -> list[dict[str, object]]:
    return [dict(zip((column.key for column in table.columns), row, strict=True)) for row in table.rows]


def test_every_method_says_what_it_was_made_of() -> None:
    board = board_of(confidence=0.99, horizon=10)
    rows = records(var_table(board))
    assert [row["method"] for row in rows] == ["Historical", "Normal", "Cornish-Fisher", "Monte Carlo", "Filtered historical"]
    for method, row in zip(Method, rows, strict=True):
        var = board.risk.var_of(method, 0.99, 10)
        assert (row["var"], row["es"], row["state"]) == (var.value, board.risk.es_of(method, 0.99, 10).value, "ok")
        assert (row["observations"], row["window"], row["as_of"], row["fingerprint"]) == (var.n, 300, date(2026, 11, 20), board.risk.fingerprint)
        assert (row["standard_error"] is not None) == (method is Method.MONTE_CARLO)
    assert provenance(board.risk)["returns_sha_256"] == board.risk.fingerprint


def test_components_add_up_and_the_largest_leads() -> None:
    board = board_of()
    rows = records(components_table(board))
    found = board.risk.contributions[0.95]
    assert rows[0]["symbol"] == "AAA"
    assert sum(float(str(row["component"])) for row in rows) == pytest.approx(found.total)
    assert sum(float(str(row["share"])) for row in rows) == pytest.approx(1)
    assert f"diversification saves ${found.diversification:,.0f}" in components_table(board).note


@pytest.mark.parametrize(
    ("values", "sessions", "state", "reason"),
    [
        ({**VALUES, "AAA": None}, 300, "price_missing", "No price for AAA."),
        ({**VALUES, "NEW": 1.0}, 300, "no_history", "No stored returns of NEW."),
        (VALUES, 40, "insufficient_data", "40 sessions in which every position has a return, and 95% needs 100. AAA has the fewest returns: 40."),
    ],
)
def test_a_number_that_is_not_known_is_a_state_and_says_why(values: dict[str, float | None], sessions: int, state: str, reason: str) -> None:
    board = board_of(values, sessions=sessions)
    assert {(row["var"], row["es"], row["state"]) for row in records(var_table(board))} == {(None, None, state)}
    assert why_unknown(board.risk, 0.95) == reason
    assert (components_table(board).rows, components_table(board).empty) == ([], reason)


def test_exposures_by_sector_currency_and_benchmark() -> None:
    board = board_of()
    rows = {row["name"]: row for row in records(exposures_table(board))}
    assert [rows[name]["value"] for name in ("Gross", "Net", "Long", "Short", "technology", "USD")] == [1e5, 8e4, 9e4, -1e4, 9e4, 8e4]
    assert (rows["not known"]["by"], rows["not known"]["value"]) == ("sector", -1e4)
    assert rows["Benchmark"]["fraction"] == board.risk.beta.value
    assert [rows[name]["value"] for name in ("Market less risk-free rate", "Small less big")] == [8e4, 3.5e4]
    assert exposures_table(board).note == "net by sector and currency; factors by beta, of 70% of gross value"
    assert board.factors.unknown == ("BBB",)


def test_concentration_and_liquidity_name_the_positions() -> None:
    board = board_of()
    shares = {row["measure"]: row["value"] for row in records(concentration_table(board))}
    assert (shares["Largest"], shares["Largest 5"], shares["BBB"]) == pytest.approx((0.6, 1.0, 0.3))
    assert shares["Herfindahl-Hirschman index"] == pytest.approx(0.46)
    rows = records(liquidity_table(board))
    assert [(row["symbol"], row["state"]) for row in rows] == [("ZZZ", "no_data"), ("BBB", "ok"), ("AAA", "ok")]
    assert rows[1]["sessions"] == pytest.approx(5)


def test_correlation_has_a_column_for_each_position() -> None:
    rows = {row["symbol"]: row for row in records(correlation_table(board_of()))}
    assert rows["AAA"]["AAA"] == pytest.approx(1)
    assert rows["AAA"]["cluster"] == rows["BBB"]["cluster"] != rows["ZZZ"]["cluster"]


def test_drawdowns_are_of_todays_positions_until_values_are_recorded() -> None:
    table = drawdowns_table(board_of())
    assert table.note == "of today's positions over their history"
    assert len(table.rows) == 5
    assert [row["measure"] for row in records(volatility_table(board_of()))][-1] == "Beta to the benchmark"


def test_nothing_held_is_no_risk_and_says_so() -> None:
    board = board_of({})
    assert {row["var"] for row in records(var_table(board))} == {0.0}
    assert components_table(board).empty == "Nothing is held: there is no risk to share out."
    for table in (exposures_table(board), concentration_table(board), liquidity_table(board)):
        assert (table.rows, table.empty) == ([], "Nothing is held.")


def test_back_tests_count_the_exceptions_that_are_listed() -> None:
    board = board_of(sessions=400)
    board.__dict__["backtests"] = hypothetical_back_tests(board.risk, QUICK, (board.confidence,))
    tests, listed = records(backtests_table(board)), records(exceptions_table(board))
    assert [test["method"] for test in tests] == ["Historical", "Normal", "Cornish-Fisher"]
    for test in tests:
        assert (test["observations"], test["state"], test["of"]) == (250, "ok", "today's positions through their history")
        assert sum(row["method"] == test["method"] for row in listed) == test["exceptions"]
    assert all(float(str(row["pnl"])) < -float(str(row["var"])) for row in listed)
    sessions = [str(row["session"]) for row in listed]
    assert sessions == sorted(sessions, reverse=True)


def test_without_history_there_is_nothing_to_test_and_the_table_says_so() -> None:
    board = board_of(sessions=40)
    board.__dict__["backtests"] = ()
    assert backtests_table(board).empty.startswith("40 sessions in which every position has a return")
    assert exceptions_table(board).rows == []
