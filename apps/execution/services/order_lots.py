"""The lots that an order names: checked when it is submitted, closed when it trades."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from apps.alerts.services import alert_raise
from apps.core.errors import InvalidInput
from apps.core.money import QUANTITY_PLACES, ZERO, exact
from apps.core.trading import OrderIntent, Side
from apps.execution.domain.amounts import trimmed
from apps.execution.models import Order
from apps.portfolios.domain.lots import fill_lots
from apps.portfolios.selectors.lots import closable_lots

Lots = Sequence[tuple[int, Decimal]]


def lots_stored(lots: Lots) -> list[list[int | str]] | None:
    """As an order keeps them; None where none are named."""
    return [[lot_id, f"{part.normalize():f}"] for lot_id, part in lots] or None


def order_lots_check(*, intent: OrderIntent, lots: Lots) -> None:
    """Pass when each lot is open in the order's book, on the side that it closes, with as much as is named, and all are the order's quantity.

    Raises InvalidInput (field "lots").
    """
    there = dict(closable_lots(book_id=intent.book_id, instrument_id=intent.instrument_id, side=intent.side))
    seen: set[int] = set()
    for lot_id, given in lots:
        part = exact(given, places=QUANTITY_PLACES, field="lots")
        if lot_id in seen:
            raise InvalidInput(f"lot {lot_id} is named twice", field="lots")
        if lot_id not in there:
            raise InvalidInput(f"lot {lot_id} is no open lot of {intent.symbol} in this book which a {intent.side} closes", field="lots")
        if not 0 < part <= there[lot_id]:
            raise InvalidInput(f"lot {lot_id} has {trimmed(there[lot_id])}, not {trimmed(part)}", field="lots")
        seen.add(lot_id)
    total = sum((part for _, part in lots), ZERO)
    if total != intent.quantity:
        raise InvalidInput(f"the lots named make {trimmed(total)}, the order {trimmed(intent.quantity)}", field="lots")


def order_lots_of_fill(order: Order, *, quantity: Decimal, done: Decimal, at: datetime) -> dict[int, Decimal] | None:
    """What a fill closes, signed like the lots; None where the lot method decides. A named lot that is gone is told to who placed the order."""
    named = [(int(lot_id), Decimal(part)) for lot_id, part in order.lots or ()]
    there = closable_lots(book_id=order.book_id, instrument_id=order.instrument_id, side=Side(order.side))
    taken = fill_lots(named=named, done=done, quantity=quantity, open_lots=there)
    if not taken or set(taken) - {lot_id for lot_id, _ in named}:
        alert_raise(
            code="LOTS_NOT_THERE",
            severity="warning",
            title=f"Order {order.pk} could not close the lots that it names",
            detail="They were closed or moved before it traded, or it was made larger: the rest came from the oldest open lots.",
            subject=f"order:{order.pk}",
            key=f"lots:{order.pk}",
            portfolio_id=order.portfolio_id,
            data={"order_id": order.pk, "named": order.lots, "closed": {str(lot_id): trimmed(part) for lot_id, part in taken.items()}},
            recipients=[order.created_by_id],
            occurred_at=at,
            recorded_at=at,
        )
    sign = -Side(order.side).sign
    return {lot_id: sign * part for lot_id, part in taken.items()} or None
