"""What is held: exposures, concentration, liquidity, correlation, drawdowns."""

from apps.core.tables import Column, Table
from apps.risk.selectors.board import RiskBoard
from apps.risk.selectors.tables.tails import provenance

#: What the stored factors are called on the page.
FACTORS = {"ff.mkt_rf": "Market less risk-free rate", "ff.smb": "Small less big", "ff.hml": "Value less growth"}


def exposures_table(board: RiskBoard) -> Table:
    """Money held in all, by sector, by currency and by factor."""
    risk, held = board.risk, board.risk.exposure
    money = [("total", "Gross", held.gross), ("total", "Net", held.net), ("total", "Long", held.long), ("total", "Short", held.short)]
    money += [("sector", name or "not known", value) for name, value in held.by_sector.items()]
    money += [("currency", name or "not known", value) for name, value in held.by_currency.items()]
    rows: list[tuple[object, ...]] = [(name, by, value, value / risk.base if risk.base else None) for by, name, value in money]
    if risk.beta.value is not None:
        rows.append(("Benchmark", "factor", risk.beta.value * risk.base, risk.beta.value))
    factors = board.factors
    rows += [(FACTORS.get(name, name), "factor", money, money / risk.base if risk.base else None) for name, money in factors.money.items()]
    return Table(
        name="exposures",
        title="Exposures",
        columns=(
            Column(key="name", label="Exposure"),
            Column(key="by", label="By"),
            Column(key="value", label="Money", unit="money_signed"),
            Column(key="fraction", label="of equity", unit="share"),
        ),
        rows=rows if risk.values else [],
        empty="Nothing is held.",
        note="net by sector and currency; factors by beta" + (f", of {factors.coverage:.0%} of gross value" if factors.money else ""),
        facts=provenance(risk),
    )


def concentration_table(board: RiskBoard) -> Table:
    """How much stands on few positions."""
    risk, found = board.risk, board.risk.concentration
    rows: list[tuple[object, ...]] = [
        ("Herfindahl-Hirschman index", found.hhi, "ratio"),
        ("Effective number of positions", found.effective, "ratio"),
        *((f"Largest {count}" if count > 1 else "Largest", share, "share") for count, share in found.top.items()),
        *((symbol, share, "share") for symbol, share in found.largest),
    ]
    return Table(
        name="concentration",
        title="Concentration",
        columns=(
            Column(key="measure", label="Measure"),
            Column(key="value", label="Value", unit="number", unit_from="unit"),
            Column(key="unit", data_only=True),
        ),
        rows=rows if risk.values else [],
        empty="Nothing is held.",
        note="shares of gross value",
        facts=provenance(risk),
    )


def liquidity_table(board: RiskBoard) -> Table:
    """Sessions until each position can be left, the slowest first; unknown ones lead."""
    risk, found = board.risk, board.risk.liquidity
    days = sorted(
        ((symbol, value, found.days.get(symbol)) for symbol, value in risk.values.items()),
        key=lambda row: (row[2] is not None, -(row[2] or 0), row[0]),
    )
    sold = ", ".join(f"{share:.0%} in {count}" for count, share in found.within.items())
    return Table(
        name="liquidity",
        title="Liquidity",
        columns=(
            Column(key="symbol", label="Position"),
            Column(key="value", label="Value", unit="money"),
            Column(key="sessions", label="Sessions to leave", unit="price"),
            Column(key="state", label="State", unit="tag"),
        ),
        rows=[(symbol, value, needed, "no_data" if needed is None else "ok") for symbol, value, needed in days],
        empty="Nothing is held.",
        note=f"at {found.participation:.0%} of the average volume; of gross value {sold} sessions" if days else "",
        facts=provenance(risk),
    )


def correlation_table(board: RiskBoard) -> Table:
    """Correlations of the largest positions, neighbours alike."""
    risk, found = board.risk, board.risk.correlation
    symbols = found.symbols if found else ()
    left_out = f"; too few common sessions: {', '.join(found.left_out)}" if found and found.left_out else ""
    return Table(
        name="correlation",
        title="Correlation",
        columns=(
            Column(key="symbol", label="Position"),
            Column(key="cluster", label="Cluster", unit="number"),
            *(Column(key=name, label=name, unit="ratio") for name in symbols),
        ),
        rows=[] if found is None else [(name, found.clusters[at], *found.matrix[at].tolist()) for at, name in enumerate(symbols)],
        empty="There are no two positions with enough common sessions.",
        note=f"neighbours move alike, frames are clusters{left_out}",
        facts=provenance(risk) | ({"repaired": "eigenvalues below zero were cut off"} if found and found.repaired else {}),
    )


def drawdowns_table(board: RiskBoard) -> Table:
    """The deepest falls with their dates."""
    found = board.risk.drawdown
    return Table(
        name="drawdowns",
        title="Deepest drawdowns",
        columns=(
            Column(key="began", label="Began", unit="date"),
            Column(key="trough", label="Lowest", unit="date"),
            Column(key="recovered", label="Recovered", unit="date"),
            Column(key="depth", label="Depth", unit="percent"),
            Column(key="length", label="Sessions", unit="number"),
        ),
        rows=[(fall.began, fall.trough, fall.recovered, fall.depth, fall.length) for fall in found.falls] if found else [],
        empty="The value never fell." if found else "There is no history of values, and none of the returns of what is held.",
        note="" if found is None else "of the recorded values" if found.actual else "of today's positions over their history",
    )
