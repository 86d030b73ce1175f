"""Which open lots a trade closes under each lot method, in whole numbers: posting and rebuild share it, so they cannot differ.

Units: quantities in millionths of a share, money in ten-thousandths (`apps.core.money`). Signs as in `domain.lots`. Lots come as sequences
that begin with (remaining, cost of what remains), all of one side, in the order of acquisition. Whole numbers are exact and about ten
times as fast as Decimal, which is what a million entries need.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

from apps.core.errors import InvalidInput
from apps.core.money import MONEY_PLACES, QUANTITY_PLACES

QUANTITY_UNIT = 10**QUANTITY_PLACES
MONEY_UNIT = 10**MONEY_PLACES
#: Costs per share are compared as whole numbers of this fraction: two that differ do so by more than 1e-36.
_UNIT_COST = 10**40

Lot = Sequence[int]
Piece = tuple[int, int, int]  # position of the lot in its sequence, quantity closed, cost of that; signed like the lot


class LotMethod(StrEnum):
    """Which lots a sale closes first."""

    FIFO = "fifo"
    LIFO = "lifo"
    HIFO = "hifo"
    AVERAGE = "average"
    SPECIFIC = "specific"


def rounded(numerator: int, denominator: int) -> int:
    """The quotient as a whole number, halves away from zero, as `money` and the database round."""
    quotient = (2 * abs(numerator) + abs(denominator)) // (2 * abs(denominator))
    return quotient if (numerator < 0) == (denominator < 0) else -quotient


def closing_pieces(lots: Sequence[Lot], *, quantity: int, method: LotMethod) -> list[Piece]:
    """The pieces that a trade of signed `quantity` closes; none when it goes with the position. SPECIFIC without names is FIFO."""
    if not lots or (lots[0][0] > 0) == (quantity > 0):
        return []
    if method is LotMethod.AVERAGE:
        return _pro_rata(lots, -quantity)
    return _in_order(lots, _order(lots, method), -quantity)


def named_pieces(lots: Sequence[Lot], *, quantity: int, named: Mapping[int, int]) -> list[Piece]:
    """The pieces that the caller named: position of a lot -> how much of it, signed like the lot.

    Raises InvalidInput (field "lots") for more than a lot has, for the wrong side, and when the pieces are not the trade's quantity.
    """
    for at, closed in named.items():
        remaining = lots[at][0]
        if not closed or (closed > 0) != (remaining > 0) or abs(closed) > abs(remaining):
            raise InvalidInput(f"{closed / QUANTITY_UNIT:f} cannot be closed of a lot with {remaining / QUANTITY_UNIT:f}", field="lots")
    if sum(named.values()) != -quantity:
        raise InvalidInput(f"the lots named make {sum(named.values()) / QUANTITY_UNIT:f}, the trade {quantity / QUANTITY_UNIT:f}", field="lots")
    return [(at, closed, _cost(lots[at], closed)) for at, closed in named.items()]


def _order(lots: Sequence[Lot], method: LotMethod) -> Iterable[int]:
    if method is LotMethod.LIFO:
        return range(len(lots) - 1, -1, -1)
    if method is LotMethod.HIFO:
        # A short lot's cost is minus what was received: its highest cost is the lowest price sold at. Either way the smallest gain first.
        return sorted(range(len(lots)), key=lambda at: -lots[at][1] * _UNIT_COST // abs(lots[at][0]))
    return range(len(lots))


def _in_order(lots: Sequence[Lot], order: Iterable[int], wanted: int) -> list[Piece]:
    pieces = []
    for at in order:
        remaining = lots[at][0]
        closed = remaining if abs(remaining) <= abs(wanted) else wanted
        pieces.append((at, closed, _cost(lots[at], closed)))
        wanted -= closed
        if not wanted:
            break
    return pieces


def _cost(lot: Lot, closed: int) -> int:
    """Cost of a piece of what remains; the last piece takes the rest."""
    return lot[1] if closed == lot[0] else rounded(lot[1] * closed, lot[0])


def _pro_rata(lots: Sequence[Lot], wanted: int) -> list[Piece]:
    """The same part of every lot. What is closed costs the average of the whole; rounding falls on the running sums.

    A lot that is emptied gives all its cost, and one from which nothing is taken gives none: the others take the difference. Only when
    there are no others, among lots of a millionth of a share, is the cost not the average.
    """
    whole, cost = sum(lot[0] for lot in lots), sum(lot[1] for lot in lots)
    if abs(wanted) >= abs(whole):
        return [(at, lot[0], lot[1]) for at, lot in enumerate(lots)]
    closed = running_cuts([lot[0] for lot in lots], of=whole, amount=wanted)
    emptied = sum(lot[1] for lot, part in zip(lots, closed, strict=True) if part == lot[0])
    others = [at for at, part in enumerate(closed) if part and part != lots[at][0]]
    weights = [lots[at][1] for at in others]
    if not sum(weights):
        weights = [closed[at] for at in others]
    costs = dict(zip(others, running_cuts(weights, of=sum(weights), amount=rounded(cost * wanted, whole) - emptied), strict=True))
    return [(at, part, costs.get(at, lots[at][1])) for at, part in enumerate(closed) if part]


def running_cuts(parts: Iterable[int], *, of: int, amount: int) -> list[int]:
    """`amount` in proportion to `parts` of the whole `of`. No piece is off by more than one unit, and all parts together get it all."""
    pieces, reached, before = [], 0, 0
    for part in parts:
        reached += part
        cut = amount if reached == of else rounded(amount * reached, of)
        pieces.append(cut - before)
        before = cut
    return pieces


def split_quantity(quantity: int, *, new: int, old: int) -> int:
    """A lot's quantity after a split of `old` shares into `new`: rounded, but never to nothing."""
    changed = max(1, rounded(abs(quantity) * new, old)) if quantity else 0
    return changed if quantity > 0 else -changed
