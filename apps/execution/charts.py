"""Figures of execution: arrays in, Bokeh figure out."""

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


def _milliseconds(ts: NDArray[np.datetime64]) -> NDArray[np.int64]:
    return ts.astype("datetime64[ms]").astype(np.int64)
