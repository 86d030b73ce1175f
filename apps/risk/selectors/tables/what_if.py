"""Before and after a trade that nobody has made."""

from collections.abc import Iterable

from apps.core.tables import Column, Table
from apps.risk.domain.portfolio_risk import Method, PortfolioRisk
from apps.risk.selectors.board import RiskBoard
from apps.risk.selectors.tables.stress import NO_SCENARIOS
from apps.risk.selectors.tables.tails import METHODS, asked_words, provenance
from apps.risk.selectors.what_if import WhatIf

NO_TRADE = "Name a trade."
Number = float | None


def what_if_table(board: RiskBoard) -> Table:
    """Exposure, value at risk, expected shortfall, volatility and concentration without and with the trade."""
    found = board.what_if
    rows = [] if found is None else [_line(name, unit, before, after) for name, unit, before, after in _measures(board, found)]
    return Table(
        name="what-if",
        title="With the trade",
        columns=(
            Column(key="measure", label="Measure"),
            Column(key="unit", data_only=True),
            Column(key="before", label="Now", unit="money", unit_from="unit"),
            Column(key="after", label="With the trade", unit="money", unit_from="unit"),
            Column(key="change", label="Change", unit="money", unit_from="unit"),
        ),
        rows=rows,
        empty=NO_TRADE,
        note=f"{asked_words(board)}; a loss is positive, costs are left out",
        facts={} if found is None else _facts(found) | provenance(found.risk),
    )


def what_if_stress_table(board: RiskBoard) -> Table:
    """Profit and loss of each scenario without and with the trade."""
    found = board.what_if
    before = {} if found is None else {outcome.name: outcome.pnl for outcome in board.stress.outcomes}
    after = () if found is None else found.outcomes
    return Table(
        name="what-if-stress",
        title="Scenarios with the trade",
        columns=(
            Column(key="title", label="Scenario", unit="wrap"),
            Column(key="name", data_only=True),
            Column(key="before", label="Now", unit="money_signed"),
            Column(key="after", label="With the trade", unit="money_signed"),
            Column(key="change", label="Change", unit="money_signed"),
            Column(key="state", label="State", unit="tag"),
        ),
        rows=[(one.title, one.name, before.get(one.name), one.pnl, _change(before.get(one.name), one.pnl), one.state) for one in after],
        empty=NO_TRADE if found is None else NO_SCENARIOS,
        facts={} if found is None else _facts(found),
    )


def _measures(board: RiskBoard, found: WhatIf) -> Iterable[tuple[str, str, Number, Number]]:
    risks: tuple[PortfolioRisk, PortfolioRisk] = (board.risk, found.risk)
    asked = (board.confidence, board.horizon)

    def both(name: str, unit: str, values: Iterable[Number]) -> tuple[str, str, Number, Number]:
        before, after = values
        return name, unit, before, after

    yield both("Gross exposure", "money", (one.exposure.gross for one in risks))
    yield both("Net exposure", "money_signed", (one.exposure.net for one in risks))
    for method in Method:
        yield both(f"{METHODS[method]} VaR", "money", (one.var_of(method, *asked).value for one in risks))
    for method in (Method.HISTORICAL, Method.NORMAL):
        yield both(f"{METHODS[method]} expected shortfall", "money", (one.es_of(method, *asked).value for one in risks))
    yield both("Volatility a year, of equity", "share", (one.volatility[0].value for one in risks))
    yield both("Beta to the benchmark", "ratio", (one.beta.value for one in risks))


def _line(name: str, unit: str, before: Number, after: Number) -> tuple[object, ...]:
    return name, unit, before, after, _change(before, after)


def _change(before: Number, after: Number) -> Number:
    return None if before is None or after is None else after - before


def _facts(found: WhatIf) -> dict[str, object]:
    trade = found.trade
    return {"symbol": trade.symbol, "quantity": trade.quantity, "price": trade.price, "currency": trade.currency, "value": trade.value}
