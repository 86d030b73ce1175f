"""Orders at Interactive Brokers: sent once, changed, cancelled, filled, refused."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction

from apps.core import clock
from apps.execution.brokers.ib_line import IbLine
from apps.execution.brokers.ib_words import moment_from_ib
from apps.execution.domain.sessions import day_order_end
from apps.execution.models import BrokerRequest, Order
from apps.execution.services.ib_desk import PATIENCE
from apps.execution.services.orders import order_cancel, working_orders_cancel
from apps.execution.services.replacements import order_replace
from apps.execution.tests.services.ib.process import assert_books_agree, kinds, reference

DAYS = (datetime(2099, 12, 1, 21, tzinfo=UTC), datetime(2099, 12, 2, 21, tzinfo=UTC))


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
        process.sees(lambda: gateway.order(reference(order)).changes == 1 or not process.line.connected)
        process.at += 2 * PATIENCE
        order = process.until(order, "new")
        at_gateway = gateway.order(reference(order))
        assert kinds(order)[-1] == ("replace_reject" if lost else "replaced")
        assert at_gateway.tif == order.time_in_force.upper()
        assert moment_from_ib(at_gateway.good_till) == order.expire_at
        assert {name: getattr(order, name) for name in changes} == ({name: before[name] for name in changes} if lost else changes)

    @pytest.mark.parametrize("heard", ["at once", "at the next start"])
    @pytest.mark.parametrize(
        ("time_in_force", "of_end", "ends"),
        [
            ("day", timedelta(seconds=1), "expired"),
            ("day", timedelta(hours=-1), "canceled"),
            ("gtd", timedelta(seconds=1), "expired"),
            ("gtd", timedelta(hours=-1), "canceled"),
            ("gtc", timedelta(days=9), "canceled"),
        ],
    )
    def test_what_ends_when_its_time_is_over_has_expired(self, desk, gateway, process, time_in_force, of_end, ends, heard):
        """TWS says of both that they are cancelled."""
        expire_at = clock.now() + timedelta(days=1) if time_in_force == "gtd" else None
        order = desk.submit(order_type="limit", limit_price="99", time_in_force=time_in_force, expire_at=expire_at)
        order = process.until(order, "new")
        ended_at = (order.expire_at or day_order_end(calendar=desk.instrument.calendar, market_time=order.created_at)) + of_end
        if heard == "at once":
            process.at = max(process.at, ended_at)
            gateway.cancel(reference(order), "")
        else:
            process.die()
            gateway.cancel(reference(order), "", at=ended_at)
            process.at = ended_at + timedelta(hours=3)
            process.start()
        process.until(order, ends)

    def test_a_cancel_that_somebody_asked_for_is_one_whenever_it_is_confirmed(self, desk, gateway, process):
        order = process.until(desk.submit(order_type="limit", limit_price="99"), "new")
        order_cancel(order_id=order.pk, user=desk.trader, at=clock.now())
        process.at = day_order_end(calendar=desk.instrument.calendar, market_time=order.created_at) + timedelta(seconds=1)
        process.until(order, "canceled")

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

    def test_decisions_that_ran_out_while_the_line_was_opened(self, desk, gateway, process, monkeypatch):
        """The moment counts at which the order goes out."""
        refresh = IbLine.refresh

        def slow(line: IbLine) -> None:
            process.at += timedelta(seconds=40)
            refresh(line)

        monkeypatch.setattr(IbLine, "refresh", slow)
        order = desk.submit()
        process.step()
        order.refresh_from_db()
        assert (order.status, gateway.placed) == ("expired", [])

    def test_the_database_lets_nothing_be_attempted_twice(self, desk, gateway, process):
        order = process.until(desk.submit(order_type="limit", limit_price="99"), "new")
        first = BrokerRequest.objects.get(event__order=order)
        with pytest.raises(IntegrityError), transaction.atomic():
            BrokerRequest.objects.create(
                event=first.event, kind="sent", broker_order_id=99, client_id=17, gateway=first.gateway, attempted_at=clock.now()
            )
