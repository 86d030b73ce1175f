"""Open lots as an order can close them."""

from decimal import Decimal

from apps.core.trading import Side
from apps.portfolios.models import Lot


def closable_lots(*, book_id: int, instrument_id: int, side: Side) -> list[tuple[int, Decimal]]:
    """What an order of this side can close of an instrument in a book: (lot id, quantity > 0), oldest first."""
    lots = Lot.objects.filter(book_id=book_id, instrument_id=instrument_id, **{"remaining__gt" if side is Side.SELL else "remaining__lt": 0})
    return [(lot_id, abs(remaining)) for lot_id, remaining in lots.order_by("opened_at", "id").values_list("id", "remaining")]
