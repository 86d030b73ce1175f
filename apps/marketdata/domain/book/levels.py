"""Books from a snapshot and changed levels (level 2): sizes are absolute, 0 removes a level, and every update number must be there.

Rules (Binance, "How to manage a local order book correctly"; domain.md E1): a message covers the updates `first_sequence` to `sequence`; one
that ends at or before the book's last update is dropped; one that begins after the following update means that something is missing: the
book is DIRTY, and what comes is kept, until a snapshot comes which then takes up what was kept. Before the first snapshot it is the same. A
snapshot older than the book is dropped. Prices and sizes are float64 as they were stored: equal decimals are equal numbers, and nothing is
added up.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apps.marketdata.domain.book.events import ASK, BID, BookState
from apps.marketdata.domain.ticks import DepthSeries

NAMES = ("first_sequence", "sequence", "snapshot", "side", "price", "size")


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelFaults:
    """Messages after which something was missing, and messages that were dropped because they told nothing new."""

    gaps: int = 0
    dropped: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LevelBest:
    """Best prices and sizes after each row, float64 [T]: 0 where that side is empty or the book is DIRTY.

    A message counts from its last row on.
    """

    bid: NDArray[np.float64]
    bid_size: NDArray[np.float64]
    ask: NDArray[np.float64]
    ask_size: NDArray[np.float64]


class ReferenceLevelBook:
    """The rules in readable Python: what the compiled engine is held against."""

    def __init__(self) -> None:
        self.last = -1
        self.valid = False
        self._gaps = self._dropped = 0
        self._sizes: dict[int, dict[float, float]] = {BID: {}, ASK: {}}
        self._kept: list[DepthSeries] = []

    @property
    def faults(self) -> LevelFaults:
        return LevelFaults(gaps=self._gaps, dropped=self._dropped)

    @property
    def state(self) -> BookState:
        return level_state(self.valid, self.levels(BID), self.levels(ASK))

    def levels(self, side: int) -> list[tuple[float, float]]:
        """Price and size of a side's levels, the best first."""
        return sorted(self._sizes[side].items(), reverse=side == BID)

    def apply(self, rows: DepthSeries) -> None:
        """Apply rows in order; a message must be in one call."""
        for message in messages(rows):
            if message.snapshot[0]:
                self._snapshot(message)
            elif self.valid:
                self._delta(message)
            else:
                self._kept.append(message)

    def _snapshot(self, message: DepthSeries) -> None:
        if self.valid and message.sequence[0] < self.last:
            self._dropped += 1
            return
        self._sizes = {BID: {}, ASK: {}}
        self._set(message)
        kept, self._kept, self.valid = self._kept, [], True
        for earlier in kept:
            if self.valid:
                self._delta(earlier)
            else:
                self._kept.append(earlier)

    def _delta(self, message: DepthSeries) -> None:
        if message.sequence[0] <= self.last:
            self._dropped += 1
        elif message.first_sequence[0] > self.last + 1:
            self._gaps += 1
            self.valid = False
            self._kept.append(message)
        else:
            self._set(message)

    def _set(self, message: DepthSeries) -> None:
        for side, price, size in zip(message.side.tolist(), message.price.tolist(), message.size.tolist(), strict=True):
            if size:
                self._sizes[side][price] = size
            else:
                self._sizes[side].pop(price, None)
        self.last = int(message.sequence[0])


class CompiledLevelBook:
    """The same, compiled: millions of rows a second."""

    def __init__(self) -> None:
        from apps.marketdata.domain.book import level_kernel

        self._kernel: Any = level_kernel
        self._ladders, self._counts = np.zeros((2, 64, 2)), np.zeros(2, np.int64)
        self._info = np.array([-1, 0, 0, 0, level_kernel.NONE], np.int64)
        self._kept = {name: np.empty(0, kind) for name, kind in zip(NAMES, ("i8", "i8", "?", "i2", "f8", "f8"), strict=True)}

    @property
    def last(self) -> int:
        """Number of the last update in the book, -1 without one."""
        return int(self._info[self._kernel.LAST])

    @property
    def valid(self) -> bool:
        return bool(self._info[self._kernel.VALID])

    @property
    def faults(self) -> LevelFaults:
        return LevelFaults(gaps=int(self._info[self._kernel.GAPS]), dropped=int(self._info[self._kernel.DROPPED]))

    @property
    def state(self) -> BookState:
        return level_state(self.valid, self.levels(BID, most=1), self.levels(ASK, most=1))

    def levels(self, side: int, *, most: int | None = None) -> list[tuple[float, float]]:
        """Price and size of a side's levels, the best first; with `most` so many."""
        which = 0 if side == BID else 1
        return [(price, size) for price, size in self._ladders[which, : self._counts[which]][::-1][:most].tolist()]

    def apply(self, rows: DepthSeries) -> None:
        """Apply rows in order; a message must be in one call."""
        self._run(rows, np.empty((0, 4)))

    def best_series(self, rows: DepthSeries) -> LevelBest:
        """Apply rows in order; the best prices after each."""
        best = np.zeros((len(rows) + len(self._kept["sequence"]), 4))
        self._run(rows, best)
        best = best[len(best) - len(rows) :]
        return LevelBest(bid=best[:, 0], bid_size=best[:, 1], ask=best[:, 2], ask_size=best[:, 3])

    def _run(self, rows: DepthSeries, best: NDArray[np.float64]) -> None:
        columns = {name: np.concatenate([self._kept[name], getattr(rows, name)]) for name in NAMES}
        count = len(columns["sequence"])
        room = int(self._counts.max()) + count
        if room > self._ladders.shape[1]:
            ladders = np.zeros((2, 2 * room, 2))
            ladders[:, : self._ladders.shape[1]] = self._ladders
            self._ladders = ladders
        self._info[self._kernel.KEPT] = self._kernel.NONE
        self._kernel.apply(self._ladders, self._counts, self._info, *columns.values(), best)
        begin = int(self._info[self._kernel.KEPT]) if not self.valid and self._info[self._kernel.KEPT] != self._kernel.NONE else count
        self._kept = {name: values[begin:].copy() for name, values in columns.items()}


def level_state(valid: bool, bids: Sequence[tuple[float, float]], asks: Sequence[tuple[float, float]]) -> BookState:
    """DIRTY without a valid book, CROSSED when best bid >= best ask."""
    if not valid:
        return BookState.DIRTY
    return BookState.CROSSED if bids and asks and bids[0][0] >= asks[0][0] else BookState.OK


def messages(rows: DepthSeries) -> Iterator[DepthSeries]:
    """Runs of rows that share snapshot, first_sequence and sequence."""
    if not len(rows):
        return
    change = np.zeros(len(rows) - 1, bool)
    for name in NAMES[:3]:
        values = getattr(rows, name)
        change |= values[1:] != values[:-1]
    edges = [0, *(np.flatnonzero(change) + 1).tolist(), len(rows)]
    for start, end in pairwise(edges):
        yield rows.take(slice(start, end))
