"""What an engine may decide in a cycle: its own limits, what a stop still has to sell, and ids that never change."""

from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.trading import Side
from apps.execution.domain.cycles import BEFORE_ORDERS, CycleStep, Room, exit_quantity, own_limits, stop_order_id
from apps.execution.domain.engine_config import RiskConfig

ROOM = Room(held=Decimal(0), exposure=Decimal(0), orders_last_minute=0, symbol_orders_last_minute=0)


def broken(config, *, side=Side.BUY, quantity="100", price="10", room=ROOM):
    return [code for code, _ in own_limits(config, side=side, quantity=Decimal(quantity), price=Decimal(price), room=room)]


def test_there_are_eleven_steps_and_the_first_eight_come_before_any_order():
    assert [step.value for step in CycleStep] == list(range(1, 12))
    assert [step.value for step in BEFORE_ORDERS] == list(range(1, 9))
    assert all(step.label for step in CycleStep)


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        ({"max_position_size": Decimal(99)}, "POSITION_SIZE_LIMIT"),
        ({"max_position_value": Decimal("999.99")}, "POSITION_VALUE_LIMIT"),
        ({"max_total_exposure": Decimal(999)}, "TOTAL_EXPOSURE_LIMIT"),
    ],
)
def test_an_order_beyond_an_own_limit_is_refused_and_one_at_it_is_not(limits, code):
    assert broken(RiskConfig(**limits)) == [code]
    assert broken(RiskConfig(**{name: Decimal(1000) for name in limits})) == []
    assert broken(RiskConfig(**limits), side=Side.SELL) == []


def test_rates_count_the_order_itself():
    busy = Room(held=Decimal(0), exposure=Decimal(0), orders_last_minute=2, symbol_orders_last_minute=1)
    assert broken(RiskConfig(max_orders_per_minute=3, max_orders_per_symbol_per_minute=2), room=busy) == []
    assert broken(RiskConfig(max_orders_per_minute=2, max_orders_per_symbol_per_minute=1), room=busy) == ["RATE_LIMIT_GLOBAL", "RATE_LIMIT_SYMBOL"]


@given(st.decimals("0", "1000000", places=2), st.decimals("-1000000", "0", places=2))
def test_a_stop_never_sells_more_than_is_held(held, leaves):
    quantity = exit_quantity(held=held, leaves=leaves)
    assert 0 <= quantity <= held
    assert quantity - leaves <= max(held, -leaves)


def test_the_id_of_a_stop_is_the_same_on_every_host():
    made = stop_order_id(strategy="macd", book_id=7, symbol="AAPL", cycle=3)
    assert made == UUID("785fbca4-8845-5830-a1aa-f72dff0821a5")
    assert made != stop_order_id(strategy="macd", book_id=7, symbol="AAPL", cycle=4)
