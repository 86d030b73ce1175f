"""FIFO lots: which shares a trade closes, which it opens, and what it earns. Exact in Decimal, for long and short.

Signs: a quantity is + in and - out; an amount is the change of cash, fees included; a cost is signed like the quantity it
paid for (cash paid for a long lot, minus the cash received for a short one). So a trade that opens a lot has
cost = -amount, and one that closes a lot earns amount - cost, whichever way round.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext

from apps.core.money import ZERO, money

# A quantity and a price have up to 18 digits each: their product, exact, does not fit Python's default of 28.
PRECISION = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenLot:
    """What is left of a lot. `remaining` (not 0) and `cost` (of what remains) are signed alike."""

    lot_id: int
    remaining: Decimal
    cost: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Closure:
    """The piece of a lot that a trade closes. `quantity` and `cost` are signed like the lot, `proceeds` is the change of cash."""

    lot_id: int
    quantity: Decimal
    cost: Decimal
    proceeds: Decimal

    @property
    def realised(self) -> Decimal:
        return self.proceeds - self.cost


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """The lot that a trade opens with what it did not need for closing."""

    quantity: Decimal
    cost: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """What one trade does to the lots of its position: closures first (FIFO), then at most one opening."""

    closures: tuple[Closure, ...]
    opening: Opening | None

    @property
    def cost_change(self) -> Decimal:
        """Change of the position's cost."""
        opened = ZERO if self.opening is None else self.opening.cost
        return opened - sum((closure.cost for closure in self.closures), ZERO)

    @property
    def realised(self) -> Decimal:
        return sum((closure.realised for closure in self.closures), ZERO)


def trade_amount(*, quantity: Decimal, price: Decimal, fee: Decimal) -> Decimal:
    """Change of cash by a trade: -(quantity x price), rounded half up to four places, - fee. The database checks the same rule."""
    with localcontext(prec=PRECISION):
        return -money(quantity * price) - fee


def trade_book(*, open_lots: Sequence[OpenLot], quantity: Decimal, amount: Decimal) -> Booking:
    """Book a trade of signed `quantity` (not 0) and `amount` against the open lots, given oldest first, all of one sign.

    A trade against the position closes lots in their order; what is left after the last one opens a lot the other way.
    Every part of the amount goes to exactly one piece: the pieces add up to it, and those of a lot to its cost.
    """
    with localcontext(prec=PRECISION):
        pieces = list(_pieces(open_lots, quantity))
        parts = split_amount(amount, [-closed for _, closed in pieces], quantity)
        closures = tuple(
            Closure(lot_id=lot.lot_id, quantity=closed, cost=cost_of(lot, closed), proceeds=part)
            for (lot, closed), part in zip(pieces, parts[:-1], strict=True)
        )
        opened = quantity + sum((closed for _, closed in pieces), ZERO)
        return Booking(closures=closures, opening=Opening(quantity=opened, cost=-parts[-1]) if opened else None)


def _pieces(open_lots: Sequence[OpenLot], quantity: Decimal) -> Iterator[tuple[OpenLot, Decimal]]:
    """Each lot that is closed, with how much of it (signed like the lot)."""
    left = quantity
    for lot in open_lots:
        if not left or (lot.remaining > 0) == (left > 0):
            return
        closed = lot.remaining if abs(lot.remaining) <= abs(left) else -left
        left += closed
        yield lot, closed


def split_amount(amount: Decimal, parts: Sequence[Decimal], whole: Decimal) -> list[Decimal]:
    """The amount split in proportion to `parts` of `whole`, to four places, with one more item for what remains of the whole.

    Cuts are rounded where they fall on the running sum, so no piece is off by more than one unit of the last place,
    and the last piece takes the rest.
    """
    cuts, reached = [ZERO], ZERO
    for part in parts:
        reached += part
        cuts.append(amount if reached == whole else money(amount * reached / whole))
    return [after - before for before, after in zip(cuts, [*cuts[1:], amount], strict=True)]


def cost_of(lot: OpenLot, closed: Decimal) -> Decimal:
    """Cost of a piece of what remains of the lot; the last piece takes the rest."""
    return lot.cost if closed == lot.remaining else money(lot.cost * closed / lot.remaining)
