"""Pages of instruments: the list with its search, and one instrument with its chart."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

import numpy as np
from django.core.paginator import Paginator
from django.http import HttpResponse, JsonResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET

from apps.core.charts import DARK, LIGHT, Chart, Palette, chart_answer, percent_text
from apps.core.clock import now
from apps.core.documents import plain
from apps.core.errors import InvalidInput
from apps.core.pages import RequestOfUser, page
from apps.marketdata.domain.adjustment import Adjustment
from apps.marketdata.domain.indicators import indicators
from apps.marketdata.domain.screening import Term, term_parse
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.models import AssetClass, Instrument
from apps.marketdata.selectors.corporate_actions import actions_of
from apps.marketdata.selectors.instruments import instrument_get, instruments_matching
from apps.marketdata.selectors.market import market_clock
from apps.marketdata.selectors.price_chart import RANGES, ChartRequest, PriceChart, price_chart, timeframes_shown, timeframes_stored
from apps.marketdata.selectors.quarantine import quarantines_open
from apps.marketdata.selectors.quotes import latest_quotes
from apps.marketdata.selectors.watchlists import watched_rows, watchlists_visible

PAGE = 50
TAIL = 3
#: A few days of daily bars are no chart.
SHORT_RANGES = ("1d", "5d")
#: How lines of these names are drawn, and the levels that people look at.
STYLES = {"histogram": "histogram", "upper": "band", "middle": "middle", "lower": "band"}
LEVELS = {"rsi": (30.0, 70.0), "stoch": (20.0, 80.0), "stochrsi": (20.0, 80.0), "mfi": (20.0, 80.0), "willr": (-80.0, -20.0), "adx": (25.0,)}
ADJUSTMENTS = ((Adjustment.NONE, "As traded"), (Adjustment.SPLIT, "Splits"), (Adjustment.TOTAL_RETURN, "Total return"))


@require_GET
@page
def instrument_list(request: RequestOfUser) -> HttpResponse:
    """All instruments with prices, by search and class."""
    search, chosen = request.GET.get("search", "").strip(), request.GET.get("class", "")
    rows = instruments_matching(search) if search else Instrument.objects.order_by("symbol")
    if chosen in AssetClass.values:
        rows = rows.filter(asset_class=chosen)
    shown = Paginator(rows, PAGE).get_page(request.GET.get("page"))
    context = {
        "page": shown,
        "rows": watched_rows(list(shown), market=market_clock(now())),
        "search": search,
        "chosen": chosen,
        "classes": AssetClass.choices,
    }
    return render(request, "marketdata/instruments.html", context)


@require_GET
@page
def instrument_detail(request: RequestOfUser, symbol: str) -> HttpResponse:
    """One instrument: price now, chart, what the company did, and where to go from here."""
    instrument = instrument_get(symbol)
    stored = timeframes_stored(instrument)
    available = timeframes_shown(stored)
    error = ""
    if "add" in request.GET:
        try:
            return redirect(_with_indicator(request, str(term_parse(request.GET["add"]))))
        except InvalidInput as refusal:
            error = refusal.detail
    asked = _asked(request, instrument, available)
    market = market_clock(now())
    (row,) = watched_rows([instrument], market=market)
    context = {
        "instrument": instrument,
        "row": row,
        "quote": latest_quotes([symbol]).get(symbol),
        "market": market,
        "asked": asked,
        "error": error,
        "wrong": request.GET.get("add", ""),
        "timeframes": available,
        "stored": stored,
        "made": [one for one in available if one not in stored],
        "ranges": tuple(span for span in RANGES if asked.timeframe.is_intraday or span not in SHORT_RANGES),
        "adjustments": ADJUSTMENTS,
        "chips": [(str(term), _without(request, at)) for at, term in enumerate(asked.terms)],
        "known": [item for item in indicators().values() if "benchmark" not in item.columns],
        "chart_url": f"{reverse('chart-instrument', args=[symbol])}?{_parameters(asked)}",
        "actions": [one for one in actions_of(symbol=symbol) if one.ex_date <= market.market_time.date()][:PAGE],
        "quarantines": quarantines_open([symbol]).get(symbol, ()),
        "watchlists": [one for one in watchlists_visible(request.user) if one.owner_id == request.user.pk],
    }
    return render(request, "marketdata/instrument.html", context)


@require_GET
@page
def instrument_chart(request: RequestOfUser, symbol: str) -> HttpResponse:
    """The chart's figure; with `tail` only its newest rows, for a chart that is on the screen already."""
    instrument = instrument_get(symbol)
    asked = _asked(request, instrument, timeframes_shown(timeframes_stored(instrument)))
    chart = price_chart(asked, instrument, now=now())
    if request.GET.get("tail"):
        return JsonResponse(_tail(chart, DARK if request.GET.get("theme") == "dark" else LIGHT))
    return chart_answer(request, _chart(chart))


def _asked(request: RequestOfUser, instrument: Instrument, available: Sequence[Timeframe]) -> ChartRequest:
    """What the address asks for. Raises InvalidInput for what it cannot mean."""
    preferred = Timeframe.DAY if Timeframe.DAY in available or not available else available[0]
    timeframe = Timeframe.parse(request.GET["timeframe"]) if "timeframe" in request.GET else preferred
    return ChartRequest(
        symbol=instrument.symbol,
        timeframe=timeframe,
        span=request.GET.get("range", "5d" if timeframe.is_intraday else "1y"),
        adjustment=Adjustment.parse(request.GET.get("adjustment", Adjustment.SPLIT)),
        terms=_terms(request.GET),
    )


def _terms(given: QueryDict) -> tuple[Term, ...]:
    texts = given.getlist("i") if "i" in given else ["sma(20)", "sma(50)"]
    return tuple({str(term): term for term in (term_parse(text, field="i") for text in texts if text)}.values())


def _parameters(asked: ChartRequest) -> str:
    """The address's parameters in full."""
    chosen = [("timeframe", asked.timeframe.code), ("range", asked.span), ("adjustment", asked.adjustment.value)]
    return urlencode(chosen + ([("i", str(term)) for term in asked.terms] or [("i", "")]))


def _with_indicator(request: RequestOfUser, text: str) -> str:
    query = request.GET.copy()
    query.pop("add")
    query.setlist("i", [*(str(term) for term in _terms(request.GET)), text])
    return f"{request.path}?{query.urlencode()}"


def _without(request: RequestOfUser, place: int) -> str:
    query = request.GET.copy()
    query.pop("add", None)
    left = [str(term) for at, term in enumerate(_terms(request.GET)) if at != place]
    query.setlist("i", left or [""])
    return f"{request.path}?{query.urlencode()}"


def _lines(chart: PriceChart) -> tuple[list[Any], dict[str, np.ndarray]]:
    """The lines to draw, and their values by key."""
    from apps.marketdata.charts.instrument import Line

    lines, values = [], {}
    for at, drawn in enumerate(chart.drawn):
        for name, series in drawn.lines.items():
            key = f"i{at}_{name}"
            several = len(drawn.lines) > 1
            pane = "" if drawn.overlay else str(drawn.term)
            label = f"{drawn.term} {name}" if several else str(drawn.term)
            lines.append(Line(key=key, label=label, pane=pane, style=STYLES.get(name, "line"), levels=LEVELS.get(drawn.term.indicator, ())))
            values[key] = series
    return lines, values


def _chart(chart: PriceChart) -> Chart:
    asked, bars = chart.request, chart.bars
    name = f"{asked.symbol}-{asked.timeframe.code}"
    if not len(bars):
        return Chart(
            name=name, draw=None, summary=f"No bars of {asked.timeframe.code} are stored for {asked.symbol} in this range, and none to make them of."
        )
    lines, values = _lines(chart)

    def draw(palette: Palette) -> Any:
        from apps.marketdata.charts.instrument import Mark, candle_figure, chart_columns

        columns = chart_columns(bars, values, palette, intraday=asked.timeframe.is_intraday)
        days = bars.ts.astype("datetime64[D]")
        marks = [
            Mark(index=min(int(np.searchsorted(days, np.datetime64(one.ex_date))), len(bars) - 1), text=_action(one), kind=one.kind.value)
            for one in chart.actions
        ]
        return candle_figure(palette, columns=columns, lines=lines, marks=marks, label=chart.instrument.currency)

    moments = [moment.item() for moment in bars.ts.astype("datetime64[us]")]
    rows = list(
        zip(moments, *(column.tolist() for column in (bars.open, bars.high, bars.low, bars.close, bars.volume, *values.values())), strict=True)
    )
    head = ("Bar (UTC)", "Open", "High", "Low", "Close", "Volume", *(line.label for line in lines))
    return Chart(name=name, draw=draw, summary=_summary(chart), columns=head, rows=rows)


def _summary(chart: PriceChart) -> str:
    bars, asked = chart.bars, chart.request
    change = percent_text(bars.close[-1] / bars.close[0] - 1)
    words = dict(ADJUSTMENTS)[asked.adjustment].lower()
    said = (
        f"{len(bars)} bars of {asked.timeframe.code} from {bars.ts[0].astype('datetime64[D]')} to {bars.ts[-1].astype('datetime64[D]')} ({words}): "
    )
    said += f"{change}, high {bars.high.max():,.2f}, low {bars.low.min():,.2f}"
    said += f"; {len(chart.actions)} corporate actions" if chart.actions else ""
    said += "; the last bar is not finished" if chart.forming else ""
    return said + ("; only the newest bars of the range are drawn" if chart.cut else "")


def _action(one: Any) -> str:
    amount = f"{one.value.normalize():f}"
    return f"{one.ex_date} {one.kind.value} {amount}"


def _tail(chart: PriceChart, palette: Palette) -> dict[str, Any]:
    """The newest rows column by column, and until when the last one is being made (milliseconds, null when it is finished)."""
    from apps.marketdata.charts.instrument import chart_columns

    _, values = _lines(chart)
    columns = chart_columns(chart.bars, values, palette, intraday=chart.request.timeframe.is_intraday)
    newest = {name: series[-TAIL:] for name, series in columns.items() if name != "x"}
    return {"columns": plain(newest), "ends": None if chart.forming is None else int(chart.forming.ends.timestamp() * 1000)}
