"""The process that talks to Alpaca: what it sends, what it books, and what it does when answers are lost, repeated, late and out of order."""

import time
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from random import Random

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.test import override_settings

from apps.alerts.models import Alert
from apps.core import clock
from apps.core.errors import InvalidInput
from apps.execution.brokers.alpaca_line import AlpacaLine, AlpacaSettings
from apps.execution.brokers.alpaca_updates import AlpacaUpdates
from apps.execution.models import BrokerageAccount, BrokerRequest, Order, ReconciliationBreak, ReconciliationRun
from apps.execution.services.accounts import alpaca_account_create
from apps.execution.services.alpaca_desk import AlpacaDesk, alpaca_settings
from apps.execution.services.orders import order_cancel
from apps.execution.services.outbox import Outbox
from apps.execution.services.replacements import order_replace
from apps.execution.services.routing import ModeMismatch, broker_build
from apps.execution.tests.factories import Desk, make_desk
from apps.execution.tests.gateways.alpaca import KEY, SECRET, AlpacaGateway
from apps.portfolios.selectors.holdings import holdings

NUMBER = "PA3TESTS"
DEADLINE = 120.0


@pytest.fixture
def desk(db) -> Desk:
    made = make_desk(commission="0")
    made.account.delete()
    account = alpaca_account_create(portfolio_id=made.portfolio.pk, number=NUMBER)
    return Desk(trader=made.trader, portfolio=made.portfolio, instrument=made.instrument, account=account)


@pytest.fixture
def gateway() -> Iterator[AlpacaGateway]:
    with AlpacaGateway(account=NUMBER) as running:
        yield running


class Process:
    """Alpaca's process, which can die and be started again. Time is given to it."""

    def __init__(self, gateway: AlpacaGateway) -> None:
        self.gateway, self.at = gateway, clock.now()
        self.start()

    def start(self) -> None:
        where = AlpacaSettings(key=KEY, secret=SECRET, url=self.gateway.url, stream=self.gateway.stream_url, timeout_seconds=60)
        self.updates, before = AlpacaUpdates(where, first_pause=0.05), self.gateway.listened
        self.updates.__enter__()
        self.desk = AlpacaDesk(where, self.updates)
        self.until(lambda: self.updates.connected and self.gateway.listened > before)

    def die(self) -> None:
        self.desk.close()
        self.updates.__exit__()

    def step(self, *, later: timedelta = timedelta(0)) -> None:
        self.at += later
        self.desk.step(now=lambda: self.at)

    def until(self, condition, *, stepping: bool = False) -> None:
        deadline = time.monotonic() + DEADLINE
        while not condition():
            assert time.monotonic() < deadline, "nothing happened"
            if stepping:
                self.step()
            self.updates.wait(0.05)

    def reach(self, order: Order, *statuses: str) -> Order:
        """Go on until the order stands there."""
        self.until(lambda: Order.objects.get(pk=order.pk).status in statuses, stepping=True)
        return Order.objects.get(pk=order.pk)


@pytest.fixture
def process(desk, gateway) -> Iterator[Process]:
    running = Process(gateway)
    yield running
    running.die()


def reference(order: Order) -> str:
    return str(order.client_order_id)


def limit(desk, **fields) -> Order:
    return desk.submit(order_type="limit", limit_price="99", **fields)


def slow(process: Process, monkeypatch, taken: timedelta) -> None:
    """From now on time goes on while an order is sent."""
    ask = AlpacaLine.ask

    def asked(line, method, path, data=None):
        process.at += taken if method == "POST" else timedelta(0)
        return ask(line, method, path, data)

    monkeypatch.setattr(AlpacaLine, "ask", asked)


def called_dead(desk, gateway, process) -> Order:
    """An order under way that has not arrived for so long that it was given up."""
    process.step()
    order = limit(desk)
    gateway.faults.append("late")
    process.step()
    for _ in range(7):
        process.step(later=timedelta(seconds=11))
    assert Order.objects.get(pk=order.pk).status == "rejected"
    return order


def assert_books_agree(desk, gateway) -> None:
    """Nothing is there twice, and positions and cash are Alpaca's."""
    assert all(gateway.placed(reference(order)) <= 1 for order in Order.objects.all())
    found = holdings(desk.portfolio.pk)
    assert {position.symbol: position.quantity for position in found.positions} == gateway.positions()
    assert found.cash == gateway.cash_now()


class TestOrderLife:
    def test_an_order_waits_in_the_database_is_sent_once_and_filled(self, desk, gateway, process):
        gateway.price("AAPL", "100")
        order = desk.submit()
        assert order.status == "sent"
        order = process.reach(order, "filled")
        assert (order.cumulative_quantity, order.average_price) == (Decimal(10), Decimal(100))
        assert BrokerRequest.objects.get().kind == "sent"
        assert_books_agree(desk, gateway)

    def test_parts_a_change_a_cancel(self, desk, gateway, process):
        order = process.reach(limit(desk), "new")
        gateway.fill(reference(order), "4", "99")
        order = process.reach(order, "partially_filled")
        order_replace(order_id=order.pk, user=desk.trader, replacement_id=order.client_order_id, changes={"limit_price": Decimal(98)}, at=clock.now())
        order = process.reach(order, "partially_filled")
        assert (order.limit_price, order.quantity, order.cumulative_quantity) == (Decimal(98), Decimal(10), Decimal(4))
        gateway.fill(reference(order), "1", "98")
        process.until(lambda: Order.objects.get(pk=order.pk).cumulative_quantity == 5, stepping=True)
        order_cancel(order_id=order.pk, user=desk.trader, at=clock.now())
        assert process.reach(order, "canceled").cumulative_quantity == 5
        assert_books_agree(desk, gateway)

    def test_a_refusal_is_a_reject(self, desk, gateway, process):
        gateway.refusal = "insufficient buying power"
        order = process.reach(limit(desk), "rejected")
        assert "insufficient buying power" in order.reason

    def test_what_ends_by_itself_is_heard(self, desk, gateway, process):
        order = process.reach(limit(desk), "new")
        gateway.end(reference(order), "expired")
        process.reach(order, "expired")


class TestLostAnswers:
    @pytest.mark.parametrize(("fault", "ends"), [("cut", "new"), ("lost", "rejected"), (503, "rejected"), (429, "rejected")])
    def test_an_order_without_an_answer_is_looked_up_and_never_sent_again(self, desk, gateway, process, fault, ends):
        process.step()
        gateway.held = True  # and the stream says nothing either
        order = limit(desk)
        gateway.faults.append(fault)
        process.step()
        assert Order.objects.get(pk=order.pk).status == "unknown_sent"
        for _ in range(7):
            process.step(later=timedelta(seconds=11))
        assert Order.objects.get(pk=order.pk).status == ends
        assert gateway.placed(reference(order)) == (ends == "new")
        assert sum(request == ("POST", "/v2/orders") for request in gateway.requests) == 1

    def test_a_cancel_of_what_never_arrived_ends_it(self, desk, gateway, process):
        process.step()
        order = limit(desk)
        gateway.faults.append("lost")
        process.step()
        order_cancel(order_id=order.pk, user=desk.trader, at=clock.now())
        process.step(later=timedelta(seconds=2))
        assert Order.objects.get(pk=order.pk).status == "pending_cancel"  # it may arrive yet
        for _ in range(7):
            process.step(later=timedelta(seconds=11))
        order.refresh_from_db()
        assert (order.status, order.leaves_quantity, gateway.orders) == ("canceled", 0, [])

    def test_a_cancel_of_what_arrives_late_is_asked_for_again(self, desk, gateway, process):
        process.step()
        order = limit(desk)
        gateway.faults.append("late")
        process.step()
        order_cancel(order_id=order.pk, user=desk.trader, at=clock.now())
        process.step(later=timedelta(seconds=2))
        gateway.arrive()
        process.step(later=timedelta(seconds=11))
        process.reach(order, "canceled")
        assert gateway.order(reference(order)).status == "canceled"

    def test_a_time_out_is_no_reject(self, desk, gateway, process, monkeypatch):
        """Looked up right after an attempt that took long: that Alpaca does not have it yet proves nothing."""
        process.step()
        gateway.held = True
        order = limit(desk)
        slow(process, monkeypatch, timedelta(seconds=20))
        gateway.faults.append("late")
        process.step()
        for _ in range(3):
            process.step(later=timedelta(seconds=11))
            assert Order.objects.get(pk=order.pk).status == "unknown_sent"
        gateway.arrive()
        process.step(later=timedelta(seconds=11))
        assert Order.objects.get(pk=order.pk).status == "new"
        assert_books_agree(desk, gateway)

    @pytest.mark.parametrize("heard", ["of the stream", "on a new line"])
    def test_what_arrives_after_it_was_called_dead_is_cancelled_and_told(self, desk, gateway, process, heard):
        order = called_dead(desk, gateway, process)
        gateway.held = heard == "on a new line"
        gateway.arrive()
        if gateway.held:
            gateway.cut_streams()
        process.until(lambda: gateway.order(reference(order)).status == "canceled", stepping=True)
        for _ in range(3):
            process.step(later=timedelta(seconds=11))
        assert Order.objects.get(pk=order.pk).status == "rejected"
        assert [alert.code for alert in Alert.objects.all()] == ["ORDER_ARRIVED_LATE"]
        assert sum(method == "DELETE" for method, _ in gateway.requests) == 1
        assert_books_agree(desk, gateway)

    def test_what_trades_after_it_was_called_dead_is_booked(self, desk, gateway, process):
        order = called_dead(desk, gateway, process)
        gateway.price("AAPL", "98")
        gateway.arrive()
        process.reach(order, "filled")
        assert [alert.code for alert in Alert.objects.all()] == ["LATE_FILL"]
        assert_books_agree(desk, gateway)

    def test_decisions_that_ran_out_while_another_order_was_sent(self, desk, gateway, process, monkeypatch):
        """The moment counts at which each order goes out."""
        process.step()
        first, second = limit(desk), limit(desk)
        slow(process, monkeypatch, timedelta(seconds=31))
        process.step()
        assert [Order.objects.get(pk=order.pk).status for order in (first, second)] == ["new", "expired"]
        assert gateway.placed(reference(second)) == 0

    def test_a_start_is_a_recovery(self, desk, gateway, process):
        order = process.reach(limit(desk), "new")
        process.die()
        gateway.price("AAPL", "98.5")
        process.start()
        assert process.reach(order, "filled").average_price == Decimal("98.5")
        assert_books_agree(desk, gateway)

    def test_a_new_line_is_a_recovery(self, desk, gateway, process):
        order = process.reach(limit(desk), "new")
        opened = process.updates.opened
        gateway.held = True
        gateway.price("AAPL", "98.5")
        gateway.cut_streams()
        process.until(lambda: process.updates.opened > opened)
        process.reach(order, "filled")
        assert_books_agree(desk, gateway)

    @pytest.mark.parametrize("seed", [1, 2])
    def test_disorder_and_repetition_change_nothing(self, desk, gateway, process, seed):
        gateway.held, gateway.repeat, gateway.shuffle = True, 3, Random(seed)
        order = process.reach(limit(desk), "new")
        for quantity, price in (("3", "99"), ("3", "98"), ("4", "97")):
            gateway.fill(reference(order), quantity, price)
        gateway.release()
        order = process.reach(order, "filled")
        assert order.fills.count() == 3
        assert_books_agree(desk, gateway)

    def test_a_fill_whose_activity_comes_late_waits_for_it(self, desk, gateway, process):
        order = process.reach(limit(desk), "new")
        gateway.late_activities = True
        gateway.fill(reference(order), "10", "99")
        process.step(later=timedelta(seconds=11))
        assert Order.objects.get(pk=order.pk).status == "new"
        gateway.late_activities = False
        gateway.cut_streams()
        process.reach(order, "filled")


class TestReconciliation:
    def test_at_start_and_a_stranger_halts(self, desk, gateway, process):
        process.step()
        assert ReconciliationRun.objects.get().state == "clean"
        gateway.stranger()
        process.desk.watch.hear([f"reconcile request {NUMBER}"])
        process.step()
        assert ReconciliationRun.objects.order_by("-id").first().state == "breaks"
        assert limit(desk).reason == "ACCOUNT_ON_HOLD"

    def test_on_each_new_line_and_a_stop_that_was_changed_by_hand_is_a_break(self, desk, gateway, process):
        order = process.reach(desk.submit(order_type="stop", stop_price="105"), "new")
        opened = process.updates.opened
        gateway.order(reference(order)).stop_price = "104"
        gateway.cut_streams()
        process.until(lambda: process.updates.opened > opened)
        process.step(later=timedelta(seconds=11))  # not so soon after the last one
        assert [(run.trigger, run.state) for run in ReconciliationRun.objects.order_by("id")] == [("start", "clean"), ("reconnect", "breaks")]
        found = ReconciliationBreak.objects.get()
        assert (found.kind, found.key, found.ours, found.theirs) == ("price", f"{reference(order)} stop", "105", "104")


class TestAccounts:
    @pytest.mark.parametrize(("number", "mode"), [("PA9ABCDEF", "paper"), ("123456789", "live")])
    def test_the_number_decides_the_mode(self, db, number, mode):
        portfolio = make_desk().portfolio
        BrokerageAccount.objects.all().delete()
        account = alpaca_account_create(portfolio_id=portfolio.pk, number=number)
        assert account.mode == mode
        assert isinstance(broker_build(account), Outbox)
        other = "live" if mode == "paper" else "paper"
        with pytest.raises(IntegrityError), transaction.atomic():
            BrokerageAccount.objects.update(mode=other)
        account.mode = other
        with pytest.raises(ModeMismatch):
            broker_build(account)

    def test_what_is_no_number_is_named(self, db):
        with pytest.raises(InvalidInput) as caught:
            alpaca_account_create(portfolio_id=1, number="pa")
        assert caught.value.field == "number"

    @pytest.mark.parametrize("missing", ["ALPACA_API_KEY", "ALPACA_SECRET_KEY"])
    def test_a_missing_key_is_named(self, desk, missing, capsys):
        keys = {"ALPACA_API_KEY": KEY, "ALPACA_SECRET_KEY": SECRET}
        del keys[missing]
        with override_settings(VENDORS=type(settings.VENDORS)(values=keys, timeout_seconds=1.0)), pytest.raises(CommandError) as caught:
            call_command("run_broker", "--broker", "alpaca")
        assert f"{missing} is not set" in str(caught.value)

    def test_the_address_is_the_modes_own_unless_it_is_given(self, desk):
        keys = {"ALPACA_API_KEY": KEY, "ALPACA_SECRET_KEY": SECRET}
        with override_settings(VENDORS=type(settings.VENDORS)(values=keys, timeout_seconds=1.0)):
            assert alpaca_settings().url == "https://paper-api.alpaca.markets"
            assert alpaca_settings().stream_url == "wss://paper-api.alpaca.markets/stream"
        with override_settings(VENDORS=type(settings.VENDORS)(values={**keys, "ALPACA_TRADING_URL": "http://127.0.0.1:1/"}, timeout_seconds=1.0)):
            assert alpaca_settings().url == "http://127.0.0.1:1"
