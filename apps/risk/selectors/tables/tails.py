"""How much can be lost, and whose risk that is."""

from typing import Final

from apps.core.tables import Column, Table
from apps.risk.domain.portfolio_risk import Method, PortfolioRisk, RiskNumber
from apps.risk.domain.risk_numbers import least_observations
from apps.risk.selectors.board import RiskBoard

METHODS: Final = {
    Method.HISTORICAL: "Historical",
    Method.NORMAL: "Normal",
    Method.CORNISH_FISHER: "Cornish-Fisher",
    Method.MONTE_CARLO: "Monte Carlo",
    Method.FILTERED_HISTORICAL: "Filtered historical",
}
ESTIMATES: Final = {"sample": "sample", "ewma": "exponentially weighted", "ledoit_wolf": "shrunk (Ledoit-Wolf)"}


def why_unknown(risk: PortfolioRisk, confidence: float) -> str:
    """Why there is no number at this confidence; "" when there is one."""
    if risk.missing:
        return f"No price for {', '.join(risk.missing)}."
    if risk.without_history:
        return f"No stored returns of {', '.join(risk.without_history)}."
    least = least_observations(confidence)
    if risk.values and risk.n < least:
        few = f" {risk.shortest[0]} has the fewest returns: {risk.shortest[1]}." if risk.shortest else ""
        return f"{risk.n} sessions in which every position has a return, and {confidence:.0%} needs {least}.{few}"
    return ""


def asked_words(board: RiskBoard) -> str:
    """At which confidence and over how long the board measures."""
    return f"{board.confidence:.0%}, {board.horizon} session{'s' if board.horizon > 1 else ''}"


def provenance(risk: PortfolioRisk) -> dict[str, object]:
    """What every number of a portfolio's risk was computed from."""
    return {
        "as_of": risk.as_of,
        "window": f"{risk.window} sessions",
        "observations": risk.n,
        "prices_old": ", ".join(risk.stale) or "none",
        "returns_sha_256": risk.fingerprint,
    }


def var_table(board: RiskBoard) -> Table:
    """Value at risk and expected shortfall by method, at the board's confidence and horizon."""
    risk, asked = board.risk, (board.confidence, board.horizon)
    errors = {one.method: one for one in risk.simulation_error if (one.confidence, one.horizon) == asked}
    pairs = [(risk.var_of(method, *asked), risk.es_of(method, *asked), errors.get(f"{method} standard error")) for method in Method]
    return Table(
        name="var",
        title="Value at risk",
        columns=(
            Column(key="method", label="Method"),
            Column(key="confidence", data_only=True),
            Column(key="horizon", data_only=True),
            Column(key="var", label="VaR", unit="money"),
            Column(key="var_fraction", label="of equity", unit="share"),
            Column(key="es", label="Expected shortfall", unit="money"),
            Column(key="standard_error", label="± simulated", unit="money"),
            Column(key="state", label="State", unit="tag"),
            Column(key="observations", label="n", unit="number"),
            Column(key="window", label="Window", unit="number"),
            Column(key="as_of", label="As of", unit="date"),
            Column(key="note", label="Note", unit="wrap"),
            Column(key="fingerprint", data_only=True),
        ),
        rows=[_tail(risk, var, es, error) for var, es, error in pairs],
        empty="",
        note=f"{asked_words(board)}; a loss is positive",
        facts=provenance(risk),
    )


def _tail(risk: PortfolioRisk, var: RiskNumber, es: RiskNumber, error: RiskNumber | None) -> tuple[object, ...]:
    share = var.value / risk.base if var.value is not None and risk.base else None
    method, confidence = METHODS[Method(var.method)], var.confidence
    spread = error.value if error else None
    return (method, confidence, var.horizon, var.value, share, es.value, spread, var.state, var.n, var.window, var.as_of, var.note, var.fingerprint)


def components_table(board: RiskBoard) -> Table:
    """Each position's part in the normal value at risk; the parts add up to it."""
    risk = board.risk
    found = risk.contributions.get(board.confidence)
    rows: list[tuple[object, ...]] = []
    note = ""
    if found is not None:
        parts = (found.values, found.component, found.marginal, found.standalone, found.incremental, found.shortfall)
        lines = sorted(zip(found.symbols, *(part.tolist() for part in parts), strict=True), key=lambda line: (-abs(line[2]), line[0]))
        rows = [(name, value, part, part / found.total if found.total else None, *rest) for name, value, part, *rest in lines]
        note = (
            f"standalone adds up to ${found.standalone.sum():,.0f}, together ${found.total:,.0f}: diversification saves ${found.diversification:,.0f}"
        )
    return Table(
        name="components",
        title="Whose risk it is",
        columns=(
            Column(key="symbol", label="Position"),
            Column(key="value", label="Value", unit="money"),
            Column(key="component", label="Component VaR", unit="money"),
            Column(key="share", label="of the total", unit="share"),
            Column(key="marginal", label="Marginal per $1", unit="price"),
            Column(key="standalone", label="Standalone VaR", unit="money"),
            Column(key="incremental", label="VaR saved by closing", unit="money_signed"),
            Column(key="shortfall", label="Part of the ES", unit="money"),
        ),
        rows=rows,
        empty=why_unknown(risk, board.confidence) or "Nothing is held: there is no risk to share out.",
        note=note,
        facts=provenance(risk) | {"method": f"normal, {board.confidence:.0%}, 1 session; part of the ES: historical"},
    )


def volatility_table(board: RiskBoard) -> Table:
    """Volatility by three estimates, and the sensitivity to the benchmark."""
    risk = board.risk
    rows = [(f"Volatility a year, {ESTIMATES[one.method]}", one.value, "share", one.state, one.n, one.note) for one in risk.volatility]
    rows.append(("Beta to the benchmark", risk.beta.value, "ratio", risk.beta.state, risk.beta.n, risk.beta.note))
    return Table(
        name="volatility",
        title="Volatility and beta",
        columns=(
            Column(key="measure", label="Measure"),
            Column(key="value", label="Value", unit="number", unit_from="unit"),
            Column(key="unit", data_only=True),
            Column(key="state", label="State", unit="tag"),
            Column(key="observations", label="n", unit="number"),
            Column(key="note", label="Note", unit="wrap"),
        ),
        rows=rows,
        empty="",
        note="of equity",
        facts=provenance(risk),
    )
