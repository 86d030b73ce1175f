"""Figures of risk: arrays in, Bokeh figure out."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from apps.core.charts import Palette, desk_figure, diverging, grid_figure, style_legend, thinned

if TYPE_CHECKING:
    from bokeh.plotting import figure as Figure  # noqa: N812

#: Smaller tiles of a treemap have no room for their name: width, height [of 2 x 1].
LEGIBLE = (0.36, 0.07)


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


def treemap_figure(palette: Palette, *, symbols: Sequence[str], values: NDArray[np.float64], moves: NDArray[np.float64]) -> Any:
    """Positions [N, the largest first] as tiles of the size of their value [money, short negative], coloured by what they have earned today by
    value [fraction, NaN unknown]."""
    from bokeh.models import ColumnDataSource, HoverTool, LinearColorMapper

    from apps.risk.domain.treemap import treemap

    tiles = treemap(np.abs(values).tolist(), width=2.0, height=1.0)
    plot = desk_figure(palette, height=300, label="", dates=False, x_range=(0, 2), y_range=(0, 1))
    plot.axis.visible = False
    plot.grid.grid_line_color = None
    share = np.abs(values) / np.abs(values).sum()
    words = [f"{symbol} {part:.0%}" for symbol, part in zip(symbols, share, strict=True)]
    source = ColumnDataSource(
        {
            "left": [tile.left for tile in tiles],
            "right": [tile.left + tile.width for tile in tiles],
            "bottom": [tile.bottom for tile in tiles],
            "top": [tile.bottom + tile.height for tile in tiles],
            "x": [tile.left + 0.02 for tile in tiles],
            "y": [tile.bottom + tile.height / 2 for tile in tiles],
            "symbol": list(symbols),
            "value": values.tolist(),
            "share": share.tolist(),
            "move": [None if np.isnan(move) else move for move in moves.tolist()],
            "text": [word if tile.width > LEGIBLE[0] and tile.height > LEGIBLE[1] else "" for word, tile in zip(words, tiles, strict=True)],
        }
    )
    most = max(0.01, float(np.nanmax(np.abs(moves))) if np.isfinite(moves).any() else 0.0)
    colour = {"field": "move", "transform": LinearColorMapper(palette=diverging(palette), low=-most, high=most, nan_color=palette.line)}
    edges = {"line_color": palette.ink_soft, "line_width": 1}
    drawn = plot.quad(left="left", right="right", bottom="bottom", top="top", source=source, fill_color=colour, **edges)
    plot.text("x", "y", text="text", source=source, text_color=palette.ink, text_font_size="11px", text_baseline="middle")
    tips = [("@symbol", "@value{+0,0}"), ("of gross value", "@share{0.0 %}"), ("earned today by value", "@move{+0.00 %}")]
    plot.add_tools(HoverTool(renderers=[drawn], tooltips=tips))
    return plot
