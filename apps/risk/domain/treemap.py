"""A treemap: rectangles whose areas are in the proportion of numbers (squarified, Bruls, Huizing and van Wijk 2000)."""

from collections.abc import Sequence
from typing import NamedTuple


class Tile(NamedTuple):
    """A rectangle with its left lower corner."""

    left: float
    bottom: float
    width: float
    height: float


def treemap(sizes: Sequence[float], *, width: float, height: float) -> list[Tile]:
    """A tile for each size (all > 0, the largest first), together the whole rectangle, each as near to a square as its row allows."""
    scale = width * height / sum(sizes) if sizes else 0.0
    areas, tiles = [size * scale for size in sizes], list[Tile]()
    left = bottom = 0.0
    while len(tiles) < len(areas):
        rest = areas[len(tiles) :]
        side = min(width, height)
        count = 1
        while count < len(rest) and _worst(rest[: count + 1], side) <= _worst(rest[:count], side):
            count += 1
        row = rest[:count]
        depth = sum(row) / side
        at = 0.0
        for area in row:
            length = area / depth
            tiles.append(Tile(left, bottom + at, depth, length) if width >= height else Tile(left + at, bottom, length, depth))
            at += length
        if width >= height:
            left, width = left + depth, width - depth
        else:
            bottom, height = bottom + depth, height - depth
    return tiles


def _worst(row: Sequence[float], side: float) -> float:
    """How far the least square tile of a row along a side is from a square: its longer edge by its shorter one."""
    total = sum(row)
    return max(max(side * side * area / (total * total), total * total / (side * side * area)) for area in row)
