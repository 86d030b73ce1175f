"""Replaying a ledger in whole numbers (units of `domain.closing`): what lots, closures, positions and cash must be. No database, no Decimal."""

import json
from array import array
from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass, field

from apps.portfolios.domain.closing import LotMethod, Piece, closing_pieces, named_pieces, running_cuts, split_quantity

_METHODS = {method.value: method for method in LotMethod}

# A lot is a list, the cheapest thing that can change: what closing reads first, then its age, then how it was opened.
REMAINING, REMAINING_COST, OPENED_AT, ENTRY_ID, QUANTITY, COST = range(6)
Lot = list[int]


@dataclass(slots=True)
class Line:
    """A position while it is rebuilt. `lots` are all that were ever opened, `open` the open ones in order of acquisition."""

    quantity: int = 0
    cost: int = 0
    realised: int = 0
    last_entry_id: int = 0
    lots: list[Lot] = field(default_factory=list)
    open: list[Lot] = field(default_factory=list)


@dataclass(slots=True)
class Cash:
    """Cash in one currency while it is rebuilt."""

    amount: int = 0
    last_entry_id: int = 0


#: What is said of a piece that an entry closed: that entry, the one that opened the lot, quantity and cost (signed like the lot), proceeds.
CLOSED = 5


def _none_closed() -> "array[int]":
    return array("q")


@dataclass(slots=True)
class Replay:
    """The projections of one ledger, as far as it was replayed. `lines` by (book, instrument), `cash` by currency, `closed` one piece after another,
    `CLOSED` numbers each: an array, because there are millions of them."""

    lines: dict[tuple[int, int], Line] = field(default_factory=dict)
    cash: dict[str, Cash] = field(default_factory=dict)
    closed: "array[int]" = field(default_factory=_none_closed)
    entries: int = 0

    def take(self, row: "Row") -> None:
        """Replay the next entry, in order of their numbers."""
        entry_id, book_id, kind, instrument_id, quantity, amount, currency, base_amount, at, method, picks, moved = row
        self.entries += 1
        balance = self.cash.get(currency)
        if balance is None:
            balance = self.cash[currency] = Cash()
        balance.amount += amount
        balance.last_entry_id = entry_id
        if kind == "cash":
            return
        key = (book_id, instrument_id)
        line = self.lines.get(key)
        if line is None:
            line = self.lines[key] = Line()
        if kind == "trade":
            _trade(self, line, entry_id, quantity, base_amount, at, method, picks)
        elif kind == "split":
            _split(line, at, moved[0])
        elif picks:
            _give(self, line, entry_id, quantity, picks, moved[1])
        else:
            _open(line, [quantity, moved[1], moved[2], entry_id, quantity, moved[1]])
            line.cost += moved[1]
        line.quantity += quantity
        line.last_entry_id = entry_id


#: id, book, "trade" | "cash" | "split" | "transfer", instrument, quantity, amount, currency, base amount, effective at [us], lot method,
#: named lots as JSON or "", and of what is moved (ratio [1e-10], cost, acquired at [us]).
Row = tuple[int, int, str, int, int, int, str, int, int, str, str, tuple[int, int, int]]
RATIO_UNIT = 10**10


def _trade(replay: Replay, line: Line, entry_id: int, quantity: int, amount: int, at: int, method: str, picks: str) -> None:
    lots = line.open
    if lots and (lots[0][REMAINING] > 0) != (quantity > 0):
        if picks:
            pieces = named_pieces(lots, quantity=quantity, named=_named(lots, picks))
        else:
            pieces = closing_pieces(lots, quantity=quantity, method=_METHODS[method])
        opened = quantity + sum([part for _, part, _ in pieces])
        whole = len(pieces) == 1 and not opened
        proceeds = [amount] if whole else running_cuts([-part for _, part, _ in pieces], of=quantity, amount=amount)
        cost = _close(replay, line, entry_id, pieces, proceeds)
        earned = sum(proceeds)
        line.cost -= cost
        line.realised += earned - cost
        if not opened:
            return
        amount -= earned
        quantity = opened
    _open(line, [quantity, -amount, at, entry_id, quantity, -amount])
    line.cost -= amount


def _named(lots: list[Lot], picks: str) -> dict[int, int]:
    places = {lot[ENTRY_ID]: at for at, lot in enumerate(lots)}
    return {places[entry_id]: _millionths(part) for entry_id, part in json.loads(picks)}


def _millionths(text: str) -> int:
    """A decimal number of at most six places, as whole millionths."""
    whole, _, places = text.partition(".")
    return int(whole + places.ljust(6, "0"))


def _close(replay: Replay, line: Line, entry_id: int, pieces: list[Piece], proceeds: Sequence[int]) -> int:
    """Take the pieces out of their lots. Returns what they cost."""
    emptied = []
    total = 0
    for (at, closed, cost), received in zip(pieces, proceeds, strict=True):
        lot = line.open[at]
        lot[REMAINING] -= closed
        lot[REMAINING_COST] -= cost
        total += cost
        replay.closed.extend((entry_id, lot[ENTRY_ID], closed, cost, received))
        if not lot[REMAINING]:
            emptied.append(at)
    for at in sorted(emptied, reverse=True):
        del line.open[at]
    return total


def _open(line: Line, lot: Lot) -> None:
    line.lots.append(lot)
    age = (lot[OPENED_AT], lot[ENTRY_ID])
    if not line.open or (line.open[-1][OPENED_AT], line.open[-1][ENTRY_ID]) < age:
        line.open.append(lot)
    else:
        insort(line.open, lot, key=lambda other: (other[OPENED_AT], other[ENTRY_ID]))


def _split(line: Line, at: int, ratio: int) -> None:
    for lot in line.open:
        if lot[OPENED_AT] < at:
            lot[REMAINING] = split_quantity(lot[REMAINING], new=ratio, old=RATIO_UNIT)
            lot[QUANTITY] = split_quantity(lot[QUANTITY], new=ratio, old=RATIO_UNIT)


def _give(replay: Replay, line: Line, entry_id: int, quantity: int, picks: str, cost: int) -> None:
    """A piece of a lot goes to another book at its cost; quantity and cost are signed against the lot."""
    ((at, closed),) = _named(line.open, picks).items()
    if closed != -quantity:
        raise ValueError(f"a transfer of {quantity} names {closed}")
    _close(replay, line, entry_id, [(at, closed, -cost)], [-cost])
    line.cost += cost
