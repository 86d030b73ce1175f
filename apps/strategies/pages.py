"""Pages of the strategy lab: the runs, and the report of one."""

from typing import Any
from urllib.parse import urlencode

import numpy as np
from django.core.paginator import Paginator
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods

from apps.core.charts import Chart, Palette, chart_answer, percent_text
from apps.core.clock import now
from apps.core.errors import InvalidInput, NotFound, NotPermitted, RuleRefused
from apps.core.jobs import FINISHED as DONE
from apps.core.models import JobRun
from apps.core.models.jobs import JobState
from apps.core.pages import RequestOfUser, page
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.selectors.resampled import panel_at
from apps.strategies.forms import BacktestForm
from apps.strategies.models import BacktestRun
from apps.strategies.selectors.strategies import strategy_describe, strategy_names
from apps.strategies.services.backtests import TASK, BacktestRequest, adjustment_of, backtest_request, prices_text

PAGE = 50
JOBS = 20
RUN = "strategies.add_backtestrun"


@require_http_methods(["GET", "POST"])
@page
def lab(request: RequestOfUser) -> HttpResponse:
    """All runs, newest first, this user's jobs, and the form that starts one."""
    _allowed(request)
    earlier = request.GET.get("again", "")
    first = BacktestForm.initial_of(_run(request, int(earlier))) if earlier.isdecimal() else {}
    form = BacktestForm(request.POST) if request.method == "POST" else BacktestForm(initial=first)
    if request.method == "POST" and form.is_valid() and (job := _start(request, form)):
        return redirect(f"{reverse('lab')}?job={job.pk}")
    jobs = list(JobRun.objects.filter(job=TASK, requested_by=request.user).order_by("-id")[:JOBS])
    if finished := _result_of(jobs, request.GET.get("job")):
        return redirect("lab-report", run_id=finished)
    runs = BacktestRun.objects.select_related("requested_by").defer("equity", "trades").order_by("-id")
    context = {
        "page": Paginator(runs, PAGE).get_page(request.GET.get("page")),
        "form": form,
        "strategies": [strategy_describe(name) for name in strategy_names()],
        "jobs": [job for job in jobs if job.state not in DONE or str(job.pk) == request.GET.get("job")],
        "may_run": request.user.has_perm(RUN),
    }
    return render(request, "strategies/lab.html", context, status=200 if form.is_valid() or not form.is_bound else 400)


def _start(request: RequestOfUser, form: BacktestForm) -> JobRun | None:
    """Queue the run; what the strategy refuses is shown at its field."""
    if not request.user.has_perm(RUN):
        raise NotPermitted("Your role does not run backtests.")
    try:
        with transaction.atomic():
            return backtest_request(request=BacktestRequest(**form.request_fields()), user=request.user, at=now())
    except (InvalidInput, NotFound, RuleRefused) as error:
        form.refuse(error)
        return None


def _result_of(jobs: list[JobRun], wanted: str | None) -> int | None:
    """The backtest that the wanted job has made."""
    job = next((one for one in jobs if str(one.pk) == wanted and one.state == JobState.SUCCEEDED), None)
    return job.result["backtest_id"] if job and job.result else None


@require_GET
@page
def report(request: RequestOfUser, run_id: int) -> HttpResponse:
    """Everything about one run."""
    run = _run(request, run_id)
    symbol = request.GET.get("symbol") if request.GET.get("symbol") in run.symbols else run.symbols[0]
    context = {
        "run": run,
        "symbol": symbol,
        "prices": prices_text(run.configuration),
        "price_url": f"{reverse('chart-lab-price', args=[run_id])}?{urlencode({'symbol': symbol})}",
        "trips": Paginator(run.trades, PAGE).get_page(request.GET.get("page")),
    }
    return render(request, "strategies/report.html", context)


@require_GET
@page
def equity_chart(request: RequestOfUser, run_id: int) -> HttpResponse:
    """Value of the run over time."""
    run = _run(request, run_id)
    ts, value = _equity(run)
    if not len(ts):
        return chart_answer(request, Chart(name=f"backtest-{run_id}-equity", draw=None, summary="The run has no bars."))

    def draw(palette: Palette) -> Any:
        from apps.strategies.charts import equity_figure

        return equity_figure(palette, ts=ts, value=value, initial=float(run.initial_capital))

    change = percent_text(value[-1] / float(run.initial_capital) - 1)
    summary = f"Value {run.start} to {run.end}: {change}, lowest {value.min():,.0f}, highest {value.max():,.0f}"
    rows = [(when.item(), float(amount)) for when, amount in zip(ts, value, strict=True)]
    return chart_answer(request, Chart(name=f"backtest-{run_id}-equity", draw=draw, summary=summary, columns=("Bar", "Value USD"), rows=rows))


@require_GET
@page
def drawdown_chart(request: RequestOfUser, run_id: int) -> HttpResponse:
    """Fall of the run's value from its highest so far."""
    run = _run(request, run_id)
    ts, value = _equity(run)
    if not len(ts):
        return chart_answer(request, Chart(name=f"backtest-{run_id}-drawdown", draw=None, summary="The run has no bars."))
    drawdown = value / np.maximum.accumulate(np.maximum(value, float(run.initial_capital))) - 1.0

    def draw(palette: Palette) -> Any:
        from apps.strategies.charts import drawdown_figure

        return drawdown_figure(palette, ts=ts, drawdown=drawdown)

    lowest = int(np.argmin(drawdown))
    summary = f"Largest fall {percent_text(drawdown[lowest])} at {ts[lowest].astype('datetime64[D]')}; at the end {percent_text(drawdown[-1])}"
    rows = [(when.item(), float(amount)) for when, amount in zip(ts, drawdown, strict=True)]
    return chart_answer(
        request, Chart(name=f"backtest-{run_id}-drawdown", draw=draw, summary=summary, columns=("Bar", "Drawdown (fraction)"), rows=rows)
    )


@require_GET
@page
def price_chart(request: RequestOfUser, run_id: int) -> HttpResponse:
    """One instrument's closes with the run's entries and exits."""
    run = _run(request, run_id)
    symbol = request.GET.get("symbol") or run.symbols[0]
    if symbol not in run.symbols:
        raise NotFound(f"the run has no {symbol}", field="symbol")
    panel = panel_at(
        symbols=run.symbols, timeframe=Timeframe.parse(run.timeframe), start=run.start, end=run.end, adjustment=adjustment_of(run.configuration)
    )
    series = panel.series(symbol)
    name = f"backtest-{run_id}-{symbol}"
    if not len(series.ts):
        return chart_answer(request, Chart(name=name, draw=None, summary=f"No bars of {symbol} are stored any more for these dates."))
    trips = [trip for trip in run.trades if trip["symbol"] == symbol]
    buys, sells = _marks(trips)

    def draw(palette: Palette) -> Any:
        from apps.strategies.charts import price_figure

        return price_figure(palette, symbol=symbol, ts=series.ts, close=series.close, buys=buys, sells=sells)

    summary = f"{symbol} {percent_text(series.close[-1] / series.close[0] - 1)} over the run; {len(buys[0])} buys, {len(sells[0])} sells"
    rows = [(when.item(), float(close)) for when, close in zip(series.ts, series.close, strict=True)]
    return chart_answer(request, Chart(name=name, draw=draw, summary=summary, columns=("Bar", f"{symbol} close USD"), rows=rows))


def _marks(trips: list[dict[str, Any]]) -> tuple[Any, Any]:
    """When and at what price the round trips bought and sold: (times, prices) of both."""
    buys: list[tuple[Any, float]] = []
    sells: list[tuple[Any, float]] = []
    for trip in trips:
        opening, closing = (buys, sells) if float(trip["quantity"]) >= 0 else (sells, buys)
        opening.append((np.datetime64(trip["entry_time"].rstrip("Z")[:19], "us"), float(trip["entry_price"])))
        if trip.get("exit_time"):
            closing.append((np.datetime64(trip["exit_time"].rstrip("Z")[:19], "us"), float(trip["exit_price"])))
    return _columns(buys), _columns(sells)


def _columns(marks: list[tuple[Any, float]]) -> tuple[Any, Any]:
    return np.array([when for when, _ in marks], dtype="datetime64[us]"), np.array([price for _, price in marks], dtype=np.float64)


def _equity(run: BacktestRun) -> tuple[Any, Any]:
    ts = np.array([when.rstrip("Z")[:19] for when, _ in run.equity], dtype="datetime64[us]")
    return ts, np.array([float(value) for _, value in run.equity], dtype=np.float64)


def _run(request: RequestOfUser, run_id: int) -> BacktestRun:
    _allowed(request)
    run = BacktestRun.objects.select_related("requested_by").filter(pk=run_id).first()
    if run is None:
        raise NotFound(f"no backtest {run_id}")
    return run


def _allowed(request: RequestOfUser) -> None:
    if not request.user.has_perm("strategies.view_backtestrun"):
        raise NotPermitted("Your role does not see backtests.")
