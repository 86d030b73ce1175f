"""Numbers of an order as people read them."""

from decimal import ROUND_HALF_EVEN, Decimal

from apps.core.trading import Side

BASIS_POINT = Decimal("0.0001")
TENTH = Decimal("0.1")


def trimmed(value: Decimal | None) -> str | None:
    """The number as JSON carries it: no trailing zeros, no exponent; None for None."""
    if value is None:
        return None
    return format(value.normalize(), "f") if value else "0"


def slippage_bps(*, side: Side, average_price: Decimal | None, arrival_price: Decimal | None) -> Decimal | None:
    """How much worse than the arrival price it traded, in basis points to one place; positive is a cost, None while one is unknown."""
    if average_price is None or not arrival_price:
        return None
    return (side.sign * (average_price - arrival_price) / arrival_price / BASIS_POINT).quantize(TENTH, ROUND_HALF_EVEN)


def slipped(price: Decimal, *, side: Side, bps: Decimal) -> Decimal:
    """The price made worse for this side by `bps`."""
    return price * (1 + side.sign * bps * BASIS_POINT)
