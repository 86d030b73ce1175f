"""The order book in readable Python: what the compiled engine is held against, and what a measure of a few events uses.

Rules (Nasdaq TotalView-ITCH 5.0, section 4): A and F add an order behind those of its price; E, C and X take shares from one, which keeps
its place; D removes it; U removes it and adds another of the same side under a new number, behind those of its price. An order without
shares is gone. P, Q and B tell of trades beside the book.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from apps.marketdata.domain.book.events import ASK, BID, BookEvents, BookFaults, Level


@dataclass(slots=True)
class _Order:
    side: int
    price: int
    shares: int


class ReferenceBook:
    """See `OrderBook`."""

    def __init__(self) -> None:
        self.volume = 0
        self._unknown = self._repeated = self._excess = 0
        self._orders: dict[int, _Order] = {}
        #: side -> price -> orders in priority (a dict keeps the order in which they came).
        self._levels: dict[int, dict[int, dict[int, _Order]]] = {BID: {}, ASK: {}}

    @property
    def faults(self) -> BookFaults:
        return BookFaults(unknown=self._unknown, repeated=self._repeated, excess=self._excess)

    def apply(self, events: BookEvents) -> None:
        """Apply events in order."""
        for letter, ref, new_ref, side, price, shares, printable in _rows(events):
            self.event(letter, ref, new_ref, side, price, shares, printable)

    def event(self, letter: str, ref: int, new_ref: int, side: int, price: int, shares: int, printable: bool) -> None:
        """Apply one event."""
        if letter in "AF":
            self._add(ref, side, price, shares)
        elif letter in "EX":
            self._reduce(ref, shares, traded=letter == "E")
        elif letter == "C":
            self._reduce(ref, shares, traded=printable)
        elif letter == "D":
            self._remove(ref)
        elif letter == "U":
            old = self._remove(ref)
            if old is not None:
                self._add(new_ref, old.side, price, shares)
        elif letter in "PQ":
            self.volume += shares

    def levels(self, side: int) -> list[Level]:
        """A side's levels, the best first."""
        return [
            Level(price=price, shares=sum(order.shares for order in orders.values()), orders=len(orders))
            for price, orders in sorted(self._levels[side].items(), reverse=side == BID)
        ]

    def queue(self, side: int, price: int) -> list[tuple[int, int]]:
        """Orders (ref, shares) of a level in priority."""
        return [(ref, order.shares) for ref, order in self._levels[side].get(price, {}).items()]

    def _add(self, ref: int, side: int, price: int, shares: int) -> None:
        if ref in self._orders:
            self._repeated += 1
            return
        order = _Order(side, price, shares)
        self._orders[ref] = order
        self._levels[side].setdefault(price, {})[ref] = order

    def _reduce(self, ref: int, shares: int, *, traded: bool) -> None:
        order = self._orders.get(ref)
        if order is None:
            self._unknown += 1
            return
        if traded:
            self.volume += min(shares, order.shares)
        if shares >= order.shares:
            self._excess += shares > order.shares
            self._remove(ref)
        else:
            order.shares -= shares

    def _remove(self, ref: int) -> _Order | None:
        order = self._orders.pop(ref, None)
        if order is None:
            self._unknown += 1
            return None
        level = self._levels[order.side][order.price]
        del level[ref]
        if not level:
            del self._levels[order.side][order.price]
        return order


def _rows(events: BookEvents) -> Iterator[tuple[str, int, int, int, int, int, bool]]:
    columns = (events.ref, events.new_ref, events.side, events.price, events.shares, events.printable)
    return zip(map(chr, events.letter.tolist()), *(column.tolist() for column in columns), strict=True)
