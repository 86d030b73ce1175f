"""Whether value at risk was right."""

from apps.core.tables import Column, Table
from apps.risk.domain.var_backtest import BackTest
from apps.risk.selectors.board import RiskBoard
from apps.risk.selectors.tables.tails import METHODS, provenance, why_unknown

NO_HISTORY = "No forecast is stored yet, and there is too little history to move today's positions through it."


def _kind(test: BackTest) -> str:
    return "today's positions through their history" if test.hypothetical else "stored forecasts"


def backtests_table(board: RiskBoard) -> Table:
    """Exceptions of each method with their tests and the zone, at the board's confidence."""
    return Table(
        name="backtests",
        title="Back-test of value at risk",
        columns=(
            Column(key="method", label="Method"),
            Column(key="confidence", data_only=True),
            Column(key="of", label="Of"),
            Column(key="observations", label="Days", unit="number"),
            Column(key="exceptions", label="Exceptions", unit="number"),
            Column(key="expected", label="Expected", unit="ratio"),
            Column(key="zone", label="Zone", unit="tag"),
            Column(key="kupiec_p", label="Kupiec p", unit="p_value"),
            Column(key="christoffersen_p", label="Christoffersen p", unit="p_value"),
            Column(key="coverage_p", label="Both p", unit="p_value"),
            Column(key="multiplier_add", label="Added to 3", unit="ratio"),
            Column(key="state", label="State", unit="tag"),
        ),
        rows=[
            (
                METHODS[one.method],
                one.confidence,
                _kind(one),
                one.observations,
                one.exceptions,
                one.expected,
                one.zone,
                one.kupiec_p,
                one.christoffersen_p,
                one.coverage_p,
                one.multiplier_add,
                one.state,
            )
            for one in board.backtests
        ],
        empty=why_unknown(board.risk, board.confidence) or NO_HISTORY,
        note=f"at {board.confidence:.0%} over one session; an exception is a loss above the value at risk",
        facts=provenance(board.risk),
    )


def exceptions_table(board: RiskBoard) -> Table:
    """The sessions that lost more than was forecast, newest first."""
    days = [(day.session, METHODS[one.method], day.var, day.pnl, -day.pnl - day.var) for one in board.backtests for day in one.days if day.exception]
    days.sort(key=lambda day: (day[0], day[1]), reverse=True)
    return Table(
        name="exceptions",
        title="Exceptions",
        columns=(
            Column(key="session", label="Session", unit="date"),
            Column(key="method", label="Method"),
            Column(key="var", label="VaR", unit="money"),
            Column(key="pnl", label="P&L", unit="money_signed"),
            Column(key="beyond", label="Beyond", unit="money"),
        ),
        rows=days,
        empty="No session lost more than was forecast for it." if board.backtests else NO_HISTORY,
        note=f"at {board.confidence:.0%}, newest first",
        facts=provenance(board.risk),
    )
