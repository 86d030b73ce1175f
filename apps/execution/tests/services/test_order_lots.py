"""Orders that name the lots which they close: refused when they cannot, closed in the given order when they trade."""

from decimal import Decimal
from uuid import uuid4

import pytest
from django.db import DatabaseError, transaction
from rest_framework.test import APIClient

from apps.alerts.models import Alert
from apps.core import clock
from apps.core.errors import Conflict, InvalidInput
from apps.execution.brokers.protocol import Execution, ExecutionReport
from apps.execution.domain.states import OrderEventKind
from apps.execution.models import Order
from apps.execution.services.orders import OrderLink, order_submit
from apps.execution.services.reports import order_lock, reports_book
from apps.portfolios.models import LedgerEntry, Lot, LotClosure
from apps.portfolios.services.portfolios import lot_method_set
from apps.portfolios.services.rebuild import positions_rebuild


@pytest.fixture
def lots(desk):
    """Three lots of 10, oldest first."""
    for _ in range(3):
        desk.submit(quantity="10")
    return list(Lot.objects.order_by("id").values_list("id", flat=True))


def sell(desk, quantity, named, **fields):
    link = OrderLink(lots=tuple((lot, Decimal(part)) for lot, part in named))
    intent = desk.intent(side="sell", quantity=str(quantity), **fields)
    return order_submit(intent=intent, user=desk.trader, at=clock.now(), link=link)


def trades(order, *quantities):
    """The broker tells these executions, all at once."""
    reports = [
        ExecutionReport(
            kind=OrderEventKind.TRADE,
            execution=Execution(execution_id=str(uuid4()), quantity=Decimal(part), price=Decimal(110), fee=Decimal(0), market_time=clock.now()),
        )
        for part in quantities
    ]
    with transaction.atomic():
        reports_book(order=order_lock(portfolio_id=order.portfolio_id, order_id=order.pk), reports=reports, source="paper", at=clock.now())


def closed(order):
    """What each entry of the order closed."""
    entries = LedgerEntry.objects.filter(source="fill", source_ref__in=[f"paper:{fill.execution_id}" for fill in order.fills.all()]).order_by("id")
    return [list(LotClosure.objects.filter(entry=entry).order_by("id").values_list("lot_id", "quantity")) for entry in entries]


class TestFills:
    def test_exactly_the_lots_named_are_closed(self, desk, lots):
        order = sell(desk, 12, [(lots[2], 10), (lots[1], 2)])
        assert order.status == "filled"
        [closures] = closed(order)
        assert dict(closures) == {lots[2]: 10, lots[1]: 2}
        assert LedgerEntry.objects.latest("id").lot_method == "specific"
        assert positions_rebuild(portfolio_id=desk.portfolio.pk).differences == ()

    def test_partial_fills_take_them_in_their_order(self, desk, lots):
        order = sell(desk, 15, [(lots[2], 10), (lots[0], 5)], order_type="limit", limit_price="110")
        trades(order, 4, 8)
        trades(order, 3)
        assert [dict(one) for one in closed(order)] == [{lots[2]: 4}, {lots[2]: 6, lots[0]: 2}, {lots[0]: 3}]
        assert Alert.objects.filter(code="LOTS_NOT_THERE").count() == 0
        assert positions_rebuild(portfolio_id=desk.portfolio.pk).differences == ()

    def test_a_lot_that_is_gone_is_replaced_by_the_oldest_and_told(self, desk, lots):
        order = sell(desk, 10, [(lots[2], 10)], order_type="limit", limit_price="110")
        sell(desk, 7, [(lots[2], 7)])
        trades(order, 10)
        assert [dict(one) for one in closed(order)] == [{lots[2]: 3, lots[0]: 7}]
        assert Alert.objects.get(code="LOTS_NOT_THERE").data["named"] == [[lots[2], "10"]]

    def test_without_names_a_specific_portfolio_sells_the_oldest(self, desk, lots):
        lot_method_set(user=desk.trader, portfolio_id=desk.portfolio.pk, method="specific", reason="by hand")
        [closures] = closed(desk.submit(side="sell", quantity="5"))
        assert closures == [(lots[0], 5)]


class TestSubmission:
    def test_lots_that_it_cannot_close_are_refused_and_nothing_is_stored(self, desk, lots):
        before = Order.objects.count()
        for quantity, named in (
            (10, [(10**9, 10)]),
            (11, [(lots[0], 11)]),
            (9, [(lots[0], 10)]),
            (10, [(lots[0], 5), (lots[0], 5)]),
            (5, [(lots[0], 6), (lots[1], -1)]),
        ):
            with pytest.raises(InvalidInput) as caught:
                sell(desk, quantity, named)
            assert caught.value.field == "lots"
        with pytest.raises(InvalidInput):
            order_submit(intent=desk.intent(quantity="5"), user=desk.trader, at=clock.now(), link=OrderLink(lots=((lots[0], Decimal(5)),)))
        assert Order.objects.count() == before

    def test_the_same_id_with_other_lots_is_another_order(self, desk, lots):
        key = uuid4()
        first = sell(desk, 5, [(lots[0], 5)], client_order_id=key)
        assert sell(desk, 5, [(lots[0], 5)], client_order_id=key).pk == first.pk
        with pytest.raises(Conflict):
            sell(desk, 5, [(lots[1], 5)], client_order_id=key)

    def test_the_database_keeps_them_as_they_were_named(self, desk, lots):
        order = sell(desk, 5, [(lots[1], 5)], order_type="limit", limit_price="110")
        with pytest.raises(DatabaseError), transaction.atomic():
            Order.objects.filter(pk=order.pk).update(lots=[[lots[0], "5"]])


class TestRest:
    def test_named_and_shown(self, desk, lots):
        client = APIClient()
        client.force_authenticate(desk.trader)
        body = {"portfolio_id": desk.portfolio.pk, "symbol": "AAPL", "side": "sell", "quantity": "5"}

        def post(lots):
            return client.post("/api/v1/orders/", body | {"lots": lots}, format="json", headers={"Idempotency-Key": str(uuid4())})

        answer = post([{"lot": lots[1], "quantity": "5"}])
        assert (answer.status_code, answer.json()["lots"]) == (201, [{"lot": lots[1], "quantity": "5"}])
        assert client.get(f"/api/v1/orders/{answer.json()['id']}/").json()["lots"] == [{"lot": lots[1], "quantity": "5"}]
        refused = post([{"lot": lots[1], "quantity": "6"}])
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (400, "/lots")
        assert post([{"lot": lots[1]}]).status_code == 400
