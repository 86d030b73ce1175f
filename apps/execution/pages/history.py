"""The blotter's history: what was traded, how often it was rebalanced, and what trading cost."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from apps.core.charts import Chart, Palette, chart_answer
from apps.core.clock import now
from apps.core.money import ZERO
from apps.core.pages import RequestOfUser, page
from apps.execution.pages.scope import Period, period_asked, portfolios_chosen
from apps.execution.selectors.history import History, history
from apps.marketdata.domain.calendars import calendar_of
from apps.marketdata.selectors.market import market_clock
from apps.portfolios.domain.rebalancing import ENDED
from apps.portfolios.selectors.rebalances import rebalances_by_month

if TYPE_CHECKING:
    from apps.portfolios.models import Portfolio

#: Of more symbols than this the chart shows the largest; the table has them all.
BARS = 20
#: Sessions are days of this exchange.
CALENDAR = "XNYS"
QUARTER = timedelta(days=91)


def _sessions(request: RequestOfUser) -> Period:
    """The sessions that the address names, those of a quarter of a year where it names none; an empty `from` is all of them."""
    asked = period_asked(request, ZoneInfo(calendar_of(CALENDAR).time_zone))
    if "from" in request.GET or "to" in request.GET:
        return asked
    return replace(asked, first=market_clock(now()).session - QUARTER)


def _found(chosen: Sequence["Portfolio"], period: Period) -> History:
    return history([one.pk for one in chosen], since=period.since, until=period.until)


@require_GET
@page
def trade_history(request: RequestOfUser) -> HttpResponse:
    """Sums of the period above the charts, which ask for themselves."""
    chosen, period = portfolios_chosen(request), _sessions(request)
    currencies = sorted({one.base_currency for one in chosen})
    found = _found(chosen, period)
    value = sum((one.value for one in found.by_symbol), ZERO)
    slippage = sum((one.slippage for one in found.by_session), ZERO)
    context = {
        "chosen": chosen[0] if len(chosen) == 1 else None,
        "currencies": currencies,
        "period": period,
        "found": found,
        "executions": sum(one.executions for one in found.by_symbol),
        "value": value,
        "fees": sum((one.fees for one in found.by_session), ZERO),
        "slippage": slippage,
        "slippage_bps": slippage / value * 10_000 if value else None,
    }
    return render(request, "execution/history.html", context)


@require_GET
@page
def symbols_chart(request: RequestOfUser) -> HttpResponse:
    """Value traded by symbol."""
    found = _found(portfolios_chosen(request), _sessions(request)).by_symbol
    rows = [(one.symbol, one.executions, float(one.quantity), float(one.value), float(one.cost)) for one in found]

    def draw(palette: Palette) -> Any:
        from apps.execution.charts import traded_figure

        return traded_figure(palette, names=[row[0] for row in rows[:BARS]], values=np.array([row[3] for row in rows[:BARS]]))

    summary = f"{len(rows)} symbol{'' if len(rows) == 1 else 's'}, most in {rows[0][0]}." if rows else "Nothing has traded in this period."
    columns = ("Symbol", "Executions", "Shares", "Value", "Fees and slippage")
    return chart_answer(request, Chart(name="traded", draw=draw if rows else None, summary=summary, columns=columns, rows=rows))


@require_GET
@page
def costs_chart(request: RequestOfUser) -> HttpResponse:
    """What trading has cost since the beginning of the period."""
    sessions = _found(portfolios_chosen(request), _sessions(request)).by_session
    fees = np.cumsum([float(one.fees) for one in sessions])
    slippage = np.cumsum([float(one.slippage) for one in sessions])
    rows = [(one.session, float(one.fees), float(one.slippage), total) for one, total in zip(sessions, (fees + slippage).tolist(), strict=True)]

    def draw(palette: Palette) -> Any:
        from apps.execution.charts import costs_figure

        return costs_figure(palette, sessions=np.array([row[0] for row in rows], dtype="datetime64[D]"), fees=fees, slippage=slippage)

    summary = (
        f"{rows[-1][3]:,.2f} in {len(rows)} session{'' if len(rows) == 1 else 's'}, of it {fees[-1]:,.2f} fees."
        if rows
        else "Nothing has cost anything."
    )
    columns = ("Session", "Fees", "Slippage", "In all")
    return chart_answer(request, Chart(name="trading-costs", draw=draw if rows else None, summary=summary, columns=columns, rows=rows))


@require_GET
@page
def rebalances_chart(request: RequestOfUser) -> HttpResponse:
    """How many rebalances ended in each month, and how."""
    period = _sessions(request)
    months = rebalances_by_month([one.pk for one in portfolios_chosen(request)], since=period.first, until=period.after)
    rows = [(month, *(count[status] for status in ENDED)) for month, count in months.items()]

    def draw(palette: Palette) -> Any:
        from apps.execution.charts import rebalances_figure

        return rebalances_figure(palette, months=[f"{row[0]:%Y-%m}" for row in rows], counts=np.array([row[1:] for row in rows]), names=ENDED)

    total = sum(sum(count.values()) for count in months.values())
    summary = (
        f"{total} rebalance{'' if total == 1 else 's'} in {len(rows)} month{'' if len(rows) == 1 else 's'}." if rows else "No rebalance was executed."
    )
    columns = ("Month", *(status.title() for status in ENDED))
    return chart_answer(request, Chart(name="rebalances", draw=draw if rows else None, summary=summary, columns=columns, rows=rows))
