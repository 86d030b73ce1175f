"""What the desk's scenarios would do to the portfolio."""

from apps.core.tables import Column, Table
from apps.risk.domain.scenarios import ScenarioOutcome
from apps.risk.selectors.board import RiskBoard

NO_SCENARIOS = "No scenario is active. The risk manager sets them in the admin."


def _facts(board: RiskBoard) -> dict[str, object]:
    report = board.stress
    return {"equity": report.equity, "market_time": report.market_time, "computed_at": report.computed_at}


def stress_table(board: RiskBoard) -> Table:
    """Profit and loss of each scenario, and of how much of the portfolio that is known."""
    return Table(
        name="stress",
        title="Stress scenarios",
        columns=(
            Column(key="title", label="Scenario", unit="wrap"),
            Column(key="name", data_only=True),
            Column(key="kind", data_only=True),
            Column(key="pnl", label="P&L", unit="money_signed"),
            Column(key="fraction", label="of equity", unit="percent"),
            Column(key="state", label="State", unit="tag"),
            Column(key="coverage", label="Coverage", unit="share"),
            Column(key="proxied", label="By a proxy", unit="wrap"),
            Column(key="excluded", label="Not known", unit="wrap"),
            Column(key="distance", label="Deviations away", unit="ratio"),
            Column(key="note", label="Note", unit="wrap"),
        ),
        rows=[_line(outcome) for outcome in board.stress.outcomes],
        empty=NO_SCENARIOS,
        note="today's positions; coverage is the share of gross value that the scenario says something about",
        facts=_facts(board),
    )


def _line(outcome: ScenarioOutcome) -> tuple[object, ...]:
    unknown = ", ".join((*outcome.excluded, *outcome.unpriced))
    told = (outcome.title, outcome.name, outcome.kind, outcome.pnl, outcome.fraction, outcome.state, outcome.coverage)
    return (*told, ", ".join(outcome.proxied), unknown, outcome.distance, outcome.note)


def stressed_positions_table(board: RiskBoard) -> Table:
    """Profit and loss of each position in each scenario; unknown where the scenario says nothing about it."""
    outcomes = [outcome for outcome in board.stress.outcomes if outcome.by_symbol]
    symbols = sorted({symbol for outcome in outcomes for symbol in outcome.by_symbol})
    return Table(
        name="stressed-positions",
        title="Stress by position",
        columns=(
            Column(key="symbol", label="Position"),
            *(Column(key=outcome.name, label=outcome.name, unit="money_signed") for outcome in outcomes),
        ),
        rows=[(symbol, *(outcome.by_symbol.get(symbol) for outcome in outcomes)) for symbol in symbols],
        empty="No scenario says anything about what is held." if board.stress.outcomes else NO_SCENARIOS,
        facts=_facts(board),
    )
