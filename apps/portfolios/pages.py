"""Pages of portfolios: the list, one portfolio, its charts."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from apps.core.charts import Chart, Palette, chart_answer, csv_answer, percent_text
from apps.core.clock import now
from apps.core.pages import RequestOfUser, page
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.selectors.bars import bar_series
from apps.marketdata.selectors.instruments import instruments_known
from apps.marketdata.selectors.market import HOME_CALENDAR, market_clock
from apps.marketdata.selectors.quotes import last_prices
from apps.portfolios.domain.closing import LotMethod
from apps.portfolios.domain.settlement import local_date
from apps.portfolios.models import Portfolio
from apps.portfolios.selectors.cash import action_entries, cash_flows, cash_lines
from apps.portfolios.selectors.overviews import ledger_entries, open_lots, portfolio_overview, portfolio_overviews
from apps.portfolios.selectors.portfolios import portfolio_get, portfolios_visible
from apps.portfolios.selectors.round_trips import closures, round_trips
from apps.portfolios.selectors.values import PortfolioValues, portfolio_values

if TYPE_CHECKING:
    from numpy.typing import NDArray

PAGE = 50
TABS = (
    ("positions", "Positions"),
    ("lots", "Tax lots"),
    ("trips", "Round trips"),
    ("cash", "Cash flows"),
    ("actions", "Corporate actions"),
    ("ledger", "Ledger"),
)
#: What a sale does, by lot method.
METHODS = {
    LotMethod.FIFO: "the oldest lots first (FIFO)",
    LotMethod.LIFO: "the newest lots first (LIFO)",
    LotMethod.HIFO: "the dearest lots first (HIFO)",
    LotMethod.AVERAGE: "a part of every lot, at the average cost",
    LotMethod.SPECIFIC: "the lots that are named, and the oldest first where none are",
}


@require_GET
@page
def portfolio_list(request: RequestOfUser) -> HttpResponse:
    """All portfolios that the user sees, valued now."""
    overviews = portfolio_overviews(list(portfolios_visible(request.user)), market=market_clock(now()))
    return render(request, "portfolios/list.html", {"overviews": overviews})


@require_GET
@page
def portfolio_detail(request: RequestOfUser, portfolio_id: int) -> HttpResponse:
    """One portfolio: cards and charts, and below them one part: positions, or what the ledger says."""
    portfolio = portfolio_get(user=request.user, portfolio_id=portfolio_id)
    tab = request.GET.get("tab", "positions")
    overview = portfolio_overview(portfolio, market=market_clock(now()))
    context: dict[str, Any] = {"overview": overview, "tabs": TABS, "tab": tab if tab in dict(TABS) else "positions"}
    context |= _tab(tab, portfolio, overview.market_time, request.GET.get("page"))
    return render(request, "portfolios/detail.html", context)


def _tab(tab: str, portfolio: Portfolio, market_time: datetime, page_number: str | None) -> dict[str, Any]:
    """What a tab shows besides the overview."""
    if tab == "lots":
        lots = Paginator(open_lots(portfolio.pk), PAGE).get_page(page_number)
        prices = last_prices({lot.instrument.symbol for lot in lots}, market_time=market_time)
        return {"lots": lots, "prices": prices, "method": METHODS[LotMethod(portfolio.lot_method)]}
    if tab == "trips":
        closed = Paginator(closures(portfolio.pk), PAGE).get_page(page_number)
        return {"closures": closed, "trips": round_trips(list(closed))}
    if tab == "cash":
        flows = Paginator(cash_flows(portfolio.pk), PAGE).get_page(page_number)
        return {"entries": flows, "cash": cash_lines(portfolio.pk, local_date(HOME_CALENDAR, market_time))}
    if tab in ("actions", "ledger"):
        entries = action_entries(portfolio.pk) if tab == "actions" else ledger_entries(portfolio.pk)
        return {"entries": Paginator(entries, PAGE).get_page(page_number)}
    return {}


@require_GET
@page
def ledger_csv(request: RequestOfUser, portfolio_id: int) -> HttpResponse:
    """The whole ledger as a file."""
    portfolio_get(user=request.user, portfolio_id=portfolio_id)
    columns = (
        "id",
        "effective_at",
        "recorded_at",
        "kind",
        "symbol",
        "book",
        "quantity",
        "price",
        "amount",
        "fee",
        "currency",
        "fx_rate",
        "base_amount",
        "ratio",
        "lot_method",
        "settles_on",
        "source",
        "source_ref",
    )
    rows = [
        (
            e.pk,
            e.effective_at,
            e.recorded_at,
            e.kind,
            e.instrument.symbol if e.instrument else "",
            e.book.name,
            e.quantity,
            e.price,
            e.amount,
            e.fee,
            e.currency,
            e.fx_rate,
            e.base_amount,
            e.ratio,
            e.lot_method,
            e.settles_on,
            e.source,
            e.source_ref,
        )
        for e in ledger_entries(portfolio_id)
    ]
    return csv_answer(f"ledger-{portfolio_id}", columns, rows)


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
