"""The price chart of an instrument: candles, volume, indicators over the price and in panes below, corporate actions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from apps.core.charts import Palette, desk_figure, style_legend

#: Right border of every pane in pixels, so that their x axes lie under one another.
BORDER = 64
#: Days, hours and minutes of an x label by whether bars are shorter than a day.
LABELS = {True: "%m-%d %H:%M", False: "%Y-%m-%d"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of an indicator: its column in the source, its legend, the pane ("" is the price), and how it is drawn.

    `band`: of one colour with its neighbours, dashed in the middle. `levels` are drawn as thin lines over the pane.
    """

    key: str
    label: str
    pane: str
    style: str = "line"
    levels: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A corporate action at the bar with this index; `text` says which."""

    index: int
    text: str
    kind: str


def candle_figure(palette: Palette, *, columns: dict[str, list[Any]], lines: Sequence[Line], marks: Sequence[Mark], label: str) -> Any:
    """Panes one above the other over the number of the bar, so that nights and weekends take no room. `columns` as `chart_columns` gives them.

    A rising candle is hollow and a falling one full: colour is not the only sign. The source "live" grows by streaming.
    """
    from bokeh.layouts import column
    from bokeh.models import ColumnDataSource

    source = ColumnDataSource(data=dict[str, Any](columns), name="live")
    length = len(columns["x"])
    price = _pane(palette, 380, label, None, length)
    _candles(price, source)
    _marks(palette, price, columns, marks)
    volume = _pane(palette, 90, "volume", price.x_range, length)
    volume.vbar(x="x", top="volume", width=0.7, source=source, fill_color="colour", line_color=None, fill_alpha=0.55)
    panes = [price, volume]
    colours = _colours(palette, lines)
    for pane in dict.fromkeys(line.pane for line in lines):
        plot = price if pane == "" else _pane(palette, 120, pane, price.x_range, length)
        for line in (one for one in lines if one.pane == pane):
            _line(palette, plot, source, line, colours)
        if pane:
            panes.append(plot)
    _finish(palette, panes, columns["label"], lines)
    return column(*panes, sizing_mode="stretch_width", name="candles")


def _pane(palette: Palette, height: int, label: str, x_range: Any, length: int) -> Any:
    from bokeh.models import DataRange1d, NumeralTickFormatter, Range1d, WheelZoomTool

    options: dict[str, Any] = {"x_range": x_range or Range1d(start=-1, end=length + 1), "y_range": DataRange1d(), "window_axis": "x"}
    plot = desk_figure(palette, height=height, label=label, dates=False, **options)
    plot.min_border_right, plot.min_border_left = BORDER, 8
    plot.yaxis.formatter = NumeralTickFormatter(format="0.[00]a" if label == "volume" else "0,0.[00]")
    plot.yaxis.ticker.desired_num_ticks = 6 if x_range is None else 3
    plot.add_tools(WheelZoomTool(dimensions="width", modifiers={"ctrl": True}))
    plot.toolbar.active_scroll = None
    return plot


def _candles(plot: Any, source: Any) -> None:
    plot.segment(x0="x", y0="high", x1="x", y1="low", source=source, line_color="colour", line_width=1)
    plot.vbar(x="x", top="open", bottom="close", width=0.7, source=source, fill_color="body", line_color="colour", line_width=1, name="bodies")


def _line(palette: Palette, plot: Any, source: Any, line: Line, colours: dict[str, str]) -> None:
    from bokeh.models.annotations import Span

    if line.style == "histogram":
        plot.vbar(x="x", top=line.key, width=0.6, source=source, fill_color=palette.ink_soft, line_color=None, fill_alpha=0.5)
        return
    dash = "dashed" if line.style == "middle" else "solid"
    plot.line("x", line.key, source=source, line_color=colours[line.key], line_width=1.4, line_dash=dash, legend_label=line.label)
    for level in line.levels:
        plot.add_layout(Span(location=level, dimension="width", line_color=palette.line, line_width=1))


def _marks(palette: Palette, plot: Any, columns: dict[str, list[Any]], marks: Sequence[Mark]) -> None:
    from bokeh.models import ColumnDataSource, HoverTool

    if not marks:
        return
    low = [columns["low"][mark.index] * 0.97 for mark in marks]
    data: dict[str, Any] = {"x": [mark.index for mark in marks], "y": low, "text": [mark.text for mark in marks]}
    drawn = plot.scatter(
        "x", "y", source=ColumnDataSource(data=data), marker="diamond", size=10, fill_color=palette.second, line_color=palette.surface, name="actions"
    )
    plot.add_tools(HoverTool(renderers=[drawn], tooltips=[("", "@text")]))


def _colours(palette: Palette, lines: Sequence[Line]) -> dict[str, str]:
    """A colour for each line, told apart in both themes; the lines of one band share theirs."""
    dark = palette.surface < "#800000"
    wheel = (palette.first, palette.second, *(("#c792ea", "#5ad1e6", "#d4a5a5") if dark else ("#7b3fb5", "#0b7285", "#8a4b4b")))
    groups: dict[str, int] = {}
    for line in lines:
        groups.setdefault(_group(line), len(groups))
    return {line.key: wheel[groups[_group(line)] % len(wheel)] for line in lines}


def _group(line: Line) -> str:
    return line.key.partition("_")[0] if line.style in ("band", "middle") else line.key


def _finish(palette: Palette, panes: Sequence[Any], labels: Sequence[str], lines: Sequence[Line]) -> None:
    """Dates under the lowest pane, one legend a pane, one tooltip for all that stands on a bar."""
    from bokeh.models import HoverTool
    from bokeh.models.annotations import Span
    from bokeh.models.tickers import AdaptiveTicker

    rows = [("", "@label"), ("O", "@open{0,0.00##}"), ("H", "@high{0,0.00##}"), ("L", "@low{0,0.00##}"), ("C", "@close{0,0.00##}")]
    rows += [("Volume", "@volume{0,0}"), *((line.label, f"@{line.key}{{0,0.00##}}") for line in lines)]
    panes[0].add_tools(HoverTool(renderers=panes[0].select(name="bodies"), tooltips=rows, mode="vline", attachment="horizontal"))
    panes[0].add_layout(Span(dimension="width", line_color=palette.ink_soft, line_dash="dotted", line_width=1, name="last", visible=False))
    for plot in panes:
        plot.xaxis.ticker = AdaptiveTicker(min_interval=1, mantissas=[1, 2, 5], desired_num_ticks=4, num_minor_ticks=0)
        plot.xaxis.visible = plot is panes[-1]
        style_legend(plot, palette)
    axis = panes[-1].xaxis[0]
    axis.name = "bars"
    axis.major_label_overrides = dict(enumerate(labels))


def chart_columns(bars: Any, lines: dict[str, np.ndarray], palette: Palette, *, intraday: bool) -> dict[str, list[Any]]:
    """Columns of the source: x (number of the bar), ts (milliseconds), label, the five numbers, colours, and each line by its key."""
    moments = bars.ts.astype("datetime64[s]").astype(object)
    rising = bars.close >= bars.open
    columns: dict[str, list[Any]] = {
        "x": list(range(len(bars))),
        "ts": bars.ts.astype("datetime64[ms]").astype(np.int64).tolist(),
        "label": [moment.strftime(LABELS[intraday]) for moment in moments],
        "colour": np.where(rising, palette.up, palette.down).tolist(),
        "body": np.where(rising, palette.surface, palette.down).tolist(),
    }
    values = {name: getattr(bars, name) for name in ("open", "high", "low", "close", "volume")} | lines
    return columns | {name: [None if np.isnan(value) else value for value in series.tolist()] for name, series in values.items()}
