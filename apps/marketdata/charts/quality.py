"""Figures of data quality: arrays in, Bokeh figure out."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from apps.core.charts import Palette, desk_figure
from apps.marketdata.domain.quality.coverage import REQUIRED_COMPLETENESS
from apps.marketdata.domain.quality.findings import Severity

if TYPE_CHECKING:
    from bokeh.plotting import figure as Figure  # noqa: N812

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
#: Below this share a month is more than a few bars short.
POOR = 0.95
ROW_HEIGHT = 22
MARGIN_MS = 30 * 86_400_000


def completeness_figure(palette: Palette, *, months: NDArray[np.datetime64], share: NDArray[np.float64], expected: NDArray[np.int64]) -> "Figure":
    """Completeness [fraction] of months datetime64[M] as a strip of cells for each year, coloured in three steps; the numbers on hover."""
    from bokeh.models import ColumnDataSource, HoverTool

    years = months.astype("datetime64[Y]").astype(int) + 1970
    number = months.astype(int) % 12
    colour = np.where(share > REQUIRED_COMPLETENESS, palette.up, np.where(share >= POOR, palette.second, palette.down))
    factors = [str(year) for year in range(int(years.max()), int(years.min()) - 1, -1)]
    plot: Any = desk_figure(palette, height=70 + ROW_HEIGHT * len(factors), label="year", dates=False, x_range=list(MONTHS), y_range=factors)
    source = ColumnDataSource(
        {
            "x": [MONTHS[n] for n in number],
            "y": [str(year) for year in years],
            "colour": colour.tolist(),
            "alpha": np.where(share > REQUIRED_COMPLETENESS, 0.35, 0.9).tolist(),
            "share": share.tolist(),
            "expected": expected.tolist(),
        }
    )
    cells = plot.rect("x", "y", 0.94, 0.86, source=source, fill_color="colour", fill_alpha="alpha", line_color=None)
    plot.ygrid.grid_line_color = None
    tips = [("", "@x @y"), ("Complete", "@share{0.00 %}"), ("Expected bars", "@expected{0,0}")]
    plot.add_tools(HoverTool(renderers=[cells], tooltips=tips))
    return plot


def findings_figure(
    palette: Palette,
    *,
    first: Sequence[datetime],
    last: Sequence[datetime],
    checks: Sequence[str],
    severities: Sequence[str],
    texts: Sequence[str],
) -> "Figure":
    """Each finding as a line from its first to its last bar [UTC] in the row of its check, coloured by severity and marked by shape."""
    from bokeh.models import ColumnDataSource, HoverTool

    looks = {
        Severity.ERROR.value: (palette.down, "square"),
        Severity.WARNING.value: (palette.second, "triangle"),
        Severity.INFO.value: (palette.first, "circle"),
    }
    rows = sorted(set(checks), reverse=True)
    plot: Any = desk_figure(palette, height=80 + 26 * len(rows), label="check", y_range=rows)
    source = ColumnDataSource(
        {
            "x0": [moment.timestamp() * 1000 for moment in first],
            "x1": [moment.timestamp() * 1000 for moment in last],
            "y": list(checks),
            "colour": [looks[severity][0] for severity in severities],
            "marker": [looks[severity][1] for severity in severities],
            "severity": list(severities),
            "text": list(texts),
        }
    )
    begin, end = min(first).timestamp() * 1000, max(last).timestamp() * 1000
    plot.x_range.start, plot.x_range.end = begin - MARGIN_MS, end + MARGIN_MS  # one finding alone would stretch a microsecond
    plot.segment("x0", "y", "x1", "y", source=source, line_color="colour", line_width=4, line_alpha=0.6)
    marks = plot.scatter("x0", "y", source=source, marker="marker", size=9, fill_color="colour", line_color=palette.surface)
    tips = [("", "@x0{%F %H:%M}"), ("@severity", "@text")]
    plot.add_tools(HoverTool(renderers=[marks], tooltips=tips, formatters={"@x0": "datetime"}))
    plot.yaxis.axis_label = None
    return plot
