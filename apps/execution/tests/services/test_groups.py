"""Brackets and OCO pairs on the real database, in one processing and after crashes."""

from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.db import DatabaseError

from apps.alerts.models import Alert
from apps.core import clock
from apps.core.errors import Conflict, InvalidInput
from apps.execution.brokers.protocol import Execution, ExecutionReport, MarketPrice
from apps.execution.domain.states import OrderEventKind
from apps.execution.models import Order, OrderEvent, OrderGroup
from apps.execution.services import groups
from apps.execution.services.groups import bracket_submit, group_advance, group_cancel, groups_recover, oco_submit
from apps.execution.services.orders import order_cancel
from apps.execution.services.paper_market import prices_match
from apps.execution.services.reports import order_lock, reports_book
from apps.execution.tests.factories import make_desk, make_limits, quote
from apps.marketdata.services.market_status import market_status_record
from apps.portfolios.selectors.holdings import holdings


def see(value):
    """The market shows a price; the groups follow as the receiver lets them."""
    price = MarketPrice(symbol="AAPL", price=Decimal(value), market_time=clock.now(), source="test")
    prices_match(prices={"AAPL": price}, at=clock.now())
    groups_recover(at=clock.now())


def trade(order, quantity, price="100"):
    """The broker reports a fill of part of an order."""
    locked = order_lock(portfolio_id=order.portfolio_id, order_id=order.pk)
    execution = Execution(
        execution_id=str(uuid4()), quantity=Decimal(quantity), price=Decimal(price), fee=Decimal(0), market_time=clock.now(), quote={}
    )
    reports_book(order=locked, reports=[ExecutionReport(kind=OrderEventKind.TRADE, execution=execution)], source="paper", at=clock.now())
    group_advance(group_id=order.group_id, at=clock.now())


def bracket(desk, **fields):
    wanted = {"portfolio_id": desk.portfolio.pk, "symbol": "AAPL", "side": "buy", "quantity": "10", "take_profit": "110", "stop_loss": "95"}
    return bracket_submit(user=desk.trader, at=clock.now(), **{**wanted, **fields})


def oco(desk, **fields):
    wanted = {"portfolio_id": desk.portfolio.pk, "symbol": "AAPL", "side": "sell", "quantity": "10", "take_profit": "110", "stop_loss": "95"}
    return oco_submit(user=desk.trader, at=clock.now(), **{**wanted, **fields})


def where(group):
    return {order.group_role: (order.status, int(order.quantity), int(order.cumulative_quantity)) for order in group.orders.all()}


def member(group, role):
    return group.orders.get(group_role=role)


class TestBracket:
    def test_a_filled_entry_is_protected_at_once(self, desk):
        group = bracket(desk)
        assert where(group) == {"entry": ("filled", 10, 10), "stop_loss": ("new", 10, 0), "take_profit": ("new", 10, 0)}
        stop, profit = member(group, "stop_loss"), member(group, "take_profit")
        assert (stop.order_type, stop.stop_price, profit.order_type, profit.limit_price) == ("stop", 95, "limit", 110)

    @pytest.mark.parametrize(("price", "traded", "cancelled"), [("111", "take_profit", "stop_loss"), ("94", "stop_loss", "take_profit")])
    def test_one_exit_cancels_the_other(self, desk, price, traded, cancelled):
        group = bracket(desk)
        see(price)
        assert (where(group)[traded], where(group)[cancelled]) == (("filled", 10, 10), ("canceled", 10, 0))
        assert holdings(desk.portfolio.pk).positions == ()

    def test_exits_grow_with_the_entry_and_shrink_with_each_other(self, desk):
        group = bracket(desk, order_type="limit", limit_price="99", time_in_force="gtc")
        assert where(group) == {"entry": ("new", 10, 0)}
        trade(member(group, "entry"), "4", "99")
        assert where(group)["stop_loss"] == where(group)["take_profit"] == ("new", 4, 0)
        trade(member(group, "entry"), "3", "99")
        assert where(group)["stop_loss"] == where(group)["take_profit"] == ("new", 7, 0)
        trade(member(group, "take_profit"), "3", "110")  # back to four: a change of its own
        assert where(group) == {"entry": ("canceled", 10, 7), "stop_loss": ("new", 4, 0), "take_profit": ("partially_filled", 7, 3)}
        see("94")
        assert where(group)["stop_loss"] == ("filled", 4, 4)
        assert where(group)["take_profit"] == ("canceled", 7, 3)

    def test_an_entry_that_never_traded_leaves_nothing(self, desk):
        group = bracket(desk, order_type="limit", limit_price="99", time_in_force="gtc")
        order_cancel(order_id=member(group, "entry").pk, user=desk.trader, at=clock.now())
        assert groups_recover(at=clock.now()) == 0
        assert where(group) == {"entry": ("canceled", 10, 0)}

    def test_an_exit_that_somebody_cancels_leaves_the_other(self, desk):
        group = bracket(desk)
        order_cancel(order_id=member(group, "take_profit").pk, user=desk.trader, at=clock.now())
        groups_recover(at=clock.now())
        assert where(group)["stop_loss"] == ("new", 10, 0)
        assert where(group)["take_profit"][0] == "canceled"

    def test_a_denied_entry_has_no_exits(self, desk):
        make_limits(desk.portfolio, at=clock.now(), position_size="5")
        group = bracket(desk)
        groups_recover(at=clock.now())
        assert {role: status for role, (status, *_) in where(group).items()} == {"entry": "denied"}

    def test_a_short_entry_is_refused_like_any(self, desk):
        group = bracket(desk, side="sell", take_profit="90", stop_loss="105")
        assert where(group)["entry"][0] == "denied"

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"take_profit": "90"}, "take_profit"),
            ({"take_profit": "110.001"}, "take_profit"),
            ({"stop_loss": "0"}, "stop_loss"),
            ({"order_type": "limit", "limit_price": "94"}, "stop_loss"),
            ({"exit_time_in_force": "ioc"}, "exit_time_in_force"),
            ({"quantity": "-1"}, "quantity"),
        ],
    )
    def test_what_cannot_be_is_refused_by_name_and_nothing_is_stored(self, desk, change, field):
        with pytest.raises(InvalidInput) as refused:
            bracket(desk, **change)
        assert refused.value.field == field
        assert not OrderGroup.objects.exists()
        assert not Order.objects.exists()


class TestOneCancelsTheOther:
    def test_two_exits_of_what_is_held(self, desk):
        desk.submit()
        group = oco(desk)
        assert where(group) == {"stop_loss": ("new", 10, 0), "take_profit": ("new", 10, 0)}
        see("94")
        assert where(group) == {"stop_loss": ("filled", 10, 10), "take_profit": ("canceled", 10, 0)}

    def test_the_gate_counts_one_of_the_two_but_nothing_else_twice(self, desk):
        desk.submit()
        oco(desk)
        assert "SHORT_SALE" in desk.submit(side="sell", quantity="1").reason

    def test_exits_of_what_is_not_held_are_denied_and_people_are_told(self, desk):
        group = oco(desk)
        assert {status for status, *_ in where(group).values()} == {"denied"}
        assert Alert.objects.filter(code="GROUP_OUT_OF_STEP").count() == 2

    def test_a_group_is_cancelled_as_one(self, desk):
        desk.submit()
        group = oco(desk)
        assert group_cancel(group_id=group.pk, user=desk.trader, at=clock.now()) == 2
        assert {status for status, *_ in where(group).values()} == {"canceled"}


class TestLostExits:
    """An exit that ends of nobody's will leaves the position without it: people are told once, and another one follows after a minute."""

    def end(self, order, kind, at=None):
        """The broker ends it unasked."""
        locked = order_lock(portfolio_id=order.portfolio_id, order_id=order.pk)
        reports_book(order=locked, reports=[ExecutionReport(kind=kind, reason="broker's")], source="paper", at=at or clock.now())
        group_advance(group_id=order.group_id, at=at or clock.now())

    def stops(self, group):
        return [(order.status, int(order.quantity)) for order in group.orders.filter(group_role="stop_loss").order_by("id")]

    def later(self, minutes=1):
        at = clock.now() + timedelta(minutes=minutes, seconds=1)
        quote("AAPL", "100", at=at)
        return at

    def told(self):
        return list(Alert.objects.filter(code="GROUP_OUT_OF_STEP", severity="critical").order_by("id").values_list("detail", flat=True))

    @pytest.mark.parametrize("kind", [OrderEventKind.EXPIRED, OrderEventKind.CANCELED, OrderEventKind.REJECTED])
    def test_another_one_follows_and_people_are_told_once(self, desk, kind):
        group = bracket(desk)
        self.end(member(group, "stop_loss"), kind)
        groups_recover(at=clock.now())
        assert self.stops(group) == [(kind, 10)]
        assert self.told() == [
            f"its stop-loss has ended as {kind} (broker's) and protects nothing. Another one is sent in 60 s. Look at the position."
        ]
        at = self.later()
        assert groups_recover(at=at) == 1
        assert groups_recover(at=at) == 0
        assert self.stops(group) == [(kind, 10), ("new", 10)]
        assert where(group)["take_profit"] == ("new", 10, 0)
        assert len(self.told()) == 1

    def test_the_rest_of_one_that_has_traded_follows_and_shrinks_with_the_other(self, desk):
        group = bracket(desk)
        stop = member(group, "stop_loss")
        trade(stop, "4", "95")
        self.end(stop, OrderEventKind.CANCELED)
        at = self.later()
        groups_recover(at=at)
        assert self.stops(group) == [("canceled", 10), ("new", 6)]
        trade(member(group, "take_profit"), "6", "110")
        assert self.stops(group) == [("canceled", 10), ("canceled", 6)]
        assert holdings(desk.portfolio.pk).positions == ()

    def test_a_third_one_is_the_last(self, desk):
        group = bracket(desk)
        for minutes in (0, 2, 4, 6):
            at = self.later(minutes)
            groups_recover(at=at)
            if working := group.orders.filter(group_role="stop_loss", status="new").first():
                self.end(working, OrderEventKind.CANCELED, at)
        assert self.stops(group) == [("canceled", 10)] * 3
        assert [text.split(". ")[1] for text in self.told()] == ["Another one is sent in 60 s"] * 2 + ["No other one is sent"]

    def test_nothing_follows_what_was_for_the_day(self, desk):
        group = bracket(desk, exit_time_in_force="day")
        self.end(member(group, "stop_loss"), OrderEventKind.EXPIRED)
        assert "No other one is sent" in self.told()[0]
        assert groups_recover(at=self.later()) == 0

    def test_nothing_follows_what_a_person_cancelled_nor_what_is_held_no_more(self, desk):
        group = bracket(desk)
        self.end(member(group, "stop_loss"), OrderEventKind.CANCELED)
        group_cancel(group_id=group.pk, user=desk.trader, at=clock.now())
        assert groups_recover(at=self.later()) == 0
        assert len(self.told()) == 1
        quote("AAPL", "100")
        other = bracket(desk)
        for role in ("stop_loss", "take_profit"):
            self.end(member(other, role), OrderEventKind.CANCELED)
        assert desk.submit(side="sell", quantity="20").status == "filled"
        assert groups_recover(at=self.later()) == 0
        assert self.stops(other) == [("canceled", 10)]

    def test_a_denied_exit_is_tried_again(self, desk):
        make_limits(desk.portfolio, at=clock.now(), order_rate="1")
        group = bracket(desk)
        assert where(group)["stop_loss"][0] == where(group)["take_profit"][0] == "denied"
        at = self.later(2)
        groups_recover(at=at)
        assert self.stops(group) == [("denied", 10), ("new", 10)]
        assert len(self.told()) == 2  # the other one is one too many for this minute again: told once

    def test_denials_that_pass_by_themselves_are_waited_out(self, desk):
        group = bracket(desk)
        self.end(member(group, "stop_loss"), OrderEventKind.CANCELED)
        halt = {"symbol": "AAPL", "reason": "T1", "source": "test", "recorded_at": clock.now()}
        market_status_record(status="halted", effective_at=clock.now(), **halt)
        for minutes in range(2, 12, 2):
            groups_recover(at=self.later(minutes))
        assert {status for status, _ in self.stops(group)[1:]} == {"denied"}
        market_status_record(status="trading", effective_at=clock.now(), **halt)
        groups_recover(at=self.later(14))
        assert self.stops(group)[-1] == ("new", 10)
        assert len(self.told()) == 2  # of the one that was lost, and once of the denials

    def test_a_refused_change_is_not_asked_for_again_at_once(self, desk):
        group = bracket(desk, order_type="limit", limit_price="99", time_in_force="gtc")
        trade(member(group, "entry"), "4", "99")
        make_limits(desk.portfolio, at=clock.now(), order_rate="1")
        trade(member(group, "entry"), "3", "99")
        refused = OrderEvent.objects.filter(kind=OrderEventKind.REPLACE_REJECT.value)
        assert refused.count() == 1  # the other exit waits with it
        groups_recover(at=clock.now())
        assert refused.count() == 1
        groups_recover(at=self.later(2))
        assert where(group)["stop_loss"] == ("new", 7, 0)


class TestAgainAndAgain:
    def test_the_same_id_is_the_same_group(self, desk):
        key = uuid4()
        assert bracket(desk, client_group_id=key).pk == bracket(desk, client_group_id=key).pk
        assert Order.objects.count() == 3
        with pytest.raises(Conflict):
            bracket(desk, client_group_id=key, stop_loss="94")

    def test_recovery_sends_what_a_crash_left_out_once(self, desk, monkeypatch):
        with monkeypatch.context() as crash:
            crash.setattr("apps.execution.services.groups.group_advance", lambda **_: 0)
            group = bracket(desk)
        assert set(where(group)) == {"entry"}
        assert groups_recover(at=clock.now()) == 2
        assert groups_recover(at=clock.now()) == 0
        assert set(where(group)) == {"entry", "stop_loss", "take_profit"}

    @pytest.mark.parametrize(("traded", "left"), [("10", 0), ("4", 6)])
    def test_an_exit_that_has_not_heard_of_the_other_trades_no_more_than_is_left(self, desk, monkeypatch, traded, left):
        group = bracket(desk)
        with monkeypatch.context() as crash:  # between the fill and what follows from it
            crash.setitem(trade.__globals__, "group_advance", lambda **_: 0)
            trade(member(group, "take_profit"), traded, "110")
        price = MarketPrice(symbol="AAPL", price=Decimal(94), market_time=clock.now(), source="test")
        assert where(group)["stop_loss"] == ("new", 10, 0)
        assert prices_match(prices={"AAPL": price}, at=clock.now()) == 0
        assert where(group)["stop_loss"] == (("new", left, 0) if left else ("canceled", 10, 0))
        prices_match(prices={"AAPL": price}, at=clock.now())
        assert where(group)["stop_loss"][2] == left

    def test_what_is_not_needed_any_more_is_not_sent(self, desk, monkeypatch):
        group = bracket(desk, order_type="limit", limit_price="99", time_in_force="gtc")
        entry, send = member(group, "entry"), groups._send

        def slow(group, action, again, at):
            """Somebody else sees more of the entry before this one is sent."""
            monkeypatch.setattr(groups, "_send", send)
            trade(entry, "3", "99")
            return send(group, action, again, at)

        monkeypatch.setattr(groups, "_send", slow)
        trade(entry, "4", "99")
        groups_recover(at=clock.now())
        assert where(group)["stop_loss"] == where(group)["take_profit"] == ("new", 7, 0)

    def test_the_group_never_changes(self, desk):
        group = bracket(desk)
        with pytest.raises(DatabaseError):
            OrderGroup.objects.filter(pk=group.pk).update(stop_loss=Decimal(1))


@pytest.mark.django_db(transaction=True)
def test_the_groups_orders_follow_in_the_same_processing():
    desk = make_desk()
    group = bracket(desk)
    price = MarketPrice(symbol="AAPL", price=Decimal(111), market_time=clock.now(), source="test")
    prices_match(prices={"AAPL": price}, at=clock.now())
    assert where(group) == {"entry": ("filled", 10, 10), "stop_loss": ("canceled", 10, 0), "take_profit": ("filled", 10, 10)}
