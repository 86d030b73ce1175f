"""The charts of the factors page."""

from typing import Any

import numpy as np
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from apps.core.charts import MINUS, Chart, Palette, bands_figure, chart_answer, grid_figure, percent_text
from apps.core.clock import now
from apps.core.errors import InvalidInput
from apps.core.pages import RequestOfUser, page
from apps.marketdata.domain.cross_section import mean_and_t, trailing_mean
from apps.marketdata.domain.factors import FACTORS
from apps.marketdata.domain.vix import BANDS, vix_regime
from apps.marketdata.pages.factors import MOST_LINES, TITLES, asked_for
from apps.marketdata.selectors.factor_analysis import factor_correlations, factor_foretelling
from apps.marketdata.selectors.factors import factor_scores, score_panel
from apps.marketdata.selectors.vix import vix_shown

TOP = 50
MONTHS = 12
TOO_FEW = "There are not yet two months of scores with returns after them."


@require_GET
@page
def heatmap_chart(request: RequestOfUser) -> HttpResponse:
    """The best fifty by their scores."""
    asked = asked_for(request)
    rows = [row for row in (factor_scores(asked.universe, asked.shown.day) if asked.shown.day else []) if row.rank is not None][:TOP]
    names = (*FACTORS, "composite")
    table = [(row.ticker, *(getattr(row, name) for name in names)) for row in rows]
    if not rows:
        return chart_answer(request, Chart(name="factor-heatmap", draw=None, summary="No instrument is scored."))

    def draw(palette: Palette) -> Any:
        values = np.array([[np.nan if number is None else number for number in line[1:]] for line in table], float)
        headings = [TITLES[name] for name in names]
        return grid_figure(palette, values=values, rows=[line[0] for line in table], columns=headings, most=2.0, places=2, what="Score")

    best = f"{rows[0].ticker} ranks first with {rows[0].composite:.2f}" + (f", {rows[-1].ticker} last of those shown" if len(rows) > 1 else "")
    columns = ("Ticker", *(TITLES[name] for name in names))
    return chart_answer(request, Chart(name="factor-heatmap", draw=draw, summary=f"Scores of {rows[0].date}: {best}", columns=columns, rows=table))


@require_GET
@page
def history_chart(request: RequestOfUser) -> HttpResponse:
    """Composite scores of up to five instruments over time."""
    asked = asked_for(request)
    panel = score_panel(asked.universe, names=("composite",), end=asked.shown.day) if asked.shown.day else None
    wanted = [ticker for ticker in dict.fromkeys(request.GET.getlist("ticker")) if panel is not None and ticker in panel.symbols][:MOST_LINES]
    if panel is None or not wanted:
        return chart_answer(request, Chart(name="factor-history", draw=None, summary="Choose instruments that have scores."))
    lines = {ticker: panel.scores["composite"][:, panel.symbols.index(ticker)] for ticker in wanted}

    def draw(palette: Palette) -> Any:
        from apps.marketdata.charts.factors import lines_figure

        return lines_figure(palette, ts=panel.ts, lines=lines)

    days = panel.ts.astype("datetime64[D]").tolist()
    rows = [(day, *(float(values[at]) for values in lines.values())) for at, day in enumerate(days)]
    latest = ", ".join(f"{ticker} {values[-1]:.2f}" for ticker, values in lines.items())
    return chart_answer(
        request, Chart(name="factor-history", draw=draw, summary=f"Composite on {days[-1]}: {latest}", columns=("Date", *wanted), rows=rows)
    )


@require_GET
@page
def correlation_chart(request: RequestOfUser) -> HttpResponse:
    """How much the factors say the same."""
    asked = asked_for(request)
    if asked.shown.day is None:
        return chart_answer(request, Chart(name="factor-correlation", draw=None, summary="No instrument is scored."))
    values = factor_correlations(asked.universe, asked.shown.day)
    names = [TITLES[name] for name in FACTORS]

    def draw(palette: Palette) -> Any:
        return grid_figure(palette, values=values, rows=names, columns=names, most=1.0, places=2, what="Correlation")

    rows = [(name, *values[at].tolist()) for at, name in enumerate(names)]
    summary = "Correlation of scores over all instruments and dates of five years. Far from 0, two factors say the same, or the opposite"
    return chart_answer(request, Chart(name="factor-correlation", draw=draw, summary=summary, columns=("Factor", *names), rows=rows))


@require_GET
@page
def ic_chart(request: RequestOfUser) -> HttpResponse:
    """Rank correlation of scores with the returns of the month after."""
    asked, factor = asked_for(request), _factor(request)
    found = factor_foretelling(asked.universe, asked.shown.day, factor) if asked.shown.day else None
    there = found is not None and bool((~np.isnan(found.ic)).sum() >= 2)
    if found is None or not there:
        return chart_answer(request, Chart(name="factor-ic", draw=None, summary=TOO_FEW))
    ic = found.ic
    mean = trailing_mean(ic, MONTHS)

    def draw(palette: Palette) -> Any:
        from apps.marketdata.charts.factors import ic_figure

        return ic_figure(palette, ts=found.ts, ic=ic, mean=mean)

    known = ic[~np.isnan(ic)]
    average, t = mean_and_t(ic)
    summary = f"{TITLES[factor]}: mean {average:.3f} over {len(known)} months, t {t:.2f}, above 0 in {100 * (known > 0).mean():.0f} % of them"
    rows = list(zip(found.ts.astype("datetime64[D]").tolist(), ic.tolist(), mean.tolist(), strict=True))
    columns = ("Scores of", "IC", "Mean of 12 months")
    return chart_answer(request, Chart(name="factor-ic", draw=draw, summary=summary.replace("-", MINUS), columns=columns, rows=rows))


@require_GET
@page
def spread_chart(request: RequestOfUser) -> HttpResponse:
    """Returns of the best quantile less those of the worst."""
    asked, factor = asked_for(request), _factor(request)
    found = factor_foretelling(asked.universe, asked.shown.day, factor) if asked.shown.day else None
    if found is None or not (~np.isnan(found.spread)).any():
        return chart_answer(request, Chart(name="factor-spread", draw=None, summary=TOO_FEW))
    total = np.cumsum(np.nan_to_num(found.spread))

    def draw(palette: Palette) -> Any:
        from apps.marketdata.charts.factors import spread_figure

        return spread_figure(palette, ts=found.ts, total=total)

    part = {10: "tenth", 2: "half"}.get(found.quantiles, f"1/{found.quantiles}")
    average, _ = mean_and_t(found.spread)
    summary = f"{TITLES[factor]}: the best {part} made {percent_text(average)} a month over the worst, {percent_text(total[-1])} in all"
    rows = list(zip(found.ts.astype("datetime64[D]").tolist(), found.spread.tolist(), total.tolist(), strict=True))
    columns = ("Scores of", "Spread of the next month", "Sum")
    return chart_answer(request, Chart(name="factor-spread", draw=draw, summary=summary, columns=columns, rows=rows))


@require_GET
@page
def vix_chart(request: RequestOfUser) -> HttpResponse:
    """The volatility index and its regimes."""
    series, visible = vix_shown(now())
    if series is None or not len(series):
        return chart_answer(request, Chart(name="vix", draw=None, summary="The desk has no closes of the VIX."))

    def draw(palette: Palette) -> Any:
        return bands_figure(palette, ts=series.ts, level=series.close, bands=BANDS, what="VIX")

    days, last = series.ts.astype("datetime64[D]").tolist(), float(series.close[-1])
    note = "" if visible else ". The market's time is before the first of these closes: strategies cannot see them"
    rows = [(day, value, vix_regime(value)) for day, value in zip(days, series.close.tolist(), strict=True)]
    summary = f"{last:.2f} on {days[-1]}: {vix_regime(last)}{note}"
    return chart_answer(request, Chart(name="vix", draw=draw, summary=summary, columns=("Date", "Close", "Regime"), rows=rows))


def _factor(request: HttpRequest) -> str:
    factor = request.GET.get("factor", "composite")
    if factor not in TITLES:
        raise InvalidInput(f"{factor!r} is none of {', '.join(TITLES)}", field="factor")
    return factor
