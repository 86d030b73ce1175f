"""Charts as the desk shows them: a Bokeh figure in the desk's look, a sentence that says what it shows, and the numbers behind it.

An app's `charts.py` draws figures from arrays; its `pages.py` answers a chart's address with `chart_answer`. Bokeh is imported
only when something is drawn.
"""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from django.http import HttpRequest, HttpResponse, JsonResponse

from apps.core.documents import plain

if TYPE_CHECKING:
    from bokeh.plotting import figure as Figure  # noqa: N812

#: More points than this freeze a page; longer series are thinned for drawing, never in the CSV.
MOST_POINTS = 5000
TABLE_ROWS = 250
SHADES = 64
ROW_HEIGHT = 17
MINUS = "\N{MINUS SIGN}"
#: First characters by which a spreadsheet takes text for a formula.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True, kw_only=True)
class Palette:
    """Colours of a theme, the same as in static/css/tokens.css."""

    surface: str
    ink: str
    ink_soft: str
    line: str
    first: str
    second: str
    up: str
    down: str


LIGHT = Palette(surface="#ffffff", ink="#16202d", ink_soft="#55616f", line="#dbe1e8", first="#1f55c9", second="#a45f00", up="#08713c", down="#b91f36")
DARK = Palette(surface="#141b25", ink="#e4eaf2", ink_soft="#9aa9bb", line="#263242", first="#7fabff", second="#f0b75a", up="#45d093", down="#ff7d8b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """`draw` makes the figure in a palette, None when there is nothing to draw; then `summary` says why.

    `rows` are the numbers in full; the page shows the last of them as a table, the CSV has them all.
    """

    name: str
    draw: "Callable[[Palette], Figure] | None"
    summary: str
    columns: tuple[str, ...] = ()
    rows: Sequence[Sequence[object]] = ()


def chart_answer(request: HttpRequest, chart: Chart) -> HttpResponse:
    """JSON for `charts.js`: the figure as Bokeh's json_item in the theme asked for (`theme=dark`), summary and table; CSV with `format=csv`."""
    if request.GET.get("format") == "csv":
        return csv_answer(chart.name, chart.columns, chart.rows)
    palette = DARK if request.GET.get("theme") == "dark" else LIGHT
    item = None
    if chart.draw is not None:
        from bokeh.embed import json_item

        item = json_item(chart.draw(palette))
    shown = [[_cell(value) for value in row] for row in chart.rows[-TABLE_ROWS:]]
    return JsonResponse({"item": item, "summary": chart.summary, "table": {"columns": chart.columns, "rows": shown}})


def csv_answer(name: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> HttpResponse:
    """A CSV file: UTF-8 with BOM, ISO times, raw numbers; text that a spreadsheet would run as a formula is quoted by an apostrophe."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows([_inert(plain(value)) for value in row] for row in rows)
    response = HttpResponse("\ufeff" + text.getvalue(), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    return response


def _inert(value: object) -> object:
    if not isinstance(value, str) or not value.startswith(FORMULA_STARTS):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value


def _cell(value: object) -> str:
    if value is None or (isinstance(value, float) and not np.isfinite(value)):
        return "—"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float | np.floating):
        return f"{value:,.4f}".replace("-", MINUS)
    return str(plain(value)).replace("-", MINUS) if isinstance(value, int) else str(plain(value))


def percent_text(fraction: float) -> str:
    """0.124 gives "+12.4 %", with a real minus sign."""
    return f"{fraction * 100:+.1f} %".replace("-", MINUS)


def thinned(length: int, most: int = MOST_POINTS) -> np.ndarray:
    """Indices of at most `most` + 1 of `length` points, evenly spaced, the last one always among them."""
    if length <= most:
        return np.arange(length)
    return np.unique(np.append(np.arange(0, length, -(-length // most)), length - 1))


def desk_figure(palette: Palette, *, height: int, label: str, dates: bool = True, **options: Any) -> Any:
    """An empty Bokeh figure in the desk's look: quiet grid, numbers at the right, pan and zoom on the x axis, no logo.

    Typed Any: the ranges, tickers and glyphs of a figure take more than Bokeh's stubs know.
    """
    from bokeh.models import CrosshairTool, NoOverlap
    from bokeh.plotting import figure

    plot: Any = figure(
        height=height,
        sizing_mode="stretch_width",
        x_axis_type="datetime" if dates else "auto",
        y_axis_location="right",
        tools="xpan,reset",
        toolbar_location=None,
        active_drag="xpan",
        background_fill_color=palette.surface,
        border_fill_color=palette.surface,
        outline_line_color=None,
        min_border=4,
        **options,
    )
    plot.add_tools(CrosshairTool(line_color=palette.ink_soft, line_alpha=0.5, dimensions="height"))
    for axis in plot.axis:
        axis.axis_line_color = palette.line
        axis.major_tick_line_color = palette.line
        axis.minor_tick_line_color = None
        axis.major_label_text_color = palette.ink_soft
        axis.major_label_text_font_size = "11px"
        axis.axis_label_text_color = palette.ink_soft
        axis.axis_label_text_font_style = "normal"
        axis.axis_label_text_font_size = "11px"
    plot.xaxis.major_label_policy = NoOverlap(min_distance=8)  # on a phone fewer labels, and all of them readable
    plot.yaxis.axis_label = label
    if dates:
        plot.xaxis.ticker.desired_num_ticks = 5  # more would overlap on a phone
    plot.grid.grid_line_color = palette.line
    plot.grid.grid_line_alpha = 0.7
    plot.xgrid.grid_line_color = None
    return plot


def style_legend(plot: Any, palette: Palette) -> None:
    """Put the legend inside, at the upper left, without a box."""
    for legend in plot.legend:
        legend.location = "top_left"
        legend.orientation = "horizontal"
        legend.background_fill_alpha = 0.0
        legend.border_line_color = None
        legend.label_text_color = palette.ink
        legend.label_text_font_size = "11px"
        legend.click_policy = "hide"
        legend.padding = 4
        legend.margin = 0


def bands_figure(palette: Palette, *, ts: np.ndarray, level: np.ndarray, bands: Sequence[tuple[str, float]], what: str) -> Any:
    """A level over four bands (label, floor; the lowest first), which are shaded from green to red; `what` says what it is the level of."""
    from bokeh.models import HoverTool
    from bokeh.models.annotations import BoxAnnotation, Label

    plot = desk_figure(palette, height=260, label="index level")
    kept = thinned(len(ts))
    x = ts.astype("datetime64[ms]").astype(np.int64)[kept]
    highest = max(float(level.max()) * 1.08, bands[-1][1] + 5)
    tops = [floor for _, floor in bands[1:]] + [highest]
    for (label, floor), top, colour in zip(bands, tops, (palette.up, palette.first, palette.second, palette.down), strict=True):
        plot.add_layout(BoxAnnotation(bottom=floor, top=top, fill_color=colour, fill_alpha=0.09, line_color=None))
        plot.add_layout(Label(x=int(x[0]), y=floor, text=label, text_font_size="10px", text_color=palette.ink_soft, x_offset=4, y_offset=1))
    line = plot.line(x.tolist(), level[kept].tolist(), line_color=palette.ink, line_width=1.4)
    plot.y_range.start, plot.y_range.end = 5, highest
    plot.add_tools(HoverTool(renderers=[line], tooltips=[("", "@x{%F}"), (what, "@y{0.00}")], formatters={"@x": "datetime"}, mode="vline"))
    return plot


def grid_figure(palette: Palette, *, values: np.ndarray, rows: Sequence[str], columns: Sequence[str], most: float, places: int, what: str) -> Any:
    """A table of numbers as colours from -most (red) over 0 to +most (green), with the numbers [R, C] written in; `what` says what they are."""
    from bokeh.models import ColumnDataSource, HoverTool, LinearColorMapper

    ranges = {"x_range": list(columns), "y_range": list(reversed(rows)), "x_axis_location": "above"}
    plot = desk_figure(palette, height=len(rows) * ROW_HEIGHT + 40, label="", dates=False, **ranges)
    plot.grid.grid_line_color = None
    plot.yaxis.axis_label = None
    at = [(row, column) for row in range(len(rows)) for column in range(len(columns))]
    numbers = [float(values[row, column]) for row, column in at]
    source = ColumnDataSource(
        {
            "row": [rows[row] for row, _ in at],
            "column": [columns[column] for _, column in at],
            "value": [None if np.isnan(number) else number for number in numbers],
            "text": ["—" if np.isnan(number) else f"{number:.{places}f}".replace("-", "\N{MINUS SIGN}") for number in numbers],
        }
    )
    mapper = LinearColorMapper(palette=diverging(palette), low=-most, high=most, nan_color=palette.line)
    cells = plot.rect("column", "row", width=0.96, height=0.92, source=source, fill_color={"field": "value", "transform": mapper}, line_color=None)
    plot.text("column", "row", text="text", source=source, text_color=palette.ink, text_font_size="11px", text_align="center", text_baseline="middle")
    plot.add_tools(HoverTool(renderers=[cells], tooltips=[("", "@row, @column"), (what, "@text")]))
    return plot


def diverging(palette: Palette) -> list[str]:
    """Colours from the palette's red over its surface to its green, muted so that text stays readable on them."""
    half = SHADES // 2
    ends = [_mixed(palette.surface, colour, 0.62) for colour in (palette.down, palette.up)]
    return [_mixed(ends[0], palette.surface, n / half) for n in range(half)] + [_mixed(palette.surface, ends[1], n / half) for n in range(half)]


def _mixed(first: str, second: str, share: float) -> str:
    one, other = (np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) for colour in (first, second))
    mixed: Any = np.rint(one + (other - one) * share).astype(int)
    return "#" + "".join(f"{part:02x}" for part in mixed)
