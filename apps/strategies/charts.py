"""Figures of backtests: arrays in, Bokeh figure out."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from apps.core.charts import Palette, desk_figure, style_legend, thinned

if TYPE_CHECKING:
    from bokeh.plotting import figure as Figure  # noqa: N812


def _milliseconds(ts: NDArray[np.datetime64]) -> NDArray[np.int64]:
    return ts.astype("datetime64[ms]").astype(np.int64)


def equity_figure(palette: Palette, *, ts: NDArray[np.datetime64], value: NDArray[np.float64], initial: float) -> "Figure":
    """Value of a backtest [money] over bar time, with the initial capital as a line."""
    from bokeh.models import HoverTool, NumeralTickFormatter
    from bokeh.models.annotations import Span

    plot = desk_figure(palette, height=300, label="USD")
    plot.yaxis.formatter = NumeralTickFormatter(format="0,0")
    kept = thinned(len(ts))
    line = plot.line(_milliseconds(ts)[kept], value[kept], line_color=palette.first, line_width=2)
    plot.add_layout(Span(location=initial, dimension="width", line_color=palette.ink_soft, line_dash="dotted"))
    plot.add_tools(HoverTool(renderers=[line], tooltips=[("", "@x{%F}"), ("Value", "@y{$0,0.00}")], formatters={"@x": "datetime"}, mode="vline"))
    return plot


def drawdown_figure(palette: Palette, *, ts: NDArray[np.datetime64], drawdown: NDArray[np.float64]) -> "Figure":
    """Fall from the highest value so far [fraction, <= 0] over bar time."""
    from bokeh.models import HoverTool, NumeralTickFormatter

    plot = desk_figure(palette, height=200, label="drawdown")
    plot.yaxis.formatter = NumeralTickFormatter(format="0 %")
    kept = thinned(len(ts))
    x = _milliseconds(ts)[kept]
    plot.varea(x=x, y1=drawdown[kept], y2=np.zeros(len(kept)), fill_color=palette.down, fill_alpha=0.2)
    line = plot.line(x, drawdown[kept], line_color=palette.down, line_width=1.2)
    plot.add_tools(HoverTool(renderers=[line], tooltips=[("", "@x{%F}"), ("Drawdown", "@y{0.00 %}")], formatters={"@x": "datetime"}, mode="vline"))
    return plot


def price_figure(
    palette: Palette,
    *,
    symbol: str,
    ts: NDArray[np.datetime64],
    close: NDArray[np.float64],
    buys: tuple[NDArray[np.datetime64], NDArray[np.float64]],
    sells: tuple[NDArray[np.datetime64], NDArray[np.float64]],
) -> "Figure":
    """Closes of one instrument with the backtest's buys (triangles up, below) and sells (triangles down, above) at their prices."""
    from bokeh.models import HoverTool

    plot = desk_figure(palette, height=300, label=f"{symbol}, USD")
    kept = thinned(len(ts))
    line = plot.line(_milliseconds(ts)[kept], close[kept], line_color=palette.ink_soft, line_width=1.2, legend_label=symbol)
    for (when, price), marker, colour, label in ((buys, "triangle", palette.up, "Buy"), (sells, "inverted_triangle", palette.down, "Sell")):
        if len(when):
            plot.scatter(_milliseconds(when), price, marker=marker, size=9, fill_color=colour, line_color=palette.surface, legend_label=label)
    plot.add_tools(HoverTool(renderers=[line], tooltips=[("", "@x{%F}"), ("Close", "@y{0.00}")], formatters={"@x": "datetime"}, mode="vline"))
    style_legend(plot, palette)
    return plot
