"""Accounts at Interactive Brokers: their number decides the mode, and an order in the database wakes the process."""

import pytest
from django.db import IntegrityError, connection, transaction

from apps.alerts.models import Alert
from apps.core import clock
from apps.core.errors import Conflict, InvalidInput
from apps.core.trading import TradingMode
from apps.execution.models import BrokerageAccount, Order
from apps.execution.services.accounts import ib_account_create, paper_account_create
from apps.execution.services.orders import order_cancel
from apps.execution.services.outbox import Outbox, heard, listening
from apps.execution.services.routing import ModeMismatch, broker_build
from apps.execution.tests.factories import make_desk
from apps.execution.tests.gateways.ib import IbGateway
from apps.execution.tests.services.ib.process import Process, at_ib, hears


class TestAccounts:
    @pytest.mark.parametrize(("number", "mode"), [("DU7654321", "paper"), ("DF7654321", "paper"), ("U7654321", "live")])
    def test_the_number_decides_the_mode(self, db, number, mode):
        portfolio = make_desk().portfolio
        BrokerageAccount.objects.all().delete()
        assert at_ib(portfolio.pk, number).mode == mode
        assert at_ib(portfolio.pk, number).number == number
        with pytest.raises(Conflict):
            at_ib(portfolio.pk, "U1111111")

    def test_what_is_no_number_is_named(self, db):
        with pytest.raises(InvalidInput) as caught:
            ib_account_create(portfolio_id=1, number="du 7")
        assert caught.value.field == "number"

    @pytest.mark.parametrize(("number", "mode"), [("DU7654321", "live"), ("U7654321", "paper")])
    def test_neither_the_database_nor_routing_lets_a_number_trade_in_the_other_mode(self, desk, number, mode):
        with pytest.raises(IntegrityError), transaction.atomic():
            BrokerageAccount.objects.filter(pk=desk.account.pk).update(number=number, mode=mode)
        with pytest.raises(ModeMismatch):
            broker_build(BrokerageAccount(broker="ib", number=number, mode=mode))

    def test_a_paper_account_of_ours_never_goes_to_interactive_brokers(self, desk):
        assert isinstance(broker_build(desk.account), Outbox)
        with pytest.raises(ModeMismatch):
            broker_build(desk.account, mode=TradingMode.LIVE)
        with pytest.raises(ModeMismatch):
            broker_build(BrokerageAccount(broker="paper", number="DU7654321", mode="live"))

    def test_a_gateway_of_the_other_mode_gets_no_orders(self, desk):
        with IbGateway(accounts=("U1234567",)) as live:
            process = Process(live)
            order = desk.submit()
            process.step()
            process.step()
            assert (Order.objects.get(pk=order.pk).status, live.placed) == ("sent", [])
            assert Alert.objects.get().code == "GATEWAY_MISMATCH"
            process.die()

    def test_a_portfolio_has_one_account(self, desk):
        with pytest.raises(Conflict):
            paper_account_create(portfolio_id=desk.portfolio.pk)


@pytest.mark.django_db(transaction=True)
def test_an_order_wakes_the_process(transactional_db):
    made = make_desk()
    made.account.delete()
    at_ib(made.portfolio.pk)
    with listening("ib") as words:
        order = made.submit()
        assert connection.in_atomic_block is False
        assert len(hears(words)) == 1
        order_cancel(order_id=order.pk, user=made.trader, at=clock.now())
        assert len(hears(words)) == 1
        assert heard(words) == ()
