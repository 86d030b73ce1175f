"""One order on the real services, and anything in any order: the services agree with the pure table, and D1's invariants hold."""

import os
from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise
from typing import ClassVar
from unittest.mock import patch
from uuid import uuid4

import pytest
from django.db import transaction
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from apps.alerts.models import Alert
from apps.core import clock
from apps.core.errors import Conflict, InvalidInput
from apps.core.money import ZERO
from apps.execution.brokers.protocol import BrokerOrder, BrokerTimeout, Execution, ExecutionReport
from apps.execution.domain.states import CHANGEABLE_STATUSES, IllegalTransition, OrderEventKind, OrderStatus, fill_level, transition_for
from apps.execution.models import Order
from apps.execution.selectors.orders import event_rows
from apps.execution.services import routing
from apps.execution.services.orders import order_cancel
from apps.execution.services.replacements import order_replace
from apps.execution.services.reports import order_lock, reports_book
from apps.execution.tests.factories import Desk, quote
from apps.execution.tests.faults.venue import MARKET_TIME
from apps.portfolios.models import LedgerEntry

_E = OrderEventKind
TOLD = (_E.NEW, _E.REJECTED, _E.CANCELED, _E.CANCEL_REJECT, _E.EXPIRED, _E.REPLACED, _E.REPLACE_REJECT, _E.TIMED_OUT)


class Silent:
    """A broker that takes everything and says nothing at once."""

    name = "paper"

    def submit(self, order: BrokerOrder) -> tuple[ExecutionReport, ...]:
        return ()

    def cancel(self, order: BrokerOrder) -> tuple[ExecutionReport, ...]:
        return ()

    def replace(self, order: BrokerOrder, changed: BrokerOrder) -> tuple[ExecutionReport, ...]:
        return ()

    def lookup(self, order: BrokerOrder) -> tuple[ExecutionReport, ...]:
        raise BrokerTimeout("nobody knows")


class OrderOnTheDesk(RuleBasedStateMachine):
    """Beside the row stands what it should be: a status by the pure table, the executions, the quantity."""

    desk: ClassVar[Desk]

    def __init__(self) -> None:
        super().__init__()
        self.block = transaction.atomic()
        self.block.__enter__()
        self.told: dict[str, tuple[Decimal, Decimal]] = {}
        self.late = 0
        self.seen: list[dict[str, object]] = []

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.block.__exit__(None, None, None)

    @initialize(quantity=st.sampled_from(["3", "10"]), kind=st.sampled_from([("market", None), ("limit", "99")]))
    def submitted(self, quantity: str, kind: tuple[str, str | None]) -> None:
        quote("AAPL", "100")
        order = self.desk.submit(quantity=quantity, order_type=kind[0], limit_price=kind[1], time_in_force="gtc")
        self.pk, self.status, self.quantity = order.pk, OrderStatus.SENT, Decimal(quantity)
        self.asked: Decimal | None = None

    @property
    def cumulative(self) -> Decimal:
        return sum((shares for shares, _ in self.told.values()), ZERO)

    def book(self, report: ExecutionReport) -> bool:
        """What the broker tells is booked, or is illegal and changes nothing."""
        try:
            with transaction.atomic():
                reports_book(
                    order=order_lock(portfolio_id=self.desk.portfolio.pk, order_id=self.pk), reports=[report], source="paper", at=clock.now()
                )
        except IllegalTransition:
            return False
        return True

    @rule(kind=st.sampled_from(TOLD))
    def something_is_told(self, kind: OrderEventKind) -> None:
        quantity = self.quantity
        if kind is _E.REPLACED and self.asked is not None:
            quantity = max(self.asked, self.cumulative)
        try:
            move = transition_for(self.status, kind, fill_level(cumulative=self.cumulative, quantity=quantity))
        except IllegalTransition:
            assert not self.book(ExecutionReport(kind=kind))
            return
        if kind is _E.REPLACED and self.asked is None:  # a broker confirms what nobody has asked for
            assert not self.book(ExecutionReport(kind=kind))
            return
        assert self.book(ExecutionReport(kind=kind))
        self.status, self.quantity = move.target, quantity

    @rule(shares=st.integers(1, 6), price=st.sampled_from(["98.5", "99", "100.25"]))
    def it_trades(self, shares: int, price: str) -> None:
        key, total = f"{self.pk}-{len(self.told)}", self.cumulative + shares
        execution = Execution(execution_id=key, quantity=Decimal(shares), price=Decimal(price), fee=ZERO, market_time=MARKET_TIME)
        report = ExecutionReport(kind=_E.TRADE, execution=execution)
        try:
            move = transition_for(self.status, _E.TRADE, fill_level(cumulative=total, quantity=self.quantity))
        except IllegalTransition:
            assert not self.book(report)
            return
        assert self.book(report)
        self.told[key] = (Decimal(shares), Decimal(price))
        self.status, self.late = move.target, self.late + move.late

    @precondition(lambda self: self.told)
    @rule(which=st.integers(0, 20))
    def a_trade_is_told_again(self, which: int) -> None:
        key = list(self.told)[which % len(self.told)]
        shares, price = self.told[key]
        execution = Execution(execution_id=key, quantity=shares, price=price, fee=ZERO, market_time=MARKET_TIME)
        assert self.book(ExecutionReport(kind=_E.TRADE, execution=execution))

    @rule()
    def a_cancel_is_asked_for(self) -> None:
        try:
            order_cancel(order_id=self.pk, user=self.desk.trader, at=clock.now())
        except Conflict:
            assert self.status.is_terminal
        else:
            assert not self.status.is_terminal
            self.status = OrderStatus.PENDING_CANCEL

    @rule(quantity=st.integers(2, 14))
    def a_change_is_asked_for(self, quantity: int) -> None:
        try:
            changes = {"quantity": Decimal(quantity)}
            order_replace(order_id=self.pk, user=self.desk.trader, replacement_id=uuid4(), changes=changes, at=clock.now())
        except Conflict:
            assert self.status not in CHANGEABLE_STATUSES
        except InvalidInput:
            assert self.status in CHANGEABLE_STATUSES
            assert quantity in (self.quantity, *range(int(self.cumulative) + 1))
        else:
            self.asked, self.status = Decimal(quantity), OrderStatus.PENDING_REPLACE

    @invariant()
    def the_row_is_what_has_happened(self) -> None:
        order = Order.objects.get(pk=self.pk)
        assert (order.status, order.quantity, order.cumulative_quantity) == (self.status, self.quantity, self.cumulative)
        assert 0 <= order.cumulative_quantity <= order.quantity
        assert order.leaves_quantity == (0 if self.status.is_terminal else self.quantity - self.cumulative)
        assert {fill.execution_id: (fill.quantity, fill.price) for fill in order.fills.all()} == self.told
        if self.told:
            spent = sum(shares * price for shares, price in self.told.values())
            assert abs(order.average_price - spent / self.cumulative) <= Decimal("0.0000005")

    @invariant()
    def the_ledger_has_each_trade_once(self) -> None:
        booked = LedgerEntry.objects.filter(source="fill", source_ref__startswith=f"paper:{self.pk}-")
        assert {entry.source_ref.partition(":")[2]: (entry.quantity, entry.price) for entry in booked} == self.told

    @invariant()
    def late_trades_were_told_to_people(self) -> None:
        assert Alert.objects.filter(code="LATE_FILL", subject=f"order:{self.pk}").count() <= self.late
        assert Alert.objects.filter(code="LATE_FILL", subject=f"order:{self.pk}").exists() is bool(self.late)

    @invariant()
    def events_are_only_added_and_each_begins_where_the_last_one_ended(self) -> None:
        events = list(event_rows(Order.objects.get(pk=self.pk)))
        assert events[: len(self.seen)] == self.seen
        assert all(before["to_status"] == after["from_status"] for before, after in pairwise(events))
        assert all(event["source"] for event in events)
        assert all(event["latency_ms"] >= 0 for event in events[1:])
        self.seen = events


@pytest.fixture
def machine(desk: Desk) -> Iterator[type[OrderOnTheDesk]]:
    OrderOnTheDesk.desk = desk
    with patch.dict(routing._ADAPTERS, {("paper", "paper"): lambda _: Silent()}):
        yield OrderOnTheDesk


FEW = settings(max_examples=12, stateful_step_count=14, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def test_whatever_is_told_in_whatever_order_the_invariants_hold(machine: type[OrderOnTheDesk]) -> None:
    run_state_machine_as_test(machine, settings=FEW)


@pytest.mark.soak
def test_hundreds_of_lives(machine: type[OrderOnTheDesk], request: pytest.FixtureRequest) -> None:
    chosen = int(os.environ.get("SOAK_SEED", "1"))
    request.config.get_terminal_writer().line(f"\nlives from SOAK_SEED={chosen}")
    many = settings(max_examples=400, stateful_step_count=30, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(seed(chosen)(machine), settings=many)
