"""Tiles have the areas of their numbers, fill the whole and do not overlap."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.risk.domain.treemap import treemap


def test_the_example_of_the_paper() -> None:
    tiles = treemap([6, 6, 4, 3, 2, 2, 1], width=6, height=4)
    assert tiles[0] == pytest.approx((0, 0, 3, 2))
    assert tiles[1] == pytest.approx((0, 2, 3, 2))
    assert [tile.width * tile.height for tile in tiles] == pytest.approx([6, 6, 4, 3, 2, 2, 1])


@given(st.lists(st.floats(0.01, 1e6), min_size=1, max_size=30))
def test_areas_are_in_proportion_and_nothing_overlaps(numbers: list[float]) -> None:
    sizes = sorted(numbers, reverse=True)
    tiles = treemap(sizes, width=2.0, height=1.0)
    assert [tile.width * tile.height for tile in tiles] == pytest.approx([2.0 * size / sum(sizes) for size in sizes])
    for n, one in enumerate(tiles):
        assert -1e-9 <= one.left <= one.left + one.width <= 2 + 1e-6
        assert -1e-9 <= one.bottom <= one.bottom + one.height <= 1 + 1e-6
        for other in tiles[:n]:
            wide = min(one.left + one.width, other.left + other.width) - max(one.left, other.left)
            high = min(one.bottom + one.height, other.bottom + other.height) - max(one.bottom, other.bottom)
            assert min(wide, high) <= 1e-6


def test_nothing_held_has_no_tiles() -> None:
    assert treemap([], width=2.0, height=1.0) == []
