"""Which open lots a trade closes under each lot method, in whole numbers: posting and rebuild share it, so they cannot differ.

Units: quantities in millionths of a share, money in ten-thousandths (`apps.core.money`). Signs as in `domain.lots`. Lots come as sequences
that begin with (remaining, cost of what remains), all of one side, in the order of acquisition. Whole numbers are exact and about ten
times as fast as Decimal, which is what a million entries need.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from itertools import accumulate
from operator import eq, sub

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
    if denominator < 0:
        numerator, denominator = -numerator, -denominator
    if numerator < 0:
        return -((denominator - 2 * numerator) // (2 * denominator))
    return (denominator + 2 * numerator) // (2 * denominator)


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
        return _dearest_first(lots)
    return range(len(lots))


def _dearest_first(lots: Sequence[Lot]) -> Iterable[int]:
    """By cost per share, the highest first; equal ones in order of acquisition."""
    # A quotient of whole numbers is rounded correctly: it may be equal where the exact ones differ, but never the other way round.
    rough = [lot[1] / lot[0] for lot in lots]
    if len(set(rough)) == len(rough):
        return sorted(range(len(lots)), key=rough.__getitem__, reverse=lots[0][0] > 0)
    return sorted(range(len(lots)), key=lambda at: -lots[at][1] * _UNIT_COST // abs(lots[at][0]))


def _in_order(lots: Sequence[Lot], order: Iterable[int], wanted: int) -> list[Piece]:
    pieces = []
    for at in order:
        remaining, cost = lots[at][0], lots[at][1]
        if (remaining > wanted) if wanted > 0 else (remaining < wanted):
            pieces.append((at, wanted, rounded(cost * wanted, remaining)))
            break
        pieces.append((at, remaining, cost))
        wanted -= remaining
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
    sizes, costs = [lot[0] for lot in lots], [lot[1] for lot in lots]
    whole, cost = sum(sizes), sum(costs)
    if abs(wanted) >= abs(whole):
        return list(zip(range(len(lots)), sizes, costs, strict=True))
    closed, paid = running_cuts(sizes, of=whole, amount=wanted), rounded(cost * wanted, whole)
    if cost and 0 not in closed and not any(map(eq, closed, sizes)):
        return list(zip(range(len(lots)), closed, running_cuts(costs, of=cost, amount=paid), strict=True))
    others = [at for at, part in enumerate(closed) if part and part != sizes[at]]
    weights = [costs[at] for at in others]
    if not sum(weights):
        weights = [closed[at] for at in others]
    emptied = sum([costs[at] for at, part in enumerate(closed) if part == sizes[at]])
    for at, share in zip(others, running_cuts(weights, of=sum(weights), amount=paid - emptied), strict=True):
        costs[at] = share
    return [(at, part, costs[at]) for at, part in enumerate(closed) if part]


def running_cuts(parts: Iterable[int], *, of: int, amount: int) -> list[int]:
    """`amount` in proportion to `parts` of the whole `of`. No piece is off by more than one unit, and all parts together get it all."""
    # `rounded`, written out: a ledger that closes by the average comes here once for each open lot.
    whole, twice = (of, 2 * amount) if of > 0 else (-of, -2 * amount)
    double = 2 * whole
    cuts = [(whole + r) // double if (r := twice * reached) >= 0 else -((whole - r) // double) for reached in accumulate(parts)]
    return list(map(sub, cuts, [0, *cuts]))


def split_quantity(quantity: int, *, new: int, old: int) -> int:
    """A lot's quantity after a split of `old` shares into `new`: rounded, but never to nothing."""
    changed = max(1, rounded(abs(quantity) * new, old)) if quantity else 0
    return changed if quantity > 0 else -changed
