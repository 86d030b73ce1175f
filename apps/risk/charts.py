"""Figures of risk: arrays in, Bokeh figure out."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from apps.core.charts import Palette, desk_figure, grid_figure, style_legend, thinned

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


def correlation_figure(palette: Palette, *, matrix: NDArray[np.float64], symbols: Sequence[str], clusters: Sequence[int]) -> Any:
    """Correlations [K, K] as colours with the numbers in them; `clusters` [K] numbers the groups of neighbours, which are framed."""
    plot = grid_figure(palette, values=matrix, rows=symbols, columns=symbols, most=1.0, places=2, what="Correlation")
    for number in sorted(set(clusters)):
        group = [symbol for symbol, its in zip(symbols, clusters, strict=True) if its == number]
        first, last = group[0], group[-1]
        plot.quad(
            left=[(first, -0.5)], right=[(last, 0.5)], top=[(first, 0.5)], bottom=[(last, -0.5)], fill_alpha=0, line_color=palette.ink, line_width=1.5
        )
    return plot


def stress_figure(palette: Palette, *, names: Sequence[str], titles: Sequence[str], pnl: NDArray[np.float64]) -> Any:
    """Profit and loss [money] of each scenario as a bar, the first on top; losses go to the left."""
    from bokeh.models import ColumnDataSource, FactorRange, HoverTool, NumeralTickFormatter

    upwards: list[Any] = list(names)[::-1]  # short, so that a phone has room for the bars
    plot = desk_figure(palette, height=max(160, 26 * len(titles) + 50), label="", dates=False, y_range=FactorRange(*upwards))
    plot.xaxis.formatter = NumeralTickFormatter(format="0,0")
    plot.xaxis.ticker.desired_num_ticks = 4
    colours = [palette.up if value >= 0 else palette.down for value in pnl.tolist()]
    source = ColumnDataSource({"name": list(names), "title": list(titles), "pnl": pnl.tolist(), "colour": colours})
    bars = plot.hbar(y="name", right="pnl", source=source, height=0.62, color="colour")
    plot.add_tools(HoverTool(renderers=[bars], tooltips=[("@title", "@pnl{+0,0}")]))
    return plot


def backtest_figure(palette: Palette, *, ts: NDArray[np.datetime64], pnl: NDArray[np.float64], var: NDArray[np.float64]) -> Any:
    """Profit and loss [money] of each session as a bar under the loss that was forecast for it as a line; exceptions have a mark of their own."""
    from bokeh.models import ColumnDataSource, HoverTool, NumeralTickFormatter

    plot = desk_figure(palette, height=260, label="USD")
    plot.yaxis.formatter = NumeralTickFormatter(format="0,0")
    x = ts.astype("datetime64[ms]").astype(np.int64)
    beyond = -pnl > var
    colours = np.where(beyond, palette.down, palette.ink_soft)
    source = ColumnDataSource({"x": x.tolist(), "pnl": pnl.tolist(), "var": (-var).tolist(), "colour": colours.tolist()})
    bars = plot.vbar(x="x", top="pnl", source=source, width=50_000_000, fill_color="colour", line_color=None, fill_alpha=0.75)
    plot.step("x", "var", source=source, line_color=palette.first, line_width=1.5, mode="center", legend_label="forecast loss")
    plot.scatter(x[beyond].tolist(), pnl[beyond].tolist(), marker="inverted_triangle", size=8, color=palette.down, legend_label="exception")
    tips = [("", "@x{%F}"), ("P&L", "@pnl{+0,0}"), ("Forecast", "@var{0,0}")]
    plot.add_tools(HoverTool(renderers=[bars], tooltips=tips, formatters={"@x": "datetime"}))
    style_legend(plot, palette)
    return plot
