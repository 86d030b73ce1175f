"""What a book is made of: events as columns, states, faults, and the book as it is read.

Prices of orders are int64 in ticks of 0.0001, as ITCH has them; shares are int64. Both sides are codes: +1 bid, -1 ask.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from apps.marketdata.domain.ticks import OrderEventSeries

TICKS_PER_UNIT: Final = 10_000
BID: Final = 1
ASK: Final = -1


class BookState(StrEnum):
    """DIRTY: something was missed, the book may be wrong until it is built anew. CROSSED: best bid at or above best ask. DIRTY is said first."""

    OK = "OK"
    DIRTY = "DIRTY"
    CROSSED = "CROSSED"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BookEvents:
    """Order events of one book in the venue's order, all [T]: see `domain.ticks.OrderEventSeries`; price in ticks, 0 where there is none."""

    letter: NDArray[np.int16]
    ref: NDArray[np.int64]
    new_ref: NDArray[np.int64]
    side: NDArray[np.int16]
    price: NDArray[np.int64]
    shares: NDArray[np.int64]
    printable: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.letter)

    def take(self, rows: slice) -> "BookEvents":
        """A part of them."""
        return BookEvents(**{name: getattr(self, name)[rows] for name in self.__slots__})


@dataclass(frozen=True, slots=True, kw_only=True)
class BookFaults:
    """What did not fit. Each makes the book DIRTY.

    `unknown`: events for an order that the book has not. `repeated`: new orders under a number that is in the book. `excess`: more shares taken
    from an order than it had; it is removed.
    """

    unknown: int = 0
    repeated: int = 0
    excess: int = 0

    @property
    def total(self) -> int:
        return self.unknown + self.repeated + self.excess


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """A price level: price in ticks, shares of all its orders, number of orders."""

    price: int
    shares: int
    orders: int


class OrderBook(Protocol):
    """A book that order events build. The reference and the compiled engine both are one, and give the same answers."""

    @property
    def faults(self) -> BookFaults: ...

    @property
    def volume(self) -> int:
        """Traded shares that count as volume: E, C when printable, P and Q."""

    def apply(self, events: BookEvents) -> None:
        """Apply events in order."""

    def levels(self, side: int) -> list[Level]:
        """A side's levels, the best first."""

    def queue(self, side: int, price: int) -> list[tuple[int, int]]:
        """Orders (ref, shares) of a level in priority, the first to trade first; empty when there is no such level."""


def state_of(faults: BookFaults, best_bid: int | None, best_ask: int | None) -> BookState:
    """The state of a book with these best prices (None: that side is empty)."""
    if faults.total:
        return BookState.DIRTY
    crossed = best_bid is not None and best_ask is not None and best_bid >= best_ask
    return BookState.CROSSED if crossed else BookState.OK


def book_state(book: OrderBook) -> BookState:
    """The state of a book."""
    best = {side: next(iter(book.levels(side)), None) for side in (BID, ASK)}
    return state_of(book.faults, *(level.price if level else None for level in (best[BID], best[ASK])))


def book_events(series: OrderEventSeries) -> BookEvents:
    """Stored events as the engines take them."""
    return BookEvents(
        letter=series.letter,
        ref=series.ref,
        new_ref=series.new_ref,
        side=series.side,
        price=np.rint(series.price * TICKS_PER_UNIT).astype(np.int64),
        shares=series.shares,
        printable=series.printable,
    )
