"""Charts of the risk page."""

from typing import Any

import numpy as np
from django.http import HttpResponse
from django.views.decorators.http import require_GET

from apps.core.charts import MINUS, Chart, Palette, bands_figure, chart_answer, percent_text
from apps.core.clock import now
from apps.core.pages import RequestOfUser, page
from apps.marketdata.selectors.vix import vix_shown
from apps.portfolios.selectors.portfolios import portfolio_get
from apps.portfolios.selectors.values import portfolio_values
from apps.risk.domain.limits import LimitKind
from apps.risk.domain.portfolio_risk import Method
from apps.risk.domain.stops import REGIMES, regime_of
from apps.risk.pages.asked import asked_board
from apps.risk.selectors.board import RiskBoard
from apps.risk.selectors.limits import limits_in_force
from apps.risk.selectors.tables.backtests import backtests_table
from apps.risk.selectors.tables.positions import correlation_table
from apps.risk.selectors.tables.stress import stress_table

#: Two years of the volatility index.
VIX_SESSIONS = 504


@require_GET
@page
def drawdown_chart(request: RequestOfUser, portfolio_id: int) -> HttpResponse:
    """Drawdown of the recorded values, flows taken out, with the limit in force."""
    portfolio_get(user=request.user, portfolio_id=portfolio_id)
    values = portfolio_values(portfolio_id)
    name = f"drawdown-{portfolio_id}"
    if not len(values):
        return chart_answer(
            request, Chart(name=name, draw=None, summary="No value is recorded yet: the first comes at the end of the first session.")
        )
    wealth = np.cumprod(1.0 + np.nan_to_num(values.daily_return))
    drawdown = wealth / np.maximum.accumulate(np.maximum(wealth, 1.0)) - 1.0
    limit = limits_in_force(portfolio_id, now()).get(LimitKind.DRAWDOWN)

    def draw(palette: Palette) -> Any:
        from apps.risk.charts import drawdown_figure

        soft = float(limit.soft) if limit and limit.soft is not None else None
        return drawdown_figure(palette, ts=values.ts, drawdown=drawdown, soft=soft, hard=float(limit.hard) if limit else None)

    held = f"limit {percent_text(-float(limit.hard))}" if limit else "no limit is set"
    summary = f"Now {percent_text(drawdown[-1])} below the highest value, at most {percent_text(drawdown.min())} so far; {held}"
    rows = [(ts.astype("datetime64[us]").item(), float(value)) for ts, value in zip(values.ts, drawdown, strict=True)]
    return chart_answer(request, Chart(name=name, draw=draw, summary=summary, columns=("Market time", "Drawdown (fraction)"), rows=rows))


@require_GET
@page
def correlation_chart(request: RequestOfUser, portfolio_id: int) -> HttpResponse:
    """Correlations of the largest positions as a heat map, clusters framed."""
    portfolio_get(user=request.user, portfolio_id=portfolio_id)
    board = RiskBoard(portfolio_id=portfolio_id, now=now())
    table, found = correlation_table(board), board.risk.correlation
    name = f"correlation-{portfolio_id}"
    if found is None or not found.symbols:
        return chart_answer(request, Chart(name=name, draw=None, summary=table.empty))

    def draw(palette: Palette) -> Any:
        from apps.risk.charts import correlation_figure

        return correlation_figure(palette, matrix=found.matrix, symbols=found.symbols, clusters=found.clusters)

    groups = [
        ", ".join(symbol for symbol, its in zip(found.symbols, found.clusters, strict=True) if its == number)
        for number in sorted(set(found.clusters))
    ]
    summary = (
        f"As of {board.risk.as_of:%Y-%m-%d}, {len(groups)} group{'s' if len(groups) > 1 else ''} of positions that move together: {'; '.join(groups)}"
    )
    columns = tuple(column.label for column in table.columns)
    return chart_answer(request, Chart(name=name, draw=draw, summary=summary, columns=columns, rows=table.rows))


@require_GET
@page
def stress_chart(request: RequestOfUser, portfolio_id: int) -> HttpResponse:
    """What each scenario would cost or bring, the worst on top."""
    portfolio_get(user=request.user, portfolio_id=portfolio_id)
    board = RiskBoard(portfolio_id=portfolio_id, now=now())
    table = stress_table(board)
    known = sorted(((one.name, one.title, one.pnl) for one in board.stress.outcomes if one.pnl is not None), key=lambda item: (item[2], item[0]))
    name = f"stress-{portfolio_id}"
    if not known:
        return chart_answer(request, Chart(name=name, draw=None, summary="No scenario has a result: the table says why."))

    def draw(palette: Palette) -> Any:
        from apps.risk.charts import stress_figure

        names, titles = [one[0] for one in known], [one[1] for one in known]
        return stress_figure(palette, names=names, titles=titles, pnl=np.array([one[2] for one in known]))

    summary = f"{len(known)} of {len(table.rows)} scenarios have a result; the worst is {known[0][1]} with {known[0][2]:+,.0f}".replace("-", MINUS)
    return chart_answer(request, Chart(name=name, draw=draw, summary=summary, columns=("Scenario", "Title", "P&L"), rows=known))


@require_GET
@page
def backtest_chart(request: RequestOfUser, portfolio_id: int) -> HttpResponse:
    """Each tested session's result beside the loss that was forecast for it, by the historical method."""
    portfolio_get(user=request.user, portfolio_id=portfolio_id)
    board = asked_board(request, portfolio_id)
    test = next((one for one in board.backtests if one.method is Method.HISTORICAL and one.days), None)
    name = f"backtest-{portfolio_id}"
    if test is None:
        return chart_answer(request, Chart(name=name, draw=None, summary=backtests_table(board).empty))
    rows = [(day.session, day.pnl, day.var, day.exception) for day in test.days]

    def draw(palette: Palette) -> Any:
        from apps.risk.charts import backtest_figure

        days = np.array([day.session for day in test.days], "datetime64[D]")
        return backtest_figure(palette, ts=days, pnl=np.array([row[1] for row in rows]), var=np.array([row[2] for row in rows]))

    of = "today's positions through their history" if test.hypothetical else "stored forecasts"
    counted = f"{test.exceptions} exceptions in {test.observations} sessions, {test.expected:.1f} expected"
    summary = f"Historical value at risk at {test.confidence:.0%}, {of}: {counted}"
    return chart_answer(request, Chart(name=name, draw=draw, summary=summary, columns=("Session", "P&L", "Forecast loss", "Exception"), rows=rows))


@require_GET
@page
def treemap_chart(request: RequestOfUser, portfolio_id: int) -> HttpResponse:
    """Positions by the size of their value, coloured by what they have earned today."""
    portfolio_get(user=request.user, portfolio_id=portfolio_id)
    valuation = RiskBoard(portfolio_id=portfolio_id, now=now()).view.valuation
    name = f"treemap-{portfolio_id}"
    held = [(one, float(one.market_value)) for one in valuation.positions if one.market_value]
    if not held:
        text = "No position has a price." if valuation.missing else "Nothing is held."
        return chart_answer(request, Chart(name=name, draw=None, summary=text))
    gross = sum(abs(value) for _, value in held)
    rows = [
        (one.symbol, value, abs(value) / gross, None if one.day_pnl is None else float(one.day_pnl) / abs(value))
        for one, value in sorted(held, key=lambda item: (-abs(item[1]), item[0].symbol))
    ]

    def draw(palette: Palette) -> Any:
        from apps.risk.charts import treemap_figure

        moves = np.array([np.nan if row[3] is None else row[3] for row in rows])
        return treemap_figure(palette, symbols=[row[0] for row in rows], values=np.array([row[1] for row in rows]), moves=moves)

    without = f"; without a price and not in it: {', '.join(valuation.missing)}" if valuation.missing else ""
    summary = f"{len(rows)} position{'s' if len(rows) > 1 else ''}; the largest is {rows[0][0]} with {rows[0][2]:.0%} of the gross value{without}"
    columns = ("Position", "Value", "Share of gross value", "Earned today by value")
    return chart_answer(request, Chart(name=name, draw=draw, summary=summary, columns=columns, rows=rows))


@require_GET
@page
def vix_chart(request: RequestOfUser) -> HttpResponse:
    """The volatility index over the regimes by which positions are stopped."""
    series, seen = vix_shown(now(), last=VIX_SESSIONS)
    if series is None or not len(series):
        return chart_answer(request, Chart(name="vix", draw=None, summary="The desk has no history of the VIX."))
    named = [regime_of(level) for level in series.close.tolist()]

    def draw(palette: Palette) -> Any:
        bands = [(f"{regime.label}: stop {regime.threshold:.0%}", regime.floor) for regime in REGIMES]
        return bands_figure(palette, ts=series.ts, level=series.close, bands=bands, what="VIX")

    days = [ts.astype("datetime64[D]").item() for ts in series.ts]
    late = "" if seen else "; the market shown stands before it, so nothing is stopped by it"
    summary = f"{series.close[-1]:.2f} on {days[-1]}: {named[-1].label}, positions stop {named[-1].threshold:.0%} below their cost{late}"
    rows = [(day, level, its.label, its.threshold) for day, level, its in zip(days, series.close.tolist(), named, strict=True)]
    columns = ("Day", "VIX", "Regime", "Stop (fraction below cost)")
    return chart_answer(request, Chart(name="vix", draw=draw, summary=summary, columns=columns, rows=rows))
