"""An order from the ticket to the ledger, and every way in which it must not get there."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, InternalError, ProgrammingError, connection, transaction

from apps.core.errors import Conflict
from apps.execution.models import Order, OrderStatus
from apps.execution.services.orders import order_cancel, order_submit
from apps.portfolios.models import LedgerEntry, Position
from apps.portfolios.selectors.holdings import holdings
from apps.portfolios.services.rebuild import positions_rebuild
from apps.risk.selectors.state import trading_state
from apps.risk.services.state import trading_halt, trading_release
from tests.flows.conftest import SmallDesk

REFUSED = (IntegrityError, InternalError, ProgrammingError)


def test_a_market_order_becomes_a_position(small_desk: SmallDesk) -> None:
    order = order_submit(intent=small_desk.intent(), user=small_desk.trader, at=small_desk.now)
    fill = order.fills.get()
    held = holdings(small_desk.portfolio.pk)
    assert order.status == OrderStatus.FILLED
    assert (fill.quantity, fill.price, fill.fee) == (Decimal(100), Decimal("100.05"), Decimal(1))  # 5 bps against the buyer, $1
    assert [(p.symbol, p.quantity, p.cost) for p in held.positions] == [("FLOW", Decimal(100), Decimal("10006"))]
    assert held.cash == Decimal(100_000) - Decimal("10006")
    assert {decision.authority for decision in order.decisions.all()} == {"risk", "compliance"}
    assert [event.to_status for event in order.events.order_by("id")] == ["pending_new", "sent", "new", "filled"]
    assert LedgerEntry.objects.filter(kind="trade").count() == 1


def test_a_denied_order_is_stored_with_every_reason(small_desk: SmallDesk) -> None:
    order = order_submit(intent=small_desk.intent(quantity="5000"), user=small_desk.trader, at=small_desk.now)
    codes = {check["code"] for decision in order.decisions.all() for check in decision.checks if check["outcome"] == "block"}
    assert order.status == OrderStatus.DENIED
    assert codes == {"INSUFFICIENT_CAPITAL", "POSITION_SIZE_LIMIT", "POSITION_VALUE_LIMIT", "TOTAL_EXPOSURE_LIMIT"}
    assert codes <= set(order.reason.split(", "))
    assert not order.fills.exists()
    assert holdings(small_desk.portfolio.pk).positions == ()


def test_the_same_client_order_id_is_one_order(small_desk: SmallDesk) -> None:
    intent = small_desk.intent()
    first = order_submit(intent=intent, user=small_desk.trader, at=small_desk.now)
    again = order_submit(intent=intent, user=small_desk.trader, at=small_desk.now + timedelta(seconds=1))
    other = small_desk.intent(quantity="200", client_order_id=intent.client_order_id)
    assert again.pk == first.pk
    assert holdings(small_desk.portfolio.pk).positions[0].quantity == Decimal(100)
    with pytest.raises(Conflict):
        order_submit(intent=other, user=small_desk.trader, at=small_desk.now)


def test_halt_cancels_working_orders_and_two_people_release(small_desk: SmallDesk) -> None:
    resting = small_desk.intent(order_type="limit", limit_price="95")
    order = order_submit(intent=resting, user=small_desk.trader, at=small_desk.now)
    assert order.status == OrderStatus.NEW
    trading_halt(portfolio_id=None, user=small_desk.risk, reason="test", at=small_desk.now)
    order.refresh_from_db()
    assert order.status == OrderStatus.CANCELED
    denied = order_submit(intent=small_desk.intent(), user=small_desk.trader, at=small_desk.now)
    assert "TRADING_HALTED" in denied.reason
    trading_release(portfolio_id=None, user=small_desk.risk, approver=small_desk.second_risk, reason="over", at=small_desk.now)
    assert trading_state(small_desk.portfolio.pk).state == "active"
    assert order_submit(intent=small_desk.intent(), user=small_desk.trader, at=small_desk.now).status == OrderStatus.FILLED


@pytest.mark.parametrize(
    "statement",
    [
        "update execution_order set status = 'sent' where id = %s",
        "update execution_order set status = 'filled', cumulative_quantity = quantity where id = %s",
        "update execution_order set quantity = 1 where id = %s",
        "delete from execution_orderevent where order_id = %s",
        "update execution_orderdecision set allowed = true where order_id = %s",
    ],
)
def test_the_database_refuses_the_way_around_the_gate(small_desk: SmallDesk, statement: str) -> None:
    order = order_submit(intent=small_desk.intent(quantity="5000"), user=small_desk.trader, at=small_desk.now)
    with pytest.raises(REFUSED), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, [order.pk])
    assert Order.objects.get(pk=order.pk).status == OrderStatus.DENIED


def test_a_round_trip_leaves_a_ledger_that_rebuilds(small_desk: SmallDesk) -> None:
    for side, price in (("buy", "100"), ("buy", "110"), ("sell", "120"), ("sell", "90")):
        small_desk.now += timedelta(seconds=10)  # the same order within five seconds would be a duplicate
        small_desk.price(price)
        order = order_submit(intent=small_desk.intent(side), user=small_desk.trader, at=small_desk.now)
        assert (order.status, order.reason) == (OrderStatus.FILLED, "")
    position = Position.objects.get(book__portfolio=small_desk.portfolio)
    assert position.quantity == 0
    assert holdings(small_desk.portfolio.pk).cash == Decimal(100_000) + position.realised
    assert not positions_rebuild(portfolio_id=small_desk.portfolio.pk).differences


def test_cancel_of_a_working_order(small_desk: SmallDesk) -> None:
    order = order_submit(intent=small_desk.intent(order_type="limit", limit_price="95"), user=small_desk.trader, at=small_desk.now)
    cancelled = order_cancel(order_id=order.pk, user=small_desk.trader, at=small_desk.now)
    assert cancelled.status == OrderStatus.CANCELED
    with pytest.raises(Conflict):
        order_cancel(order_id=order.pk, user=small_desk.trader, at=small_desk.now)
