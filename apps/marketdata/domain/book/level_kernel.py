"""The compiled level-2 book: each side's levels in one array sorted by price with the best last. Imported inside functions only (Numba)."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apps.core.compilation import Compiler

compiled = Compiler("book-levels", (Path(__file__),))

NONE = -1
#: What the engine's array of integers holds; KEPT is the first row that waits for a snapshot.
LAST, VALID, GAPS, DROPPED, KEPT = 0, 1, 2, 3, 4


@compiled
def put(ladders: NDArray[np.float64], counts: NDArray[np.int64], side: int, price: float, size: float) -> None:
    """A level's size becomes `size`; 0 removes it."""
    which = 0 if side > 0 else 1
    count = counts[which]
    low, high = 0, count
    while low < high:
        middle = (low + high) >> 1
        if ladders[which, middle, 0] * side < price * side:
            low = middle + 1
        else:
            high = middle
    there = low < count and ladders[which, low, 0] == price
    if size == 0.0:
        if there:
            for row in range(low, count - 1):
                ladders[which, row, 0] = ladders[which, row + 1, 0]
                ladders[which, row, 1] = ladders[which, row + 1, 1]
            counts[which] = count - 1
        return
    if not there:
        for row in range(count, low, -1):
            ladders[which, row, 0] = ladders[which, row - 1, 0]
            ladders[which, row, 1] = ladders[which, row - 1, 1]
        counts[which] = count + 1
        ladders[which, low, 0] = price
    ladders[which, low, 1] = size


@compiled
def end_of(first: NDArray[np.int64], sequence: NDArray[np.int64], snapshot: NDArray[np.bool_], row: int) -> Any:
    """Row after the last of the message that begins at `row`."""
    end = row + 1
    while end < len(sequence) and sequence[end] == sequence[row] and first[end] == first[row] and snapshot[end] == snapshot[row]:
        end += 1
    return end


@compiled
def message(
    ladders: NDArray[np.float64],
    counts: NDArray[np.int64],
    info: NDArray[np.int64],
    first: NDArray[np.int64],
    sequence: NDArray[np.int64],
    side: NDArray[np.int16],
    price: NDArray[np.float64],
    size: NDArray[np.float64],
    row: int,
    end: int,
) -> None:
    """Apply one message of changed levels to a valid book."""
    if sequence[row] <= info[LAST]:
        info[DROPPED] += 1
    elif first[row] > info[LAST] + 1:
        info[GAPS] += 1
        info[VALID] = 0
        info[KEPT] = row
    else:
        for n in range(row, end):
            put(ladders, counts, side[n], price[n], size[n])
        info[LAST] = sequence[row]


@compiled
def take_up(
    ladders: NDArray[np.float64],
    counts: NDArray[np.int64],
    info: NDArray[np.int64],
    first: NDArray[np.int64],
    sequence: NDArray[np.int64],
    snapshot: NDArray[np.bool_],
    side: NDArray[np.int16],
    price: NDArray[np.float64],
    size: NDArray[np.float64],
    until: int,
) -> None:
    """Apply what was kept before a snapshot, as far as it joins on."""
    row = info[KEPT]
    info[KEPT] = NONE
    while row != NONE and row < until and info[VALID]:
        end = end_of(first, sequence, snapshot, row)
        if not snapshot[row]:
            message(ladders, counts, info, first, sequence, side, price, size, row, end)
        row = end


@compiled
def note(ladders: NDArray[np.float64], counts: NDArray[np.int64], info: NDArray[np.int64], best: NDArray[np.float64], start: int, end: int) -> None:
    """Write the best prices of a valid book into rows start..end of `best`."""
    for n in range(start, end):
        for which in range(2):
            there = info[VALID] == 1 and counts[which] > 0
            best[n, 2 * which] = ladders[which, counts[which] - 1, 0] if there else 0.0
            best[n, 2 * which + 1] = ladders[which, counts[which] - 1, 1] if there else 0.0


@compiled
def apply(
    ladders: NDArray[np.float64],
    counts: NDArray[np.int64],
    info: NDArray[np.int64],
    first: NDArray[np.int64],
    sequence: NDArray[np.int64],
    snapshot: NDArray[np.bool_],
    side: NDArray[np.int16],
    price: NDArray[np.float64],
    size: NDArray[np.float64],
    best: NDArray[np.float64],
) -> None:
    """Apply all rows. `best` [T or 0, 4] takes the best bid, its size, ask, its size after each row."""
    row = 0
    while row < len(sequence):
        end = end_of(first, sequence, snapshot, row)
        if len(best):
            note(ladders, counts, info, best, row, end - 1)
        if snapshot[row]:
            if info[VALID] and sequence[row] < info[LAST]:
                info[DROPPED] += 1
            else:
                counts[:] = 0
                for n in range(row, end):
                    put(ladders, counts, side[n], price[n], size[n])
                info[LAST] = sequence[row]
                info[VALID] = 1
                take_up(ladders, counts, info, first, sequence, snapshot, side, price, size, row)
        elif info[VALID]:
            message(ladders, counts, info, first, sequence, side, price, size, row, end)
        elif info[KEPT] == NONE:
            info[KEPT] = row
        if len(best):
            note(ladders, counts, info, best, end - 1, end)
        row = end
