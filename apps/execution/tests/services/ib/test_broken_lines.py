"""Lines that break and processes that die around a message: it is looked up, and nothing is sent twice."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from random import Random
from uuid import uuid4

import pytest

from apps.alerts.models import Alert
from apps.core import clock
from apps.execution.brokers.ib_line import IbLine
from apps.execution.models import BrokerRequest, Order, ReconciliationBreak, ReconciliationRun
from apps.execution.services.ib_desk import PATIENCE, IbDesk
from apps.execution.services.orders import order_cancel
from apps.execution.services.replacements import order_replace
from apps.execution.tests.services.ib.process import Crash, assert_books_agree, crash, kinds, reference


def under_way(desk, gateway, process) -> Order:
    """An order that left as the line broke, and that the gateway has not read yet."""
    process.step()
    gateway.lose_line = "late"
    order = desk.submit(order_type="limit", limit_price="99")
    process.step()
    process.sees(lambda: gateway.under_way and not process.line.connected)
    return order


class TestBrokenLines:
    @pytest.mark.parametrize("moment", ["before", "after"])
    @pytest.mark.parametrize("restarts", [False, True])
    def test_a_line_that_breaks_around_an_order(self, desk, gateway, process, moment, restarts):
        """Sent or not, nobody knows: it is looked up by our reference, and sent no second time."""
        gateway.price("AAPL", "100")
        process.step()
        gateway.lose_line = moment
        order = desk.submit()
        process.step()
        process.sees(lambda: not process.line.connected)
        if restarts:
            process.restart()
        process.step(later=PATIENCE)
        process.at += PATIENCE  # from the new line on
        order = process.until(order, "rejected" if moment == "before" else "filled")
        assert gateway.placed == ([] if moment == "before" else [reference(order)])
        assert_books_agree(desk, gateway)

    def test_what_was_sent_a_moment_ago_is_unknown_and_not_refused(self, desk, gateway, process):
        process.step()
        gateway.lose_line = "before"
        order = desk.submit()
        process.step()
        process.sees(lambda: not process.line.connected)
        order = process.until(order, "unknown_sent")
        process.step(later=PATIENCE)
        order = process.until(order, "rejected")
        assert kinds(order) == ["pending_new", "sent", "timed_out", "rejected"]

    def test_what_the_gateway_reads_after_the_line_broke_is_found(self, desk, gateway, process):
        """It stood still, and comes back with the order still under way: a new line tells nothing of the old one."""
        order = under_way(desk, gateway, process)
        process.step(later=timedelta(seconds=25))
        assert Order.objects.get(pk=order.pk).status == "unknown_sent"
        gateway.arrive()
        process.until(order, "new")
        assert_books_agree(desk, gateway)

    def test_what_arrives_after_it_was_called_dead_is_cancelled_and_told(self, desk, gateway, process):
        order = under_way(desk, gateway, process)
        process.step(later=PATIENCE)
        process.step(later=PATIENCE)
        order = process.until(order, "rejected")
        gateway.arrive()
        process.settle()
        process.sees(lambda: gateway.order(reference(order)).status == "Cancelled")
        for _ in range(3):
            process.step(later=PATIENCE)
        assert [alert.code for alert in Alert.objects.all()] == ["ORDER_ARRIVED_LATE"]
        assert (len(gateway.cancels), Order.objects.get(pk=order.pk).status) == (1, "rejected")
        assert_books_agree(desk, gateway)

    def test_a_crash_between_the_commit_and_the_first_byte(self, desk, gateway, process, monkeypatch):
        process.step()
        monkeypatch.setattr(IbLine, "place", crash)
        order = desk.submit()
        with pytest.raises(Crash):
            process.step()
        monkeypatch.undo()
        assert BrokerRequest.objects.filter(event__order=order).count() == 1
        process.restart()
        process.step()
        process.at += PATIENCE
        process.until(order, "rejected")
        assert gateway.placed == []

    def test_a_crash_between_the_last_byte_and_the_booking(self, desk, gateway, process, monkeypatch):
        gateway.price("AAPL", "100")
        process.step()
        monkeypatch.setattr(IbDesk, "_book", crash)
        order = desk.submit()
        with pytest.raises(Crash):
            process.step()
        monkeypatch.undo()
        process.line.heartbeat()
        process.restart()
        process.until(order, "filled")
        assert gateway.placed == [reference(order)]
        assert_books_agree(desk, gateway)

    def test_what_trades_and_ends_while_nobody_listens(self, desk, gateway, process):
        first = process.until(desk.submit(order_type="limit", limit_price="99", time_in_force="gtc"), "new")
        second = process.until(desk.submit(order_type="limit", limit_price="98", time_in_force="gtc"), "new")
        third = process.until(desk.submit(order_type="limit", limit_price="97", time_in_force="gtc"), "new")
        process.die()
        gateway.fill(reference(first), "10", "99")
        gateway.fill(reference(second), "3", "98")
        gateway.cancel(reference(second))
        process.start()
        assert process.until(first, "filled").average_price == 99
        assert process.until(second, "canceled").cumulative_quantity == 3
        gateway.price("AAPL", "97")  # an order found again is watched as before
        process.until(third, "filled")
        assert_books_agree(desk, gateway)

    def test_a_cancel_that_was_lost_is_asked_for_again(self, desk, gateway, process):
        order = process.until(desk.submit(order_type="limit", limit_price="99"), "new")
        gateway.silent = True
        order_cancel(order_id=order.pk, user=desk.trader, at=clock.now())
        process.step()
        process.sees(lambda: gateway.cancels)
        gateway.silent = False
        process.step(later=PATIENCE * 2)
        process.until(order, "canceled")
        assert_books_agree(desk, gateway)

    def test_a_change_that_was_lost_is_refused_and_the_order_works_on(self, desk, gateway, process):
        order = process.until(desk.submit(order_type="limit", limit_price="99", time_in_force="gtc"), "new")
        gateway.lose_line = "before"
        order_replace(order_id=order.pk, user=desk.trader, replacement_id=uuid4(), changes={"limit_price": "98"}, at=clock.now())
        process.step()
        process.sees(lambda: not process.line.connected)
        process.at += PATIENCE * 2
        order = process.until(order, "new")
        assert (order.limit_price, gateway.order(reference(order)).changes) == (Decimal(99), 0)
        assert kinds(order)[-1] == "replace_reject"

    def test_a_change_that_arrived_as_the_line_broke_is_found(self, desk, gateway, process):
        order = process.until(desk.submit(order_type="limit", limit_price="99", time_in_force="gtc"), "new")
        gateway.lose_line = "after"
        order_replace(order_id=order.pk, user=desk.trader, replacement_id=uuid4(), changes={"limit_price": "98"}, at=clock.now())
        process.step()
        process.sees(lambda: not process.line.connected)
        order = process.until(order, "new")
        assert (order.limit_price, gateway.order(reference(order)).changes) == (Decimal(98), 1)

    def test_a_silent_gateway_is_asked_and_the_line_opened_anew(self, desk, gateway, process):
        process.step()
        patient = process.line.settings
        process.line.settings = replace(patient, timeout_seconds=0.3)
        gateway.silent = True
        process.step(later=timedelta(seconds=16))
        assert not process.line.connected
        process.line.settings = patient
        gateway.silent = False
        process.step(later=timedelta(seconds=2))
        assert (process.line.connected, gateway.connections) == (True, 2)

    @pytest.mark.parametrize("how", ["a line that broke", "a line that was restored"])
    def test_each_new_line_is_a_comparison(self, desk, gateway, process, how):
        """A stop that somebody changed by hand meanwhile is found by it."""
        order = process.until(desk.submit(side="buy", order_type="stop", stop_price="105", time_in_force="gtc"), "new")
        assert [run.trigger for run in ReconciliationRun.objects.all()] == ["start"]
        gateway.order(reference(order)).aux = "104"
        if how == "a line that broke":
            gateway.drop()
            process.sees(lambda: not process.line.connected)
        else:
            gateway.say_error(1102)
            process.line.heartbeat()
        process.step(later=2 * PATIENCE)  # not so soon after the last one
        assert [(run.trigger, run.state) for run in ReconciliationRun.objects.order_by("id")] == [("start", "clean"), ("reconnect", "breaks")]
        found = ReconciliationBreak.objects.get()
        assert (found.kind, found.key, found.ours, found.theirs) == ("price", f"{reference(order)} stop", "105", "104")

    @pytest.mark.parametrize("code", [1101, 1102])
    def test_a_restored_line_is_asked_for_everything(self, desk, gateway, process, code):
        order = process.until(desk.submit(order_type="limit", limit_price="99"), "new")
        gateway.say_error(1100)
        process.settle()
        waiting = desk.submit(order_type="limit", limit_price="98")
        gateway.silent = True
        gateway.fill(reference(order), "10", "99")  # told to nobody
        gateway.silent = False
        process.settle()
        assert Order.objects.get(pk=waiting.pk).status == "sent"
        gateway.say_error(code)
        process.settle()
        process.until(order, "filled")
        process.until(waiting, "new")
        assert_books_agree(desk, gateway)

    @pytest.mark.parametrize("seed", range(4))
    def test_disorder_and_repetition_change_nothing(self, desk, gateway, process, seed):
        gateway.shuffle, gateway.repeat, gateway.largest_fill = Random(seed), 2, Decimal(3)
        order = process.until(desk.submit(order_type="limit", limit_price="101", time_in_force="gtc"), "new", "partially_filled")
        for price in ("101", "100.5", "100", "99.75", "99"):
            gateway.price("AAPL", price)
            if seed % 2:
                process.settle()
        if seed % 3 == 0:
            process.restart()
        order = process.until(order, "filled")
        assert order.fills.count() == 4
        assert list(Alert.objects.values_list("detail", flat=True)) == []
        assert_books_agree(desk, gateway)
