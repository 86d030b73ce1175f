"""The compiled order book. Plain Python that Numba compiles as it stands; arrays only, so that it runs at millions of events a second.

Orders live in slots, each a row of an array: side, level, shares, its number, and its neighbours in the queue of its level. A hash table (open
addressing, linear probing; a removal closes its gap, so there are no tombstones) leads from an order's number to its slot. Levels live in slots too,
so that an order reaches the sums of its level at once. Each side's ladder lists its levels by price with the best last: most of what
happens is near the best, so a search starts there and an insertion moves little.

Imported inside functions only, because it imports Numba. What returns an int64 says Any, because elements of arrays have no type of their own.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apps.core.compilation import Compiler

compiled = Compiler("book", (Path(__file__),))

NONE = -1
#: The 64-bit finaliser of MurmurHash3: numbers that follow one another spread over the whole table.
FIRST, SECOND, HALF = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53), np.uint64(33)
#: Counters, in the order in which the engine's array holds them; the last two begin the chains of free slots.
UNKNOWN, REPEATED, EXCESS, VOLUME, FREE_ORDER, FREE_LEVEL, COUNTERS = 0, 1, 2, 3, 4, 5, 6
# Columns of a place in the table, of an order (a cache line), of a level, of a rung of a ladder.
T_REF, T_SLOT = 0, 1
SIDE, LEVEL, SHARES, NEXT, BEFORE, REF, ORDER_COLUMNS = 0, 1, 2, 3, 4, 5, 8
L_PRICE, L_SHARES, L_ORDERS, L_HEAD, L_TAIL, L_NEXT, LEVEL_COLUMNS = 0, 1, 2, 3, 4, 5, 8
R_PRICE, R_LEVEL = 0, 1
A, F, E, C, X, D, U, P, Q = (ord(letter) for letter in "AFECXDUPQ")


@compiled
def home(ref: int, mask: int) -> Any:
    """Where a number's search begins."""
    bits = np.uint64(ref)
    bits = (bits ^ (bits >> HALF)) * FIRST
    bits = (bits ^ (bits >> HALF)) * SECOND
    return np.int64(bits ^ (bits >> HALF)) & mask


@compiled
def find(table: NDArray[np.int64], ref: int) -> Any:
    """Place in the table of an order's number: that which holds it, or the empty one where it would go."""
    mask = len(table) - 1
    at = home(ref, mask)
    while table[at, T_SLOT] != NONE and table[at, T_REF] != ref:
        at = (at + 1) & mask
    return at


@compiled
def forget(table: NDArray[np.int64], at: int) -> None:
    """Empty a place and move up what was displaced behind it."""
    mask = len(table) - 1
    gap = at
    at = (at + 1) & mask
    while table[at, T_SLOT] != NONE:
        begin = home(table[at, T_REF], mask)
        if ((at - begin) & mask) >= ((at - gap) & mask):  # its search passes the gap
            table[gap, T_REF] = table[at, T_REF]
            table[gap, T_SLOT] = table[at, T_SLOT]
            gap = at
        at = (at + 1) & mask
    table[gap, T_SLOT] = NONE


@compiled
def rung(ladders: NDArray[np.int64], which: int, count: int, side: int, price: int) -> Any:
    """Position of a price on a side's ladder, or where it would be inserted. Prices times side ascend, the best is last."""
    wanted = price * side
    at = count
    low = max(count - 8, 0)
    while at > low and ladders[which, at - 1, R_PRICE] * side >= wanted:
        at -= 1
    if at > low or at == 0:
        return at
    low, high = 0, at
    while low < high:
        middle = (low + high) >> 1
        if ladders[which, middle, R_PRICE] * side < wanted:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def level_of(
    levels: NDArray[np.int64], ladders: NDArray[np.int64], counts: NDArray[np.int64], counters: NDArray[np.int64], side: int, price: int
) -> Any:
    """Slot of a price's level, made when there is none."""
    which = 0 if side > 0 else 1
    count = counts[which]
    row = rung(ladders, which, count, side, price)
    if row < count and ladders[which, row, R_PRICE] == price:
        return ladders[which, row, R_LEVEL]
    for moved in range(count, row, -1):
        ladders[which, moved, R_PRICE] = ladders[which, moved - 1, R_PRICE]
        ladders[which, moved, R_LEVEL] = ladders[which, moved - 1, R_LEVEL]
    level = counters[FREE_LEVEL]
    counters[FREE_LEVEL] = levels[level, L_NEXT]
    ladders[which, row, R_PRICE] = price
    ladders[which, row, R_LEVEL] = level
    counts[which] = count + 1
    levels[level, L_PRICE] = price
    levels[level, L_SHARES] = 0
    levels[level, L_ORDERS] = 0
    levels[level, L_HEAD] = NONE
    levels[level, L_TAIL] = NONE
    return level


@compiled
def drop_level(
    levels: NDArray[np.int64], ladders: NDArray[np.int64], counts: NDArray[np.int64], counters: NDArray[np.int64], side: int, level: int
) -> None:
    """Take a level without orders off its ladder."""
    which = 0 if side > 0 else 1
    count = counts[which]
    for moved in range(rung(ladders, which, count, side, levels[level, L_PRICE]), count - 1):
        ladders[which, moved, R_PRICE] = ladders[which, moved + 1, R_PRICE]
        ladders[which, moved, R_LEVEL] = ladders[which, moved + 1, R_LEVEL]
    counts[which] = count - 1
    levels[level, L_NEXT] = counters[FREE_LEVEL]
    counters[FREE_LEVEL] = level


@compiled
def add(
    table: NDArray[np.int64],
    orders: NDArray[np.int64],
    levels: NDArray[np.int64],
    ladders: NDArray[np.int64],
    counts: NDArray[np.int64],
    counters: NDArray[np.int64],
    ref: int,
    side: int,
    price: int,
    shares: int,
) -> None:
    """A new order behind those of its price."""
    at = find(table, ref)
    if table[at, T_SLOT] != NONE:
        counters[REPEATED] += 1
        return
    slot = counters[FREE_ORDER]
    counters[FREE_ORDER] = orders[slot, NEXT]
    table[at, T_REF] = ref
    table[at, T_SLOT] = slot
    level = level_of(levels, ladders, counts, counters, side, price)
    tail = levels[level, L_TAIL]
    orders[slot, SIDE] = side
    orders[slot, LEVEL] = level
    orders[slot, SHARES] = shares
    orders[slot, REF] = ref
    orders[slot, NEXT] = NONE
    orders[slot, BEFORE] = tail
    if tail == NONE:
        levels[level, L_HEAD] = slot
    else:
        orders[tail, NEXT] = slot
    levels[level, L_TAIL] = slot
    levels[level, L_SHARES] += shares
    levels[level, L_ORDERS] += 1


@compiled
def remove(
    table: NDArray[np.int64],
    orders: NDArray[np.int64],
    levels: NDArray[np.int64],
    ladders: NDArray[np.int64],
    counts: NDArray[np.int64],
    counters: NDArray[np.int64],
    at: int,
) -> None:
    """Take the order at a place of the table out of the book; its level goes with its last order."""
    slot = table[at, T_SLOT]
    forget(table, at)
    level, before, after = orders[slot, LEVEL], orders[slot, BEFORE], orders[slot, NEXT]
    if before == NONE:
        levels[level, L_HEAD] = after
    else:
        orders[before, NEXT] = after
    if after == NONE:
        levels[level, L_TAIL] = before
    else:
        orders[after, BEFORE] = before
    levels[level, L_SHARES] -= orders[slot, SHARES]
    levels[level, L_ORDERS] -= 1
    if levels[level, L_ORDERS] == 0:
        drop_level(levels, ladders, counts, counters, orders[slot, SIDE], level)
    orders[slot, NEXT] = counters[FREE_ORDER]
    counters[FREE_ORDER] = slot


@compiled
def reduce(
    table: NDArray[np.int64],
    orders: NDArray[np.int64],
    levels: NDArray[np.int64],
    ladders: NDArray[np.int64],
    counts: NDArray[np.int64],
    counters: NDArray[np.int64],
    ref: int,
    shares: int,
    traded: bool,
) -> None:
    """Take shares from an order, which keeps its place."""
    at = find(table, ref)
    slot = table[at, T_SLOT]
    if slot == NONE:
        counters[UNKNOWN] += 1
        return
    there = orders[slot, SHARES]
    if traded:
        counters[VOLUME] += min(shares, there)
    if shares >= there:
        if shares > there:
            counters[EXCESS] += 1
        remove(table, orders, levels, ladders, counts, counters, at)
        return
    orders[slot, SHARES] = there - shares
    levels[orders[slot, LEVEL], L_SHARES] -= shares


@compiled
def delete(
    table: NDArray[np.int64],
    orders: NDArray[np.int64],
    levels: NDArray[np.int64],
    ladders: NDArray[np.int64],
    counts: NDArray[np.int64],
    counters: NDArray[np.int64],
    ref: int,
) -> Any:
    """Take an order out of the book by its number; its side, 0 when it is not there."""
    at = find(table, ref)
    slot = table[at, T_SLOT]
    if slot == NONE:
        counters[UNKNOWN] += 1
        return 0
    remove(table, orders, levels, ladders, counts, counters, at)
    return orders[slot, SIDE]


@compiled
def replace(
    table: NDArray[np.int64],
    orders: NDArray[np.int64],
    levels: NDArray[np.int64],
    ladders: NDArray[np.int64],
    counts: NDArray[np.int64],
    counters: NDArray[np.int64],
    ref: int,
    new_ref: int,
    price: int,
    shares: int,
) -> None:
    """Another order of the same side instead of one, behind those of its price."""
    side = delete(table, orders, levels, ladders, counts, counters, ref)
    if side != 0:
        add(table, orders, levels, ladders, counts, counters, new_ref, side, price, shares)


@compiled
def step(
    table: NDArray[np.int64],
    orders: NDArray[np.int64],
    levels: NDArray[np.int64],
    ladders: NDArray[np.int64],
    counts: NDArray[np.int64],
    counters: NDArray[np.int64],
    kind: int,
    ref: int,
    side: int,
    price: int,
    shares: int,
    printable: bool,
) -> None:
    """Apply one event that names one order."""
    if kind in (A, F):
        add(table, orders, levels, ladders, counts, counters, ref, side, price, shares)
    elif kind in (E, X, C):
        traded = kind == E or (kind == C and printable)
        reduce(table, orders, levels, ladders, counts, counters, ref, shares, traded)
    elif kind == D:
        delete(table, orders, levels, ladders, counts, counters, ref)
    elif kind in (P, Q):
        counters[VOLUME] += shares


@compiled
def apply(
    table: NDArray[np.int64],
    orders: NDArray[np.int64],
    levels: NDArray[np.int64],
    ladders: NDArray[np.int64],
    counts: NDArray[np.int64],
    counters: NDArray[np.int64],
    letter: NDArray[np.int16],
    ref: NDArray[np.int64],
    new_ref: NDArray[np.int64],
    side: NDArray[np.int16],
    price: NDArray[np.int64],
    shares: NDArray[np.int64],
    printable: NDArray[np.bool_],
    best: NDArray[np.int64],
    stops: NDArray[np.int64],
    depth: NDArray[np.int64],
) -> None:
    """Apply all events. `best` [T or 0, 4] takes the best bid, its shares, ask, its shares after each; `depth` [S, 2, K, 2] the K best levels
    (price, shares) of both sides after as many events as `stops` [S] (ascending) says."""
    stop = 0
    for row in range(len(letter)):
        while stop < len(stops) and stops[stop] <= row:
            top(levels, ladders, counts, depth[stop])
            stop += 1
        if letter[row] == U:
            replace(table, orders, levels, ladders, counts, counters, ref[row], new_ref[row], price[row], shares[row])
        else:
            step(table, orders, levels, ladders, counts, counters, letter[row], ref[row], side[row], price[row], shares[row], printable[row])
        if len(best):
            for which in range(2):
                if counts[which]:
                    level = ladders[which, counts[which] - 1, R_LEVEL]
                    best[row, 2 * which] = levels[level, L_PRICE]
                    best[row, 2 * which + 1] = levels[level, L_SHARES]
    while stop < len(stops):
        top(levels, ladders, counts, depth[stop])
        stop += 1


@compiled
def top(levels: NDArray[np.int64], ladders: NDArray[np.int64], counts: NDArray[np.int64], depth: NDArray[np.int64]) -> None:
    """Write the best levels of both sides into `depth` [2, K, 2]; what is not there stays 0."""
    for which in range(2):
        for n in range(min(depth.shape[1], counts[which])):
            level = ladders[which, counts[which] - 1 - n, R_LEVEL]
            depth[which, n, 0] = levels[level, L_PRICE]
            depth[which, n, 1] = levels[level, L_SHARES]


@compiled
def rehash(
    table: NDArray[np.int64], orders: NDArray[np.int64], levels: NDArray[np.int64], ladders: NDArray[np.int64], counts: NDArray[np.int64]
) -> None:
    """Enter every order of the book into an empty table."""
    for which in range(2):
        for n in range(counts[which]):
            slot = levels[ladders[which, n, R_LEVEL], L_HEAD]
            while slot != NONE:
                at = find(table, orders[slot, REF])
                table[at, T_REF] = orders[slot, REF]
                table[at, T_SLOT] = slot
                slot = orders[slot, NEXT]


def arrays(capacity: int) -> tuple[Any, ...]:
    """Table, orders, levels and ladders without content, with room for so many orders. Free slots are chained, the last one to `capacity`."""
    table = np.full((1 << max(4, int(2 * capacity - 1).bit_length()), 2), NONE, np.int64)
    orders, levels = np.zeros((capacity, ORDER_COLUMNS), np.int64), np.zeros((capacity, LEVEL_COLUMNS), np.int64)
    orders[:, NEXT] = levels[:, L_NEXT] = np.arange(1, capacity + 1)
    return table, orders, levels, np.zeros((2, capacity, 2), np.int64)
