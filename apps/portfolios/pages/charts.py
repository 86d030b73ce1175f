"""Charts of a portfolio."""

from typing import TYPE_CHECKING, Any

import numpy as np
from django.http import HttpResponse
from django.views.decorators.http import require_GET

from apps.core.charts import Chart, Palette, chart_answer, percent_text
from apps.core.clock import now
from apps.core.pages import RequestOfUser, page
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.selectors.bars import bar_series
from apps.marketdata.selectors.instruments import instruments_known
from apps.marketdata.selectors.market import market_clock
from apps.portfolios.selectors.drift import portfolio_drift
from apps.portfolios.selectors.overviews import portfolio_overview
from apps.portfolios.selectors.portfolios import portfolio_get
from apps.portfolios.selectors.values import PortfolioValues, portfolio_values

if TYPE_CHECKING:
    from numpy.typing import NDArray


@require_GET
@page
def drift_chart(request: RequestOfUser, portfolio_id: int) -> HttpResponse:
    """Current weights against their targets."""
    portfolio = portfolio_get(user=request.user, portfolio_id=portfolio_id)
    view = portfolio_drift(portfolio, market=market_clock(now()))
    shown = [one for one in view.by_size if one.current_weight is not None and (one.current_weight or one.target_weight)]
    name = f"drift-{portfolio_id}"
    if view.drift is None or not shown:
        why = "There are no targets yet." if view.plan is None else "Nothing is held or wanted."
        return chart_answer(request, Chart(name=name, draw=None, summary=f"No price of {', '.join(view.missing)}." if view.missing else why))
    current = np.array([float(one.current_weight or 0) for one in shown])
    target = np.array([float(one.target_weight) for one in shown])

    def draw(palette: Palette) -> Any:
        from apps.portfolios.charts import drift_figure

        return drift_figure(palette, names=[one.symbol for one in shown], current=current, target=target)

    off = f"{float(view.drift.turnover) * 100:.1f} % of the value is off target"
    summary = f"The largest drift is {percent_text(float(shown[0].drift or 0))} in {shown[0].symbol}; {off}"
    columns = ("Symbol", "Current weight", "Target weight", "Drift")
    rows = [(one.symbol, *(float(x or 0) for x in (one.current_weight, one.target_weight, one.drift))) for one in shown]
    return chart_answer(request, Chart(name=name, draw=draw, summary=summary, columns=columns, rows=rows))


@require_GET
@page
def equity_chart(request: RequestOfUser, portfolio_id: int) -> HttpResponse:
    """Recorded values of a portfolio against its benchmark."""
    portfolio = portfolio_get(user=request.user, portfolio_id=portfolio_id)
    values = portfolio_values(portfolio_id)
    benchmark = _benchmark(values, portfolio.benchmark_symbol)
    return chart_answer(request, _equity(f"equity-{portfolio_id}", values, benchmark, portfolio.benchmark_symbol))


def _equity(name: str, values: PortfolioValues, benchmark: "NDArray[np.float64] | None", benchmark_name: str) -> Chart:
    if not len(values):
        return Chart(name=name, draw=None, summary="No value is recorded yet: the first comes at the end of the first session.")

    def draw(palette: Palette) -> Any:
        from apps.portfolios.charts import equity_figure

        return equity_figure(palette, ts=values.ts, total=values.total, benchmark=benchmark, benchmark_name=benchmark_name)

    peak = np.maximum.accumulate(values.total)
    first, last = values.ts[0].astype("datetime64[D]"), values.ts[-1].astype("datetime64[D]")
    change, fall = values.total[-1] / values.total[0] - 1, (values.total / peak - 1).min()
    summary = f"Value {first} to {last}: {percent_text(change)}, largest fall {percent_text(fall)}"
    if benchmark is not None:
        summary += f"; {benchmark_name} {percent_text(benchmark[-1] / benchmark[0] - 1)}"
    other = benchmark if benchmark is not None else np.full(len(values), np.nan)
    rows = [
        (ts.astype("datetime64[us]").item(), float(total), float(flow), float(b))
        for ts, total, flow, b in zip(values.ts, values.total, values.flow, other, strict=True)
    ]
    return Chart(
        name=name,
        draw=draw,
        summary=summary,
        columns=("Market time", "Value USD", "Paid in USD", f"{benchmark_name or 'Benchmark'} scaled USD"),
        rows=rows,
    )


def _benchmark(values: PortfolioValues, symbol: str) -> "NDArray[np.float64] | None":
    """Closes of the benchmark at the values' times, scaled to the portfolio's first value; None without bars before the first value."""
    if not symbol or not len(values) or not instruments_known([symbol]):
        return None
    series = bar_series(symbol=symbol, timeframe=Timeframe.DAY, end=values.ts[-1].astype("datetime64[D]").item())
    at = np.searchsorted(series.ts, values.ts, side="right") - 1
    if not len(series.ts) or at[0] < 0:
        return None
    closes = series.close[at]
    return closes / closes[0] * values.total[0]


@require_GET
@page
def allocation_chart(request: RequestOfUser, portfolio_id: int) -> HttpResponse:
    """What the portfolio's value consists of now."""
    portfolio = portfolio_get(user=request.user, portfolio_id=portfolio_id)
    valuation = portfolio_overview(portfolio, market=market_clock(now())).valuation
    name = f"allocation-{portfolio_id}"
    if valuation.total is None or not valuation.total:
        missing = ", ".join(valuation.missing)
        return chart_answer(request, Chart(name=name, draw=None, summary=f"No price for {missing}." if missing else "The portfolio is empty."))
    parts = [(p.symbol, p.market_value) for p in valuation.positions if p.market_value] + [("Cash", valuation.cash)]
    weights = np.array([float(value / valuation.total) for _, value in parts])

    def draw(palette: Palette) -> Any:
        from apps.portfolios.charts import allocation_figure

        return allocation_figure(palette, names=[symbol for symbol, _ in parts], weights=weights)

    largest = parts[int(np.argmax(np.abs(weights)))][0]
    summary = f"{len(parts) - 1} positions and cash; the largest part is {largest} with {np.abs(weights).max() * 100:.1f} %"
    rows = [(symbol, value, float(weight)) for (symbol, value), weight in zip(parts, weights, strict=True)]
    return chart_answer(request, Chart(name=name, draw=draw, summary=summary, columns=("Position", "Value USD", "Weight"), rows=rows))
