"""The compiled order book, as its users see it. Same answers as `ReferenceBook`, several times as fast."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apps.marketdata.domain.book.events import ASK, BID, BookEvents, BookFaults, BookState, Level, state_of

ADDING = np.array([ord("A"), ord("F"), ord("U")])
#: Events that are applied at once.
PIECE = 1 << 16
NO_STOPS = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BestSeries:
    """Best prices in ticks and their shares after each event, int64 [T]; 0 where that side is empty."""

    bid: NDArray[np.int64]
    bid_shares: NDArray[np.int64]
    ask: NDArray[np.int64]
    ask_shares: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DepthSnapshots:
    """The K best levels at S moments, the best first: prices in ticks and shares, int64 [S, K]; 0 where there is no level."""

    bid: NDArray[np.int64]
    bid_shares: NDArray[np.int64]
    ask: NDArray[np.int64]
    ask_shares: NDArray[np.int64]


class CompiledBook:
    """See `OrderBook`. Importing the kernel compiles it at its first use, about ten seconds, and finds it on disk afterwards."""

    def __init__(self, capacity: int = 1024) -> None:
        from apps.marketdata.domain.book import kernel

        self._kernel: Any = kernel
        self._table, self._orders, self._levels, self._ladders = kernel.arrays(capacity)
        self._counts = np.zeros(2, np.int64)
        self._counters = np.zeros(kernel.COUNTERS, np.int64)

    @property
    def faults(self) -> BookFaults:
        unknown, repeated, excess = self._counters[[self._kernel.UNKNOWN, self._kernel.REPEATED, self._kernel.EXCESS]].tolist()
        return BookFaults(unknown=unknown, repeated=repeated, excess=excess)

    @property
    def volume(self) -> int:
        return int(self._counters[self._kernel.VOLUME])

    @property
    def state(self) -> BookState:
        """OK, DIRTY or CROSSED."""
        best = {side: next(iter(self.levels(side, most=1)), None) for side in (BID, ASK)}
        return state_of(self.faults, *(level.price if level else None for level in best.values()))

    def apply(self, events: BookEvents) -> None:
        """Apply events in order."""
        self._run(events, np.empty((0, 4), np.int64), NO_STOPS, np.empty((0, 2, 0, 2), np.int64))

    def best_series(self, events: BookEvents) -> BestSeries:
        """Apply events in order; the best prices after each."""
        best = np.zeros((len(events), 4), np.int64)
        self._run(events, best, NO_STOPS, np.empty((0, 2, 0, 2), np.int64))
        return BestSeries(bid=best[:, 0], bid_shares=best[:, 1], ask=best[:, 2], ask_shares=best[:, 3])

    def snapshots(self, events: BookEvents, after: NDArray[np.int64] | Sequence[int], *, levels: int = 10) -> DepthSnapshots:
        """Apply events in order; the best `levels` after the first `after[s]` of them (ascending, 0 is before the first)."""
        stops = np.asarray(after, np.int64)
        depth = np.zeros((len(stops), 2, levels, 2), np.int64)
        self._run(events, np.empty((0, 4), np.int64), stops, depth)
        return DepthSnapshots(bid=depth[:, 0, :, 0], bid_shares=depth[:, 0, :, 1], ask=depth[:, 1, :, 0], ask_shares=depth[:, 1, :, 1])

    def levels(self, side: int, *, most: int | None = None) -> list[Level]:
        """A side's levels, the best first; with `most` so many."""
        rows = self._levels[self._rungs(side)[::-1][:most]]
        return [Level(price=price, shares=shares, orders=orders) for price, shares, orders in rows[:, :3].tolist()]

    def queue(self, side: int, price: int) -> list[tuple[int, int]]:
        """Orders (ref, shares) of a level in priority."""
        kernel, rungs = self._kernel, self._rungs(side)
        slot = next(iter(self._levels[rungs[self._levels[rungs, kernel.L_PRICE] == price], kernel.L_HEAD].tolist()), kernel.NONE)
        found = []
        while slot != kernel.NONE:
            order = self._orders[slot].tolist()
            found.append((order[kernel.REF], order[kernel.SHARES]))
            slot = order[kernel.NEXT]
        return found

    def _rungs(self, side: int) -> NDArray[np.int64]:
        """Slots of a side's levels, the best last."""
        which = 0 if side == BID else 1
        return np.asarray(self._ladders[which, : self._counts[which], self._kernel.R_LEVEL])

    def _run(self, events: BookEvents, best: NDArray[np.int64], stops: NDArray[np.int64], depth: NDArray[np.int64]) -> None:
        """In pieces, so that the arrays hold the orders that are alive at one time and not all of a day."""
        columns = [np.ascontiguousarray(getattr(events, name)) for name in BookEvents.__slots__]
        for start in range(0, max(len(events), 1), PIECE):
            end = start + PIECE
            piece = [column[start:end] for column in columns]
            first, last = (0 if not start else np.searchsorted(stops, start)), (len(stops) if end >= len(events) else np.searchsorted(stops, end))
            self._make_room(int(np.isin(piece[0], ADDING).sum()))
            state = (self._table, self._orders, self._levels, self._ladders, self._counts, self._counters)
            self._kernel.apply(*state, *piece, best[start:end], stops[first:last] - start, depth[first:last])

    def _make_room(self, more: int) -> None:
        """Larger arrays when so many new orders might not fit: the kernel itself never allocates."""
        kernel, size = self._kernel, len(self._orders)
        live = sum(int(self._levels[self._rungs(side), kernel.L_ORDERS].sum()) for side in (BID, ASK))
        if live + more <= size:
            return
        orders, levels, ladders = self._orders, self._levels, self._ladders
        self._table, self._orders, self._levels, self._ladders = kernel.arrays(2 * (live + more))
        self._orders[:size] = orders  # a chain of free slots ended at `size`, which is now the first new one
        self._levels[:size] = levels
        self._ladders[:, :size] = ladders
        kernel.rehash(self._table, self._orders, self._levels, self._ladders, self._counts)
