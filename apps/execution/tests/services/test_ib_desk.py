"""The process that holds the line to Interactive Brokers: what it sends, what it books, and what it does when the line breaks.

After everything that goes wrong here two things are so: nothing reached the gateway twice, and the ledger has what the gateway's book has.
"""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, transaction

from apps.alerts.models import Alert
from apps.core import clock
from apps.core.errors import Conflict, DeskError, InvalidInput
from apps.core.trading import TradingMode
from apps.execution.brokers.ib_line import GatewaySettings, IbLine
from apps.execution.brokers.ib_words import good_till_from_ib
from apps.execution.domain.states import OrderStatus
from apps.execution.models import BrokerageAccount, BrokerRequest, Order, ReconciliationTrigger
from apps.execution.selectors.reconciliation import breaks_open
from apps.execution.services import ib_desk, ib_orders
from apps.execution.services.accounts import ib_account_create, paper_account_create
from apps.execution.services.ib_desk import PATIENCE, IbDesk
from apps.execution.services.orders import order_cancel, working_orders_cancel
from apps.execution.services.outbox import Outbox, heard, listening
from apps.execution.services.reconciliation import account_reconcile
from apps.execution.services.replacements import order_replace
from apps.execution.services.routing import ModeMismatch, broker_build
from apps.execution.tests.factories import Desk, make_desk, noon_at, quote
from apps.execution.tests.gateways.ib import IbGateway
from apps.portfolios.selectors.holdings import holdings
from apps.portfolios.services.rebuild import positions_rebuild

ACCOUNT = "DU1234567"
DAYS = (datetime(2099, 12, 1, 21, tzinfo=UTC), datetime(2099, 12, 2, 21, tzinfo=UTC))


@pytest.fixture
def desk(db) -> Desk:
    made = make_desk()
    made.account.delete()
    return Desk(trader=made.trader, portfolio=made.portfolio, instrument=made.instrument, account=at_ib(made.portfolio.pk))


def at_ib(portfolio_id: int, number: str = ACCOUNT) -> BrokerageAccount:
    return ib_account_create(portfolio_id=portfolio_id, number=number)


@pytest.fixture(autouse=True)
def _no_midnight(monkeypatch):
    """The gateway forgets at midnight: whenever the tests run, it is noon there."""
    monkeypatch.setattr(ib_desk, "GATEWAY_ZONE", noon_at(clock.now()))


@pytest.fixture
def gateway() -> Iterator[IbGateway]:
    with IbGateway(accounts=(ACCOUNT,)) as running:
        yield running


class Process:
    """The broker's process, which can die and be started again. Time is given to it, and goes on by itself only when it is told."""

    def __init__(self, gateway: IbGateway) -> None:
        self.gateway = gateway
        self.at = clock.now()
        self.start()

    def start(self) -> None:
        self.line = IbLine(GatewaySettings(host="127.0.0.1", port=self.gateway.port, client_id=17, timeout_seconds=5))
        self.desk = IbDesk(self.line)

    def die(self) -> None:
        self.line.close()

    def restart(self) -> None:
        self.die()
        self.start()

    def step(self, *, later: timedelta = timedelta(0)) -> None:
        self.at += later
        self.desk.step(at=self.at)

    def until(self, order: Order, *statuses: str) -> Order:
        """Go on until the order stands there."""
        for _ in range(100):
            self.step()
            order = Order.objects.get(pk=order.pk)
            if order.status in statuses:
                return order
            self.desk.wait(0.05)
        raise AssertionError(f"order {order.pk} is {order.status} ({order.reason})")

    def settle(self) -> None:
        """Book everything that the gateway has said."""
        if self.line.connected:
            self.line.heartbeat()
        self.step()


@pytest.fixture
def process(gateway) -> Iterator[Process]:
    running = Process(gateway)
    yield running
    running.die()


def reference(order: Order) -> str:
    return str(order.client_order_id)


def assert_books_agree(desk: Desk, gateway: IbGateway) -> None:
    """Nothing was sent twice, and positions and cash are the gateway's."""
    assert gateway.duplicates == {}
    found = holdings(desk.portfolio.pk)
    assert {position.symbol: position.quantity for position in found.positions} == gateway.positions(ACCOUNT)
    assert found.cash == gateway.cash_of(ACCOUNT)


def kinds(order: Order) -> list[str]:
    return [event.kind for event in order.events.order_by("id")]


class TestOrderLife:
    def test_an_order_waits_in_the_database_is_sent_once_and_filled(self, desk, gateway, process):
        gateway.price("AAPL", "100")
        order = desk.submit()
        assert order.status == "sent"
        order = process.until(order, "filled")
        assert (order.cumulative_quantity, order.average_price) == (Decimal(10), Decimal(100))
        assert kinds(order) == ["pending_new", "sent", "new", "trade"]
        assert order.fills.get().fee == Decimal("1.25")
        request = BrokerRequest.objects.get()
        assert (request.event.order_id, request.kind, request.broker_order_id) == (order.pk, "sent", gateway.order(reference(order)).order_id)
        assert_books_agree(desk, gateway)

    def test_parts_a_cancel_and_the_rest(self, desk, gateway, process):
        order = process.until(desk.submit(order_type="limit", limit_price="99"), "new")
        gateway.fill(reference(order), "4", "99")
        order = process.until(order, "partially_filled")
        order_cancel(order_id=order.pk, user=desk.trader, at=clock.now())
        order = process.until(order, "canceled")
        assert order.cumulative_quantity == 4
        assert_books_agree(desk, gateway)

    def test_a_cancel_of_what_was_never_sent_sends_nothing(self, desk, gateway, process):
        order = desk.submit(order_type="limit", limit_price="99")
        order_cancel(order_id=order.pk, user=desk.trader, at=clock.now())
        order = process.until(order, "canceled")
        assert (order.reason, gateway.placed, gateway.cancels) == ("it was never sent", [], [])

    def test_a_change_goes_out_under_the_same_id(self, desk, gateway, process):
        order = process.until(desk.submit(order_type="limit", limit_price="99"), "new")
        order_replace(order_id=order.pk, user=desk.trader, replacement_id=uuid4(), changes={"quantity": "20", "limit_price": "98"}, at=clock.now())
        order = process.until(order, "new")
        assert (order.quantity, order.limit_price) == (Decimal(20), Decimal(98))
        at_gateway = gateway.order(reference(order))
        assert (at_gateway.quantity, at_gateway.limit, at_gateway.changes) == (Decimal(20), "98.0", 1)
        gateway.price("AAPL", "98")
        process.until(order, "filled")
        assert_books_agree(desk, gateway)

    @pytest.mark.parametrize("lost", [False, True])
    @pytest.mark.parametrize(
        ("before", "changes"),
        [({"time_in_force": "day"}, {"time_in_force": "gtc"}), ({"time_in_force": "gtd", "expire_at": DAYS[0]}, {"expire_at": DAYS[1]})],
    )
    def test_a_change_of_time_is_confirmed_by_the_gateway_or_not_at_all(self, desk, gateway, process, before, changes, lost):
        order = process.until(desk.submit(order_type="limit", limit_price="99", **before), "new")
        gateway.lose_line = "before" if lost else ""
        order_replace(order_id=order.pk, user=desk.trader, replacement_id=uuid4(), changes=changes, at=clock.now())
        process.step()
        process.line.wait(5, until=lambda _: gateway.order(reference(order)).changes == 1 or not process.line.connected)
        process.at += 2 * PATIENCE
        order = process.until(order, "new")
        at_gateway = gateway.order(reference(order))
        assert kinds(order)[-1] == ("replace_reject" if lost else "replaced")
        assert at_gateway.tif == order.time_in_force.upper()
        assert good_till_from_ib(at_gateway.good_till) == order.expire_at
        assert {name: getattr(order, name) for name in changes} == ({name: before[name] for name in changes} if lost else changes)

    def test_a_trailing_stop_is_followed(self, desk, gateway, process):
        fields = {"order_type": "trailing_stop", "trail_offset": "2", "time_in_force": "gtc"}
        order = process.until(desk.submit(**fields), "new")
        gateway.trail(reference(order), "101.5")
        process.settle()
        assert Order.objects.get(pk=order.pk).working_stop == Decimal("101.5")

    def test_a_refused_change_is_told_and_the_order_works_on(self, desk, gateway, process):
        order = process.until(desk.submit(order_type="limit", limit_price="99"), "new")
        gateway.refusal = (201, "Order rejected - reason:no")
        order_replace(order_id=order.pk, user=desk.trader, replacement_id=uuid4(), changes={"limit_price": "98"}, at=clock.now())
        order = process.until(order, "new")
        assert kinds(order)[-2:] == ["pending_replace", "replace_reject"]
        assert order.limit_price == 99

    def test_a_refused_order_says_why(self, desk, gateway, process):
        gateway.refusal = (201, "Order rejected - reason:insufficient margin")
        order = process.until(desk.submit(), "rejected")
        assert order.reason == "201: Order rejected - reason:insufficient margin"
        assert_books_agree(desk, gateway)

    def test_a_halt_cancels_at_the_gateway(self, desk, gateway, process):
        order = process.until(desk.submit(order_type="limit", limit_price="99", time_in_force="gtc"), "new")
        assert working_orders_cancel(portfolio_id=desk.portfolio.pk, reason="halt", at=clock.now()) == 1
        process.until(order, "canceled")
        assert gateway.order(reference(order)).status == "Cancelled"

    def test_a_cancel_that_comes_too_late_leaves_a_filled_order(self, desk, gateway, process):
        order = process.until(desk.submit(order_type="limit", limit_price="99"), "new")
        order_cancel(order_id=order.pk, user=desk.trader, at=clock.now())
        gateway.price("AAPL", "99")
        order = process.until(order, "filled")
        assert kinds(order)[-2:] == ["trade", "cancel_reject"]
        assert_books_agree(desk, gateway)

    def test_what_waited_longer_than_its_decisions_hold_is_not_sent(self, desk, gateway, process):
        order = desk.submit()
        process.step(later=timedelta(seconds=31))
        order.refresh_from_db()
        assert (order.status, gateway.placed) == ("expired", [])

    def test_the_database_lets_nothing_be_attempted_twice(self, desk, gateway, process):
        order = process.until(desk.submit(order_type="limit", limit_price="99"), "new")
        first = BrokerRequest.objects.get(event__order=order)
        with pytest.raises(IntegrityError), transaction.atomic():
            BrokerRequest.objects.create(
                event=first.event, kind="sent", broker_order_id=99, client_id=17, gateway=first.gateway, attempted_at=clock.now()
            )


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
        assert process.line.wait(5, until=lambda _: not process.line.connected) or not process.line.connected
        if restarts:
            process.restart()
        process.at += PATIENCE
        order = process.until(order, "rejected" if moment == "before" else "filled")
        assert gateway.placed == ([] if moment == "before" else [reference(order)])
        assert_books_agree(desk, gateway)

    def test_what_was_sent_a_moment_ago_is_unknown_and_not_refused(self, desk, gateway, process):
        process.step()
        gateway.lose_line = "before"
        order = desk.submit()
        process.step()
        process.line.wait(5, until=lambda _: not process.line.connected)
        order = process.until(order, "unknown_sent")
        process.step(later=PATIENCE)
        order = process.until(order, "rejected")
        assert kinds(order) == ["pending_new", "sent", "timed_out", "rejected"]

    def test_a_crash_between_the_commit_and_the_first_byte(self, desk, gateway, process, monkeypatch):
        process.step()
        monkeypatch.setattr(IbLine, "place", crash)
        order = desk.submit()
        with pytest.raises(Crash):
            process.step()
        monkeypatch.undo()
        assert BrokerRequest.objects.filter(event__order=order).count() == 1
        process.restart()
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
        assert process.line.wait(5, until=lambda _: bool(gateway.cancels)) or gateway.cancels
        gateway.silent = False
        process.step(later=PATIENCE * 2)
        process.until(order, "canceled")
        assert_books_agree(desk, gateway)

    def test_a_change_that_was_lost_is_refused_and_the_order_works_on(self, desk, gateway, process):
        order = process.until(desk.submit(order_type="limit", limit_price="99", time_in_force="gtc"), "new")
        gateway.lose_line = "before"
        order_replace(order_id=order.pk, user=desk.trader, replacement_id=uuid4(), changes={"limit_price": "98"}, at=clock.now())
        process.step()
        process.line.wait(5, until=lambda _: not process.line.connected)
        process.at += PATIENCE * 2
        order = process.until(order, "new")
        assert (order.limit_price, gateway.order(reference(order)).changes) == (Decimal(99), 0)
        assert kinds(order)[-1] == "replace_reject"

    def test_a_change_that_arrived_as_the_line_broke_is_found(self, desk, gateway, process):
        order = process.until(desk.submit(order_type="limit", limit_price="99", time_in_force="gtc"), "new")
        gateway.lose_line = "after"
        order_replace(order_id=order.pk, user=desk.trader, replacement_id=uuid4(), changes={"limit_price": "98"}, at=clock.now())
        process.step()
        process.line.wait(5, until=lambda _: not process.line.connected)
        order = process.until(order, "new")
        assert (order.limit_price, gateway.order(reference(order)).changes) == (Decimal(98), 1)

    def test_a_silent_gateway_is_asked_and_the_line_opened_anew(self, desk, gateway, process):
        process.line.settings = GatewaySettings(host="127.0.0.1", port=gateway.port, client_id=17, timeout_seconds=0.3)
        process.step()
        gateway.silent = True
        process.step(later=timedelta(seconds=16))
        assert not process.line.connected
        gateway.silent = False
        process.step(later=timedelta(seconds=2))
        assert (process.line.connected, gateway.connections) == (True, 2)

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
        assert len(heard(words)) == 1
        order_cancel(order_id=order.pk, user=made.trader, at=clock.now())
        assert len(heard(words)) == 1
        assert heard(words) == ()


class Crash(BaseException):
    """The process dies here."""


def crash(*_args, **_kwargs):
    raise Crash


class Chaos:
    """Random orders, changes and cancels while lines break, messages get lost and the process dies: all from one seed."""

    #: Where the process may die: on either side of each byte that leaves and of each booking.
    DEATHS = ((IbLine, "place"), (IbLine, "cancel"), (IbLine, "refresh"), (IbDesk, "_book"), (IbDesk, "_settle"), (ib_orders, "reports_book"))

    def __init__(self, seed: int, desk: Desk, gateway: IbGateway, process: Process) -> None:
        self.random = Random(seed)
        self.desk, self.gateway, self.process = desk, gateway, process
        gateway.largest_fill = Decimal(4)
        self.died = 0

    def run(self, steps: int) -> None:
        for _ in range(steps):
            self.random.choice([self.order, self.order, self.cancel, self.change, self.market, self.market, self.trouble, self.death])()
            self.go_on()
        self.calm_down()

    def order(self) -> None:
        quote("AAPL", "100", at=self.process.at)
        side, limit = self.random.choice([("buy", "99"), ("buy", "101"), ("sell", "101"), ("sell", "99")])
        tif = self.random.choice(["day", "gtc", "ioc", "fok"])
        self.desk.submit(at=self.process.at, side=side, order_type="limit", limit_price=limit, time_in_force=tif)

    def cancel(self) -> None:
        if (order := self.pick()) is not None:
            order_cancel(order_id=order.pk, user=self.desk.trader, at=self.process.at)

    def change(self) -> None:
        if (order := self.pick("new", "partially_filled")) is not None and order.time_in_force not in ("ioc", "fok"):
            quote("AAPL", "100", at=self.process.at)
            changes = {"quantity": str(self.random.randint(11, 14)), "limit_price": self.random.choice(["98", "100", "102"])}
            with suppress(DeskError):  # nothing that changes, or too much has traded
                order_replace(order_id=order.pk, user=self.desk.trader, replacement_id=uuid4(), changes=changes, at=self.process.at)

    def market(self) -> None:
        self.gateway.price("AAPL", self.random.choice(["98.5", "99.5", "100", "100.5", "101.5"]))

    def trouble(self) -> None:
        kind = self.random.choice(["before", "after", "drop", "restart", "shuffle", "hold", "lost"])
        if kind in ("before", "after"):
            self.gateway.lose_line = kind
        elif kind == "drop":
            self.gateway.drop()
        elif kind == "restart":
            self.process.restart()
        elif kind == "shuffle":
            self.gateway.shuffle, self.gateway.repeat = Random(self.random.random()), self.random.randint(1, 2)
        elif kind == "hold":
            self.gateway.hold = {self.random.choice([3, 5, 11, 59])}
        else:
            self.gateway.say_error(1100)
            self.market()
            self.gateway.say_error(1101)

    def death(self) -> None:
        owner, name = self.random.choice(self.DEATHS)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(owner, name, crash)
            try:
                self.go_on()
            except Crash:
                self.died += 1
                self.process.restart()

    def go_on(self) -> None:
        self.process.step(later=self.random.choice([timedelta(0), timedelta(seconds=1), PATIENCE]))
        self.process.desk.wait(self.random.choice([0, 0.02]))

    def pick(self, *statuses: str) -> Order | None:
        working = Order.objects.working().order_by("id")
        return self.random.choice(list(working.filter(status__in=statuses) if statuses else working) or [None])

    def calm_down(self) -> None:
        """All troubles end, the gateway tells what it held back, and the process has time to find out."""
        self.gateway.lose_line, self.gateway.silent, self.gateway.shuffle, self.gateway.repeat = "", False, None, 1
        self.gateway.release()
        for _ in range(4):
            self.process.step(later=2 * PATIENCE)
            if self.process.line.connected:
                self.process.line.heartbeat()
        self.process.step()


@pytest.mark.parametrize("seed", [2, 100, 121])
def test_whatever_happens_the_ledger_is_the_gateways_book(desk, gateway, process, seed):
    chaos = Chaos(seed, desk, gateway, process)
    chaos.run(steps=40)
    assert_books_agree(desk, gateway)
    for order in Order.objects.filter(status__in=[status.value for status in OrderStatus if status.value not in ("denied", "expired")]):
        at_gateway = next((one for one in gateway.orders if one.reference == reference(order)), None)
        filled, works = (at_gateway.filled, at_gateway.works) if at_gateway else (Decimal(0), False)
        assert (order.cumulative_quantity, not OrderStatus(order.status).is_terminal) == (filled, works), (order, kinds(order), at_gateway)
        assert order.status in (
            (at_gateway and {True: ("new", "partially_filled"), False: ("filled", "canceled", "rejected")}[works]) or ("canceled", "rejected")
        )
    assert list(Alert.objects.exclude(code__in=["LATE_FILL", "RECONCILIATION_BREAK"]).values_list("code", "detail")) == []
    # A message that is late may make the books differ for a moment; in the end they agree, and nothing halts.
    run = account_reconcile(account=desk.account, broker=process.desk.brokers[ACCOUNT], trigger=ReconciliationTrigger.REQUEST, at=process.at)
    assert (run.state, [str(one) for one in breaks_open(desk.account.pk)]) == ("clean", [])
