"""Figures of execution: arrays in, Bokeh figure out."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from apps.core.charts import Palette, desk_figure, style_legend

if TYPE_CHECKING:
    from bokeh.plotting import figure as Figure  # noqa: N812


def progress_figure(
    palette: Palette,
    *,
    planned_ts: NDArray[np.datetime64],
    planned: NDArray[np.float64],
    done_ts: NDArray[np.datetime64],
    done: NDArray[np.float64],
    quantity: float,
) -> "Figure":
    """Shares of a parent over market time: what its schedule has due (a step at each slice; empty without one) and what has traded."""
    from bokeh.models import HoverTool, NumeralTickFormatter
    from bokeh.models.annotations import Span

    plot = desk_figure(palette, height=260, label="shares")
    plot.yaxis.formatter = NumeralTickFormatter(format="0,0")
    if len(planned_ts):
        plot.step(
            _milliseconds(planned_ts), planned, mode="after", line_color=palette.second, line_width=1.5, line_dash=[5, 3], legend_label="Schedule"
        )
    line = plot.step(_milliseconds(done_ts), done, mode="after", line_color=palette.first, line_width=2, legend_label="Traded")
    plot.scatter(_milliseconds(done_ts), done, size=5, color=palette.first)
    plot.add_layout(Span(location=quantity, dimension="width", line_color=palette.line, line_width=1))
    plot.y_range.start, plot.y_range.end = 0, quantity * 1.08
    plot.add_tools(HoverTool(renderers=[line], tooltips=[("", "@x{%H:%M:%S}"), ("Shares", "@y{0,0}")], formatters={"@x": "datetime"}, mode="vline"))
    style_legend(plot, palette)
    plot.legend.location = "top_left"
    return plot


def traded_figure(palette: Palette, *, names: Sequence[str], values: NDArray[np.float64]) -> "Figure":
    """Value traded in each symbol [currency], the first on top."""
    from bokeh.models import FactorRange, HoverTool, NumeralTickFormatter

    plot = desk_figure(palette, height=max(160, 24 * len(names) + 50), label="", dates=False, y_range=FactorRange(factors=list(reversed(names))))
    plot.xaxis.formatter = NumeralTickFormatter(format="0.0a")
    bars = plot.hbar(y=list(names), right=values, height=0.66, color=palette.first)
    plot.add_tools(HoverTool(renderers=[bars], tooltips=[("@y", "@right{0,0.00}")]))
    return plot


def costs_figure(palette: Palette, *, sessions: NDArray[np.datetime64], fees: NDArray[np.float64], slippage: NDArray[np.float64]) -> "Figure":
    """Fees and slippage so far at the end of each session, and both together [currency] [T]. Positive is a cost."""
    from bokeh.models import HoverTool

    plot = desk_figure(palette, height=260, label="cost so far")
    x = _milliseconds(sessions)
    for values, colour, name, dash in (
        (fees, palette.second, "Fees", [5, 3]),
        (slippage, palette.ink_soft, "Slippage", [2, 3]),
        (fees + slippage, palette.first, "In all", []),
    ):
        line = plot.line(x, values, line_color=colour, line_width=2, line_dash=dash, legend_label=name)
        plot.scatter(x, values, size=4, color=colour)
    plot.add_tools(HoverTool(renderers=[line], tooltips=[("", "@x{%F}"), ("In all", "@y{0,0.00}")], formatters={"@x": "datetime"}, mode="vline"))
    style_legend(plot, palette)
    plot.legend.location = "top_left"
    return plot


def rebalances_figure(palette: Palette, *, months: Sequence[str], counts: NDArray[np.int64], names: Sequence[str]) -> "Figure":
    """Rebalances that ended in each month [M], by how they ended [M, len(names)]."""
    from bokeh.models import FactorRange

    plot = desk_figure(palette, height=260, label="rebalances", dates=False, x_range=FactorRange(factors=list(months)))
    data = {"month": list(months), **{name: counts[:, column].tolist() for column, name in enumerate(names)}}
    colours = [palette.up, palette.second, palette.down][: len(names)]
    plot.vbar_stack(list(names), x="month", width=0.6, color=colours, source=data, legend_label=[name.title() for name in names])
    plot.y_range.start = 0
    style_legend(plot, palette)
    plot.legend.location = "top_left"
    return plot


def _milliseconds(ts: NDArray[np.datetime64]) -> NDArray[np.int64]:
    return ts.astype("datetime64[ms]").astype(np.int64)
