"""Figures of the factors page: arrays in, Bokeh figure out."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from apps.core.charts import Palette, desk_figure, style_legend, thinned

if TYPE_CHECKING:
    from bokeh.plotting import figure as Figure  # noqa: N812

Times = NDArray[np.datetime64]
Numbers = NDArray[np.float64]


def lines_figure(palette: Palette, *, ts: Times, lines: Mapping[str, Numbers]) -> "Figure":
    """Composite scores of a few instruments over time, each line in a colour and a dash of its own."""
    from bokeh.models import HoverTool
    from bokeh.models.annotations import Span

    plot = desk_figure(palette, height=280, label="composite score")
    kept = thinned(len(ts))
    x = _milliseconds(ts)[kept].tolist()
    colours = (palette.first, palette.second, palette.up, palette.down, palette.ink_soft)
    drawn = []
    for (name, values), colour, dash in zip(lines.items(), colours, ("solid", "dashed", "dotdash", "dotted", "dashdot"), strict=False):
        y = [None if np.isnan(value) else value for value in values[kept].tolist()]
        drawn.append(plot.line(x, y, line_color=colour, line_dash=dash, line_width=1.6, legend_label=name, name=name))
    plot.add_layout(Span(location=0, dimension="width", line_color=palette.line, line_width=1))
    plot.add_tools(HoverTool(renderers=drawn, tooltips=[("", "$name"), ("", "@x{%F}"), ("Score", "@y{0.00}")], formatters={"@x": "datetime"}))
    style_legend(plot, palette)
    return plot


def ic_figure(palette: Palette, *, ts: Times, ic: Numbers, mean: Numbers) -> "Figure":
    """Information coefficient of each month as bars, its mean of twelve months as a line."""
    plot = desk_figure(palette, height=240, label="rank correlation")
    x = _milliseconds(ts)
    colours = [palette.up if value > 0 else palette.down for value in ic.tolist()]
    plot.vbar(x=x.tolist(), top=np.nan_to_num(ic).tolist(), width=20 * 86_400_000, fill_color=colours, line_color=None, fill_alpha=0.55)
    there = ~np.isnan(mean)
    plot.line(x[there].tolist(), mean[there].tolist(), line_color=palette.first, line_width=1.8, legend_label="mean of 12 months")
    style_legend(plot, palette)
    return plot


def spread_figure(palette: Palette, *, ts: Times, total: Numbers) -> "Figure":
    """What the best quantile made over the worst, added up month by month."""
    from bokeh.models import NumeralTickFormatter

    plot = desk_figure(palette, height=240, label="sum of monthly spreads")
    plot.yaxis.formatter = NumeralTickFormatter(format="0.0 %")
    plot.varea(x=_milliseconds(ts).tolist(), y1=total.tolist(), y2=0, fill_color=palette.first, fill_alpha=0.14)
    plot.line(_milliseconds(ts).tolist(), total.tolist(), line_color=palette.first, line_width=1.6)
    return plot


def _milliseconds(ts: Times) -> NDArray[np.int64]:
    return ts.astype("datetime64[ms]").astype(np.int64)
