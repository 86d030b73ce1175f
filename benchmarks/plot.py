"""A chart of cost by size as SVG, both axes logarithmic: a cost that grows with the size is a straight line beside the dashed one."""

from collections.abc import Mapping, Sequence
from html import escape
from math import ceil, floor, log10

WIDTH, HEIGHT = 640, 400
LEFT, RIGHT, TOP, BOTTOM = 70, 150, 40, 50
COLOURS = ("#1f6fb4", "#c2571a")

Series = Mapping[int, float]


def cost_by_size(*, title: str, x: str, y: str, series: Mapping[str, Series]) -> str:
    """`series` by name: cost by size, all above zero. The dashed line is ten times the cost for ten times the size, from the first series' start."""
    costs = [cost for one in series.values() for cost in one.values()]
    sizes = [size for one in series.values() for size in one]
    low, high = (floor(log10(min(costs))), ceil(log10(max(costs)))), (log10(min(sizes)), log10(max(sizes)))

    def at(size: float, cost: float) -> tuple[float, float]:
        across = (log10(size) - high[0]) / (high[1] - high[0])
        up = (log10(cost) - low[0]) / (low[1] - low[0])
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    parts = [_text(LEFT, 22, title, weight="bold"), _text((WIDTH - RIGHT + LEFT) / 2, HEIGHT - 10, x, anchor="middle"), _text(8, TOP - 8, y)]
    for power in range(low[0], low[1] + 1):
        (left, height), (right, _) = at(min(sizes), 10.0**power), at(max(sizes), 10.0**power)
        parts += [_line([(left, height), (right, height)], "#dddddd"), _text(left - 8, height + 4, f"{10.0**power:g}", anchor="end")]
    for size in sorted(set(sizes)):
        parts.append(_text(at(size, 10.0 ** low[0])[0], HEIGHT - BOTTOM + 18, f"{size:,}", anchor="middle"))
    first = next(iter(series.values()))
    begin = min(first)
    most = min(max(sizes), begin * 10.0 ** low[1] / first[begin])
    parts.append(_line([at(begin, first[begin]), at(most, first[begin] * most / begin)], "#888888", dashed=True))
    ends = sorted(series, key=lambda name: -series[name][max(series[name])])
    for (name, one), colour in zip(series.items(), COLOURS, strict=True):
        points = [at(size, cost) for size, cost in sorted(one.items())]
        parts.append(_line(points, colour, width=2))
        parts += [f'<circle cx="{across:.1f}" cy="{height:.1f}" r="4" fill="{colour}"/>' for across, height in points]
        parts.append(_text(points[-1][0] + 10, points[-1][1] - 4 + 16 * ends.index(name), name, colour=colour))
    body = "\n".join(parts)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="13">'
    return f'{head}\n<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>\n{body}\n</svg>\n'


def _line(points: Sequence[tuple[float, float]], colour: str, *, width: int = 1, dashed: bool = False) -> str:
    told = " ".join(f"{across:.1f},{height:.1f}" for across, height in points)
    dashes = ' stroke-dasharray="5 4"' if dashed else ""
    return f'<polyline points="{told}" fill="none" stroke="{colour}" stroke-width="{width}"{dashes}/>'


def _text(across: float, height: float, text: str, *, anchor: str = "start", weight: str = "normal", colour: str = "#222222") -> str:
    return f'<text x="{across:.1f}" y="{height:.1f}" text-anchor="{anchor}" font-weight="{weight}" fill="{colour}">{escape(text)}</text>'
