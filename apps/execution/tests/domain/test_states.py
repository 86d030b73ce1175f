"""The transition table, and an order driven through it at random."""

from decimal import Decimal

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from apps.execution.domain.states import (
    TERMINAL_STATUSES,
    TRANSITIONS,
    FillLevel,
    IllegalTransition,
    OrderEventKind,
    OrderStatus,
    fill_level,
    status_moves,
    transition_for,
)


def test_every_transition_says_why():
    assert all(len(transition.reason) > 10 for transition in TRANSITIONS)


def test_every_status_is_reached_and_every_open_one_can_end():
    reached = {OrderStatus.PENDING_NEW} | {transition.target for transition in TRANSITIONS}
    assert reached == set(OrderStatus)
    moves = status_moves()
    for status in set(OrderStatus) - TERMINAL_STATUSES:
        assert any(source is status and target in TERMINAL_STATUSES for source, target in moves), status


def test_only_late_fills_leave_a_terminal_status():
    after_the_end = [transition for transition in TRANSITIONS if transition.source in TERMINAL_STATUSES]
    assert after_the_end
    assert all(transition.late and transition.event is OrderEventKind.TRADE for transition in after_the_end)


def test_a_denied_order_never_moves():
    for event in OrderEventKind:
        for level in FillLevel:
            with pytest.raises(IllegalTransition):
                transition_for(OrderStatus.DENIED, event, level)


def test_nothing_skips_the_gate():
    """From PENDING_NEW only SENT leads to the market."""
    targets = {target for source, target in status_moves() if source is OrderStatus.PENDING_NEW}
    assert targets == {OrderStatus.SENT, OrderStatus.DENIED, OrderStatus.REJECTED, OrderStatus.CANCELED, OrderStatus.EXPIRED}


@pytest.mark.parametrize(("cumulative", "level"), [("0", FillLevel.NONE), ("0.5", FillLevel.PARTIAL), ("10", FillLevel.FULL)])
def test_fill_level(cumulative, level):
    assert fill_level(cumulative=Decimal(cumulative), quantity=Decimal(10)) is level


def test_more_than_ordered_is_illegal():
    with pytest.raises(IllegalTransition, match="11 traded of an order for 10"):
        fill_level(cumulative=Decimal(11), quantity=Decimal(10))


class OrderLife(RuleBasedStateMachine):
    """Any events in any order: those that the table knows move the order, the others raise and change nothing."""

    QUANTITY = 10

    def __init__(self):
        super().__init__()
        self.status = OrderStatus.PENDING_NEW
        self.fills = []
        self.was_terminal = False
        self.was_sent = False

    def move(self, event, cumulative=None):
        done = sum(self.fills) if cumulative is None else cumulative
        try:
            transition = transition_for(self.status, event, fill_level(cumulative=Decimal(done), quantity=Decimal(self.QUANTITY)))
        except IllegalTransition:
            return False
        self.status = transition.target
        self.was_sent |= event is OrderEventKind.SENT
        return transition

    @rule(event=st.sampled_from([event for event in OrderEventKind if event is not OrderEventKind.TRADE]))
    def happens(self, event):
        self.was_terminal = self.status.is_terminal
        before = self.status
        if self.move(event) and before.is_terminal:
            raise AssertionError(f"{event} moved an order which had ended as {before}")

    @rule(shares=st.integers(1, 12))
    def trades(self, shares):
        before, total = self.status, sum(self.fills) + shares
        transition = self.move(OrderEventKind.TRADE, total)
        if transition:
            self.fills.append(shares)
            assert transition.late == before.is_terminal
        else:
            assert self.status is before

    @invariant()
    def never_overfilled(self):
        assert 0 <= sum(self.fills) <= self.QUANTITY

    @invariant()
    def filled_exactly_when_all_has_traded(self):
        if self.status is OrderStatus.FILLED:
            assert sum(self.fills) == self.QUANTITY
        if sum(self.fills) == self.QUANTITY:
            assert self.status in (OrderStatus.FILLED, OrderStatus.PENDING_CANCEL, OrderStatus.PENDING_REPLACE)

    @invariant()
    def status_agrees_with_what_traded(self):
        if self.status in (OrderStatus.NEW, OrderStatus.SENT, OrderStatus.UNKNOWN_SENT, OrderStatus.PENDING_NEW, OrderStatus.DENIED):
            assert not self.fills
        if self.status is OrderStatus.PARTIALLY_FILLED:
            assert 0 < sum(self.fills) < self.QUANTITY

    @invariant()
    def working_orders_have_something_left(self):
        if not self.status.is_terminal and self.status not in (OrderStatus.PENDING_CANCEL, OrderStatus.PENDING_REPLACE):
            assert sum(self.fills) < self.QUANTITY

    @precondition(lambda self: self.status is OrderStatus.DENIED)
    @invariant()
    def denied_was_never_sent(self):
        assert not self.was_sent


TestOrderLife = OrderLife.TestCase
TestOrderLife.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)
