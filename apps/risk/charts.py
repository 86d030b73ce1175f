"""Figures of risk: arrays in, Bokeh figure out."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from apps.core.charts import Palette, desk_figure, thinned

if TYPE_CHECKING:
    from bokeh.plotting import figure as Figure  # noqa: N812


def drawdown_figure(
    palette: Palette, *, ts: NDArray[np.datetime64], drawdown: NDArray[np.float64], soft: float | None, hard: float | None
) -> "Figure":
    """Fall from the highest value so far [fraction, <= 0] over market time, with the limit's levels as dashed lines."""
    from bokeh.models import ColumnDataSource, HoverTool, NumeralTickFormatter
    from bokeh.models.annotations import Span

    plot = desk_figure(palette, height=240, label="drawdown")
    plot.yaxis.formatter = NumeralTickFormatter(format="0.0 %")
    kept = thinned(len(ts))
    source = ColumnDataSource({"x": ts.astype("datetime64[ms]").astype(np.int64)[kept].tolist(), "y": drawdown[kept].tolist()}, name="live")
    plot.varea(x="x", y1="y", y2=0, source=source, fill_color=palette.down, fill_alpha=0.18)
    line = plot.line("x", "y", source=source, line_color=palette.down, line_width=1.5)
    for level, colour in ((soft, palette.second), (hard, palette.down)):
        if level is not None:
            plot.add_layout(Span(location=-level, dimension="width", line_color=colour, line_dash="dashed", line_width=1))
    lowest = min(float(drawdown.min()) if len(drawdown) else 0.0, -(hard or 0.0))
    plot.y_range.start, plot.y_range.end = lowest * 1.1 - 0.001, 0.002
    plot.add_tools(HoverTool(renderers=[line], tooltips=[("", "@x{%F}"), ("Drawdown", "@y{0.00 %}")], formatters={"@x": "datetime"}, mode="vline"))
    return plot
