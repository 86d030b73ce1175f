"""Where a long position stands to a stop: a fraction of its average cost by which it may fall."""

from decimal import Decimal

from apps.core.money import PRICE_PLACES

ONE = Decimal(1)


def change_from_cost(*, quantity: Decimal, cost: Decimal, market_value: Decimal | None) -> Decimal | None:
    """Market value / cost - 1: a fraction, negative for a loss. None for what is not long, costs nothing or has no price."""
    return None if market_value is None or quantity <= 0 or cost <= 0 else market_value / cost - ONE


def stop_price(average_cost: Decimal, threshold: Decimal) -> Decimal:
    """The price below which a position has fallen through its stop, in the currency of its cost; `threshold` is a fraction (> 0)."""
    return round(average_cost * (ONE - threshold), PRICE_PLACES)
