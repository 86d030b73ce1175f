"""The levels of the kill switch, and how much closes a position."""

from decimal import Decimal
from uuid import uuid4

import pytest

from apps.core.trading import OrderType, Side, TimeInForce, TradingState, WorkingOrder
from apps.execution.domain.halting import HaltLevel, closing_order_id, closing_quantity


def working(side: Side, leaves: str, *, book_id: int | None = 1, instrument_id: int = 7) -> WorkingOrder:
    return WorkingOrder(
        order_id=1,
        client_order_id=uuid4(),
        instrument_id=instrument_id,
        symbol="AAPL",
        side=side,
        leaves=Decimal(leaves),
        order_type=OrderType.MARKET,
        time_in_force=TimeInForce.DAY,
        limit_price=None,
        stop_price=None,
        book_id=book_id,
    )


@pytest.mark.parametrize(
    ("held", "orders", "expected"),
    [
        ("100", [], (Side.SELL, "100")),
        ("-30", [], (Side.BUY, "30")),
        ("100", [working(Side.SELL, "40")], (Side.SELL, "60")),
        ("100", [working(Side.SELL, "100")], (Side.SELL, "0")),
        ("100", [working(Side.SELL, "40", book_id=2), working(Side.SELL, "40", instrument_id=8), working(Side.BUY, "40")], (Side.SELL, "100")),
        ("100", [working(Side.SELL, "40", book_id=None)], (Side.SELL, "60")),
        ("10.5", [], (Side.SELL, "10")),
        ("0.5", [], (Side.SELL, "0")),
    ],
)
def test_what_closes_a_position(held, orders, expected):
    side, quantity = closing_quantity(held=Decimal(held), book_id=1, instrument_id=7, working=orders, lot=Decimal(1))
    assert (side, quantity) == (expected[0], Decimal(expected[1]))


def test_only_the_middle_level_stops_everything():
    assert [level.state for level in HaltLevel] == [TradingState.REDUCING, TradingState.HALTED, TradingState.REDUCING]


def test_the_same_attempt_has_the_same_id_and_another_one_has_not():
    base = {"change_id": 1, "book_id": 2, "instrument_id": 3, "attempt": 0}
    assert closing_order_id(**base) == closing_order_id(**base)
    assert len({closing_order_id(**base), *(closing_order_id(**base | {name: 9}) for name in base)}) == 5
