"""What execution does when a lower app announces something."""

from datetime import datetime
from typing import Any

from apps.core import clock
from apps.core.trading import TradingState
from apps.execution.services.groups import group_advance
from apps.execution.services.orders import working_orders_cancel


def cancel_when_halted(*, portfolio_id: int | None, state: TradingState, at: datetime, reason: str = "", **_: Any) -> None:
    """A halt cancels what works; a release and REDUCING cancel nothing, because reductions may go on."""
    if state == TradingState.HALTED:
        working_orders_cancel(portfolio_id=portfolio_id, reason=f"trading halted: {reason}" if reason else "trading halted", at=at)


def keep_group_in_step(*, group_id: int | None = None, **_: Any) -> None:
    """A bracket's or an OCO pair's orders follow what has just happened to one of them. Asks nothing about an order of no group."""
    if group_id is not None:
        group_advance(group_id=group_id, at=clock.now())
