"""The three levels of the kill switch, and what a flattening order is."""

from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final
from uuid import UUID, uuid5

from apps.core.trading import Side, TradingState, WorkingOrder

#: Orders that close what a flattening found carry this as their strategy.
FLATTEN_STRATEGY: Final = "flatten"
#: A closing order that was refused, or that ended unfilled, is followed by another one not sooner than this.
RETRY_AFTER: Final = timedelta(minutes=1)
_ORDERS: Final = UUID("9d5e6a52-6a3c-4b57-8f0e-0f0c0a4c2b11")


class HaltLevel(StrEnum):
    """What one person may do alone, from mild to severe.

    PAUSE: no new position, working orders stay. CANCEL: nothing trades, working orders are cancelled. FLATTEN: working orders are
    cancelled and every position is closed at the market; nothing else trades.
    """

    PAUSE = "pause"
    CANCEL = "cancel"
    FLATTEN = "flatten"

    @property
    def state(self) -> TradingState:
        """The trading state in which the level leaves its scope."""
        return TradingState.HALTED if self is HaltLevel.CANCEL else TradingState.REDUCING


def closing_order_id(*, change_id: int, book_id: int, instrument_id: int, attempt: int) -> UUID:
    """The same for the same attempt, so that two processes that close the same position send one order."""
    return uuid5(_ORDERS, f"{change_id}:{book_id}:{instrument_id}:{attempt}")


def closing_quantity(*, held: Decimal, book_id: int, instrument_id: int, working: Iterable[WorkingOrder], lot: Decimal) -> tuple[Side, Decimal]:
    """Side and shares that close a position of `held` (signed), in whole lots, less what other orders close already; 0: nothing to send."""
    side = Side.SELL if held > 0 else Side.BUY
    closing = sum(
        (order.leaves for order in working if order.instrument_id == instrument_id and order.side is side and order.book_id in (None, book_id)),
        Decimal(0),
    )
    free = max(Decimal(0), abs(held) - closing)
    return side, free - free % lot
