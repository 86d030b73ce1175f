"""What was said of an order before it was sent, beside what became of it."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from apps.core.documents import plain
from apps.core.money import ZERO, money
from apps.core.trading import OrderIntent, OrderType, Side, TimeInForce
from apps.execution.domain.amounts import slippage_bps, trimmed
from apps.execution.models import Fill, Order, OrderPreview

#: How old a preview of the same terms may be to count as the one that an order was sent on.
LINK_WITHIN = timedelta(minutes=10)
_SAME = (
    "client_order_id",
    "portfolio_id",
    "book_id",
    "instrument_id",
    "quantity",
    "limit_price",
    "stop_price",
    "trail_offset",
    "expire_at",
    "strategy",
)


def order_intent(order: Order) -> OrderIntent:
    """The order's intent as it is now. Needs the instrument at hand to cost no query."""
    return OrderIntent(
        **{name: getattr(order, name) for name in _SAME},
        symbol=order.instrument.symbol,
        side=Side(order.side),
        order_type=OrderType(order.order_type),
        time_in_force=TimeInForce(order.time_in_force),
    )


def terms_digest(intent: OrderIntent) -> str:
    """Digest of the intent without its client order id."""
    return replace(intent, client_order_id=UUID(int=0)).digest


def order_preview_of(order: Order) -> OrderPreview | None:
    """The last preview that the order's maker saw of it: under its client order id, else of the same terms a moment before it was made."""
    seen = OrderPreview.objects.filter(portfolio_id=order.portfolio_id, requested_by_id=order.created_by_id, created_at__lte=order.created_at)
    named = seen.filter(client_order_id=order.client_order_id).order_by("-id").first()
    recent = seen.filter(terms_digest=terms_digest(order_intent(order)), created_at__gte=order.created_at - LINK_WITHIN)
    return named or recent.order_by("-id").first()


def preview_compared(order: Order, fills: list[Fill]) -> dict[str, Any] | None:
    """The preview's estimates beside the prices, values and fees of what has traded; None for an order that nobody previewed.

    Values and fees are of the traded quantity, None while nothing has traded. `price_difference_bps` is against the estimate, positive
    is a cost.
    """
    preview = order_preview_of(order)
    if preview is None:
        return None
    traded, price = order.cumulative_quantity, preview.estimated_price
    value = money(sum((fill.quantity * fill.price for fill in fills), ZERO)) if traded else None
    estimated = None if price is None or not traded else money(price * traded)
    fee = sum((fill.fee for fill in fills), ZERO) if traded else None
    side = Side(order.side)
    difference = slippage_bps(side=side, average_price=order.average_price, arrival_price=price)
    cost = None if value is None or estimated is None or fee is None else side.sign * (value - estimated) + fee - preview.commission
    return {
        "id": preview.pk,
        "created_at": plain(preview.created_at),
        "allowed": preview.allowed,
        "checks": preview.content["checks"],
        "estimated_price": trimmed(price),
        "actual_price": trimmed(order.average_price),
        "price_difference_bps": None if difference is None else str(difference),
        "estimated_value": trimmed(estimated),
        "actual_value": trimmed(value),
        "estimated_fee": trimmed(preview.commission),
        "actual_fee": trimmed(fee),
        "cost_difference": trimmed(cost),
    }
