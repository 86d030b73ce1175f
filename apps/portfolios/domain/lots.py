"""Lots: which shares a trade closes, which it opens, and what it earns. Exact in Decimal, for long and short.

Signs: a quantity is + in and - out; an amount is the change of cash, fees included; a cost is signed like the quantity it
paid for (cash paid for a long lot, minus the cash received for a short one). So a trade that opens a lot has
cost = -amount, and one that closes a lot earns amount - cost, whichever way round. Money is in the portfolio's base currency.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext

from apps.core.errors import InvalidInput
from apps.core.money import MONEY_PLACES, QUANTITY_PLACES, ZERO, money
from apps.portfolios.domain.closing import LotMethod, Piece, closing_pieces, named_pieces, running_cuts

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
    """What one entry does to the lots of its position: closures first, then at most one opening."""

    closures: tuple[Closure, ...] = ()
    opening: Opening | None = None

    @property
    def cost_change(self) -> Decimal:
        """Change of the position's cost."""
        opened = ZERO if self.opening is None else self.opening.cost
        return opened - sum((closure.cost for closure in self.closures), ZERO)

    @property
    def realised(self) -> Decimal:
        """Gain of all closures."""
        return sum((closure.realised for closure in self.closures), ZERO)


def trade_amount(*, quantity: Decimal, price: Decimal, fee: Decimal) -> Decimal:
    """Change of cash by a trade: -(quantity x price), rounded half up to four places, less the fee."""
    with localcontext(prec=PRECISION):
        return -money(quantity * price) - fee


def base_amount(*, amount: Decimal, fx_rate: Decimal) -> Decimal:
    """An amount in the base currency: amount x rate (base per unit of its currency), rounded half up to four places."""
    with localcontext(prec=PRECISION):
        return money(amount * fx_rate)


def trade_book(
    *,
    open_lots: Sequence[OpenLot],
    quantity: Decimal,
    amount: Decimal,
    method: LotMethod = LotMethod.FIFO,
    named: Mapping[int, Decimal] | None = None,
) -> Booking:
    """Book a trade of signed `quantity` that changes cash by `amount` against `open_lots` (all of one side, in order of acquisition).

    Lots are closed in the order of `method`, or as `named` (lot id -> quantity, signed like the lot); what is then left opens a lot. The
    amount is split over the pieces by quantity, so that closures' proceeds and the opening's cost together are the amount exactly.
    Raises InvalidInput (field "lots") for named lots that do not fit.
    """
    whole = _units(quantity, QUANTITY_PLACES)
    lots = [(_units(lot.remaining, QUANTITY_PLACES), _units(lot.cost, MONEY_PLACES)) for lot in open_lots]
    by_name = named_pieces(lots, quantity=whole, named=_positions(open_lots, named)) if named else None
    pieces = closing_pieces(lots, quantity=whole, method=method) if by_name is None else by_name
    opened = whole + sum(closed for _, closed, _ in pieces)
    parts = running_cuts([*(-closed for _, closed, _ in pieces), opened], of=whole, amount=_units(amount, MONEY_PLACES))
    closures = tuple(_closure(open_lots, piece, part) for piece, part in zip(pieces, parts[:-1], strict=True))
    opening = Opening(quantity=_decimal(opened, QUANTITY_PLACES), cost=_decimal(-parts[-1], MONEY_PLACES)) if opened else None
    return Booking(closures=closures, opening=opening)


def fill_lots(
    *, named: Sequence[tuple[int, Decimal]], done: Decimal, quantity: Decimal, open_lots: Sequence[tuple[int, Decimal]]
) -> dict[int, Decimal]:
    """What one fill of an order closes, lot id -> quantity (> 0), of the lots that the order named, in its order.

    `done` is what the order had traded before and `quantity` what it trades now. A lot gives no more than there is of it (`open_lots`, all that
    the order can close, oldest first); what is then missing comes from the oldest others. Empty when all together are not enough: the
    trade closes everything, and there is nothing to choose.
    """
    left = dict(open_lots)
    if sum(left.values(), ZERO) < quantity:
        return {}
    taken: dict[int, Decimal] = {}
    wanted = []
    for lot_id, part in named:
        skipped = min(part, done)
        done -= skipped
        wanted.append((lot_id, part - skipped))
    for lot_id, part in (*wanted, *open_lots):
        if part := min(part, left.get(lot_id, ZERO), quantity):
            taken[lot_id] = taken.get(lot_id, ZERO) + part
            left[lot_id] -= part
            quantity -= part
    return taken


def _positions(open_lots: Sequence[OpenLot], named: Mapping[int, Decimal]) -> dict[int, int]:
    """The named quantities by the lots' places in the sequence. Raises InvalidInput for a lot that is not among them."""
    places = {lot.lot_id: at for at, lot in enumerate(open_lots)}
    if unknown := sorted(set(named) - set(places)):
        raise InvalidInput(f"lot {unknown[0]} is no open lot which this trade can close", field="lots")
    return {places[lot_id]: _units(closed, QUANTITY_PLACES) for lot_id, closed in named.items()}


def _closure(open_lots: Sequence[OpenLot], piece: Piece, proceeds: int) -> Closure:
    at, closed, cost = piece
    return Closure(
        lot_id=open_lots[at].lot_id,
        quantity=_decimal(closed, QUANTITY_PLACES),
        cost=_decimal(cost, MONEY_PLACES),
        proceeds=_decimal(proceeds, MONEY_PLACES),
    )


def _units(value: Decimal, places: int) -> int:
    return int(value.scaleb(places))


def _decimal(units: int, places: int) -> Decimal:
    return Decimal(units).scaleb(-places)
