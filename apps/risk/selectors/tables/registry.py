"""All tables of the risk page by name."""

from collections.abc import Callable, Mapping
from typing import Final

from apps.core.errors import NotFound
from apps.core.tables import Table
from apps.risk.selectors.board import RiskBoard
from apps.risk.selectors.tables.backtests import backtests_table, exceptions_table
from apps.risk.selectors.tables.explain import explain_table
from apps.risk.selectors.tables.limits import crossings_table, halts_table, limits_table, stops_table
from apps.risk.selectors.tables.positions import concentration_table, correlation_table, drawdowns_table, exposures_table, liquidity_table
from apps.risk.selectors.tables.stress import stress_table, stressed_positions_table
from apps.risk.selectors.tables.tails import components_table, var_table, volatility_table
from apps.risk.selectors.tables.what_if import what_if_stress_table, what_if_table

TABLES: Final[Mapping[str, Callable[[RiskBoard], Table]]] = {
    "limits": limits_table,
    "stops": stops_table,
    "crossings": crossings_table,
    "halts": halts_table,
    "var": var_table,
    "components": components_table,
    "backtests": backtests_table,
    "exceptions": exceptions_table,
    "volatility": volatility_table,
    "exposures": exposures_table,
    "concentration": concentration_table,
    "liquidity": liquidity_table,
    "correlation": correlation_table,
    "drawdowns": drawdowns_table,
    "stress": stress_table,
    "stressed-positions": stressed_positions_table,
    "what-if": what_if_table,
    "what-if-stress": what_if_stress_table,
    "pnl-explain": explain_table,
}


def risk_table(board: RiskBoard, name: str) -> Table:
    """One part of the page by its name. Raises NotFound."""
    if name not in TABLES:
        raise NotFound(f"risk has no part {name!r}: {', '.join(TABLES)}")
    return TABLES[name](board)
