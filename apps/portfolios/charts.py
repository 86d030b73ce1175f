"""Figures of portfolios: arrays in, Bokeh figure out."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from apps.core.charts import Palette, desk_figure, style_legend, thinned

if TYPE_CHECKING:
    from bokeh.plotting import figure as Figure  # noqa: N812


def equity_figure(
    palette: Palette, *, ts: NDArray[np.datetime64], total: NDArray[np.float64], benchmark: NDArray[np.float64] | None, benchmark_name: str
) -> "Figure":
    """Value of a portfolio [money] over market time, beside its benchmark scaled to the same start. The source "live" grows by streaming."""
    from bokeh.models import ColumnDataSource, HoverTool, NumeralTickFormatter

    plot = desk_figure(palette, height=300, label="USD")
    plot.yaxis.formatter = NumeralTickFormatter(format="0,0")
    kept = thinned(len(ts))
    x = ts.astype("datetime64[ms]").astype(np.int64)[kept]
    source = ColumnDataSource({"x": x.tolist(), "y": total[kept].tolist()}, name="live")
    line = plot.line("x", "y", source=source, line_color=palette.first, line_width=2, legend_label="Portfolio")
    plot.scatter("x", "y", source=source, size=3 if len(kept) < 60 else 0, color=palette.first)
    if benchmark is not None:
        plot.line(x, benchmark[kept], line_color=palette.second, line_width=1.5, line_dash=[5, 3], legend_label=benchmark_name)
    plot.add_tools(
        HoverTool(renderers=[line], tooltips=[("", "@x{%F %H:%M}"), ("Value", "@y{$0,0.00}")], formatters={"@x": "datetime"}, mode="vline")
    )
    style_legend(plot, palette)
    return plot


def allocation_figure(palette: Palette, *, names: Sequence[str], weights: NDArray[np.float64]) -> "Figure":
    """Weight of each position and of cash [fraction of the total], largest on top; short positions go to the left."""
    from bokeh.models import FactorRange, HoverTool, NumeralTickFormatter

    order = np.argsort(weights)
    labels = [names[index] for index in order]
    plot = desk_figure(palette, height=max(160, 26 * len(names) + 50), label="", dates=False, y_range=FactorRange(*labels))
    plot.xaxis.formatter = NumeralTickFormatter(format="0 %")
    colours = [
        palette.ink_soft if name == "Cash" else palette.first if weights[index] >= 0 else palette.down
        for index, name in zip(order, labels, strict=True)
    ]
    bars = plot.hbar(y=labels, right=weights[order], height=0.66, color=colours)
    plot.add_tools(HoverTool(renderers=[bars], tooltips=[("@y", "@right{0.0 %}")]))
    return plot


def drift_figure(palette: Palette, *, names: Sequence[str], current: NDArray[np.float64], target: NDArray[np.float64]) -> "Figure":
    """Current weight of each instrument as a bar and its target as a mark [fractions of the equity], largest drift on top."""
    from bokeh.models import ColumnDataSource, FactorRange, HoverTool, NumeralTickFormatter

    rows = {"name": list(names)[::-1], "current": current[::-1].tolist(), "target": target[::-1].tolist()}
    source = ColumnDataSource({**rows, "drift": (current - target)[::-1].tolist()})
    plot = desk_figure(palette, height=max(160, 28 * len(names) + 60), label="", dates=False, y_range=FactorRange(*rows["name"]))
    plot.xaxis.formatter = NumeralTickFormatter(format="0 %")
    bars = plot.hbar(y="name", right="current", source=source, height=0.6, color=palette.first, legend_label="Current")
    plot.scatter("target", "name", source=source, marker="dash", angle=np.pi / 2, size=22, line_width=4, color=palette.second, legend_label="Target")
    tips = [("@name", "@current{0.0 %}"), ("Target", "@target{0.0 %}"), ("Drift", "@drift{+0.0 %}")]
    plot.add_tools(HoverTool(renderers=[bars], tooltips=tips))
    style_legend(plot, palette)
    return plot
