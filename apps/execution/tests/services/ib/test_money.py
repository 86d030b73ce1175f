"""Commissions that come late, executions of nobody and corrections: the ledger has what the gateway's book has."""

from datetime import timedelta

import pytest

from apps.alerts.models import Alert
from apps.core import clock
from apps.execution.models import Order
from apps.execution.services import ib_orders
from apps.execution.services.orders import order_cancel
from apps.execution.tests.services.ib.process import assert_books_agree, reference
from apps.portfolios.selectors.holdings import holdings
from apps.portfolios.services.rebuild import positions_rebuild


class TestMoney:
    def test_a_commission_that_comes_late_is_a_fee_of_its_own(self, desk, gateway, process):
        gateway.price("AAPL", "100")
        gateway.hold = {59}
        order = desk.submit()
        for _ in range(3):
            process.settle()
        assert Order.objects.get(pk=order.pk).status == "new"  # the fill waits for its commission
        gateway.release()
        process.until(order, "filled")
        assert_books_agree(desk, gateway)

    def test_a_correction_after_a_late_commission_charges_it_once(self, desk, gateway, process, monkeypatch):
        monkeypatch.setattr(ib_orders, "FEE_PATIENCE", timedelta(0))
        gateway.hold = {59}
        gateway.price("AAPL", "100")
        order = process.until(desk.submit(), "filled")
        assert order.fills.get().quote["commission"] == "unknown"
        gateway.release()
        monkeypatch.undo()
        process.settle()
        assert_books_agree(desk, gateway)
        gateway.correct(reference(order), "99")
        for _ in range(3):
            process.settle()
        assert_books_agree(desk, gateway)

    def test_executions_of_nobody_are_told_once_and_booked_never(self, desk, gateway, process):
        process.step()
        gateway.by_hand("AAPL", "3", "100")
        for _ in range(3):
            process.settle()
        assert [alert.code for alert in Alert.objects.all()] == ["UNKNOWN_EXECUTION"]
        assert holdings(desk.portfolio.pk).positions == ()

    @pytest.mark.parametrize("told", ["at once", "after a restart"])
    def test_a_correction_corrects_the_ledger_once_and_is_told(self, desk, gateway, process, told):
        gateway.price("AAPL", "100")
        order = process.until(desk.submit(), "filled")
        if told == "after a restart":
            process.die()
        gateway.correct(reference(order), "99", commission="1.75")
        if told == "after a restart":
            process.start()
        for _ in range(3):
            process.settle()
        assert [alert.code for alert in Alert.objects.all()] == ["EXECUTION_CORRECTED"]
        assert order.fills.count() == 1
        assert_books_agree(desk, gateway)
        process.restart()
        process.settle()
        assert Order.objects.get(pk=order.pk).fills.count() == 1
        assert_books_agree(desk, gateway)

    def test_a_part_that_is_corrected_downwards_holds_up_no_cancel(self, desk, gateway, process):
        """What the gateway counts as filled speaks of the execution before its correction."""
        order = process.until(desk.submit(order_type="limit", limit_price="99"), "new")
        gateway.fill(reference(order), "6", "99")
        process.until(order, "partially_filled")
        gateway.correct(reference(order), "99", shares="4")
        process.settle()
        order_cancel(order_id=order.pk, user=desk.trader, at=clock.now())
        process.until(order, "canceled")
        assert_books_agree(desk, gateway)

    def test_a_correction_of_a_correction_and_of_the_quantity(self, desk, gateway, process):
        gateway.price("AAPL", "100")
        order = process.until(desk.submit(), "filled")
        for price, shares in (("99", "10"), ("98", "8")):
            gateway.correct(reference(order), price, shares=shares)
            process.settle()
            process.settle()
            assert_books_agree(desk, gateway)
        assert [alert.code for alert in Alert.objects.all()] == ["EXECUTION_CORRECTED"] * 2
        assert positions_rebuild(portfolio_id=desk.portfolio.pk).differences == ()
