from decimal import Decimal

import pytest

from apps.core import clock
from apps.core.errors import Conflict
from apps.execution.models import Order
from apps.execution.services.orders import order_submit
from apps.execution.services.preview import order_preview


def preview(desk, **fields):
    return order_preview(intent=desk.intent(**fields), user=desk.trader, at=clock.now())


def test_the_preview_says_what_the_order_then_costs(desk):
    seen = preview(desk)
    assert seen.allowed
    assert (seen.estimated_price, seen.estimated_value) == (Decimal("100.05"), Decimal("1000.5000"))
    assert (seen.estimated_slippage, seen.commission) == (Decimal("0.5000"), Decimal("1.0000"))
    assert (seen.cash_before, seen.cash_after) == (Decimal(100_000), Decimal("98998.50"))
    assert (seen.position_before, seen.position_after) == (0, 10)
    desk.submit()
    assert preview(desk, side="sell").cash_before == seen.cash_after


def test_the_preview_judges_as_the_gate_does_and_stores_nothing(desk):
    intent = desk.intent(quantity="100000")
    seen = order_preview(intent=intent, user=desk.trader, at=clock.now())
    assert not seen.allowed
    assert not Order.objects.exists()
    order = order_submit(intent=intent, user=desk.trader, at=clock.now())
    blocked = [check.code for _, check in seen.checks if check.outcome == "block"]
    assert order.reason == ", ".join(blocked)
    assert {authority for authority, _ in seen.checks} == {"risk", "compliance"}


@pytest.mark.parametrize(
    ("fields", "price"),
    [
        ({"side": "sell"}, "99.95"),
        ({"order_type": "limit", "limit_price": "99.50"}, "99.50"),
        ({"order_type": "stop", "stop_price": "102"}, "102.051"),
        ({"order_type": "stop_limit", "stop_price": "102", "limit_price": "103"}, "103"),
    ],
)
def test_the_estimated_price(desk, fields, price):
    assert preview(desk, **fields).estimated_price == Decimal(price)


def test_without_an_account_nothing_can_be_said(desk):
    intent = desk.intent()
    desk.account.delete()
    with pytest.raises(Conflict):
        order_preview(intent=intent, user=desk.trader, at=clock.now())
