"""The live channel "orders:<portfolio id>": at first the last orders, then every change of one at once."""

from typing import Any

from apps.core.models import User
from apps.core.streams import register_stream
from apps.execution.selectors.orders import orders_recent
from apps.portfolios.selectors.portfolios import portfolios_visible


def orders_snapshot(_user: User, key: str) -> dict[str, Any]:
    """The portfolio's last 100 orders, newest first."""
    return {"orders": orders_recent(int(key))}


def orders_allowed(user: User, key: str) -> bool:
    """Whoever sees the portfolio sees its orders."""
    return key.isdecimal() and portfolios_visible(user).filter(pk=int(key)).exists()


def register() -> None:
    """Declare the stream."""
    register_stream("orders", snapshot=orders_snapshot, allowed=orders_allowed)
