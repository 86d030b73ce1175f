"""From the intent to the booked fill, and everything that may happen instead."""

from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest

from apps.alerts.models import Alert
from apps.core import clock
from apps.core.errors import Conflict, NotFound, NotPermitted
from apps.core.roles import Role
from apps.core.trading import TradingMode
from apps.execution.brokers.paper import PaperBroker
from apps.execution.brokers.protocol import Execution, ExecutionReport
from apps.execution.domain.states import IllegalTransition, OrderEventKind
from apps.execution.models import Fill, Order
from apps.execution.services.accounts import paper_account_create
from apps.execution.services.orders import order_cancel, order_submit, working_orders_cancel
from apps.execution.services.reports import order_lock, reports_book
from apps.execution.services.routing import ModeMismatch, broker_build
from apps.execution.signals import order_changed
from apps.execution.tests.factories import make_limits, make_user, quote
from apps.portfolios.models import LedgerEntry, PortfolioRole
from apps.portfolios.selectors.holdings import holdings
from apps.portfolios.services.portfolios import membership_grant
from apps.portfolios.tests.factories import PortfolioFactory
from apps.risk.services.state import trading_halt


def steps(order):
    return [(event.kind, event.from_status, event.to_status) for event in order.events.order_by("id")]


class TestOrderSubmit:
    def test_a_market_order_is_filled_and_booked(self, desk):
        order = desk.submit()
        assert (order.status, order.cumulative_quantity, order.average_price) == ("filled", Decimal(10), Decimal("100.05"))
        assert order.reference_price == Decimal(100)
        assert steps(order) == [
            ("pending_new", "", "pending_new"),
            ("sent", "pending_new", "sent"),
            ("new", "sent", "new"),
            ("trade", "new", "filled"),
        ]
        fill = order.fills.get()
        entry = LedgerEntry.objects.get(source="fill")
        assert (entry.quantity, entry.price, entry.fee, entry.amount) == (Decimal(10), Decimal("100.05"), Decimal(1), Decimal("-1001.50"))
        assert (entry.source_ref, entry.effective_at) == (f"paper:{fill.execution_id}", fill.market_time)
        held = holdings(desk.portfolio.pk)
        assert held.cash == Decimal("98998.50")
        assert [(p.symbol, p.quantity) for p in held.positions] == [("AAPL", Decimal(10))]

    def test_every_check_is_kept_with_its_numbers(self, desk):
        order = desk.submit()
        decisions = {decision.authority: decision for decision in order.decisions.all()}
        assert set(decisions) == {"risk", "compliance"}
        assert all(decision.allowed and decision.intent_digest == order.intent_digest for decision in decisions.values())
        capital = next(check for check in decisions["risk"].checks if check["code"] == "INSUFFICIENT_CAPITAL")
        assert capital["outcome"] == "pass"
        assert Decimal(capital["before"]) == 100_000

    def test_a_denied_order_is_stored_with_all_its_breaches(self, desk):
        make_limits(desk.portfolio, at=clock.now() + timedelta(seconds=61), position_size="5", position_value="500", total_exposure="400")
        order = desk.submit(at=clock.now() + timedelta(seconds=3))
        assert order.status == "denied"
        assert order.reason == "POSITION_SIZE_LIMIT, POSITION_VALUE_LIMIT, TOTAL_EXPOSURE_LIMIT"
        assert steps(order)[-1] == ("denied", "pending_new", "denied")
        assert {d.authority: d.allowed for d in order.decisions.all()} == {"risk": False, "compliance": True}
        assert not Fill.objects.exists()
        assert holdings(desk.portfolio.pk).cash == 100_000

    def test_a_limit_order_away_from_the_market_works(self, desk):
        order = desk.submit(order_type="limit", limit_price="99")
        assert (order.status, order.leaves_quantity) == ("new", Decimal(10))

    def test_working_orders_count_against_cash(self, desk):
        desk.submit(quantity="900", order_type="limit", limit_price="99")
        order = desk.submit(quantity="900", order_type="limit", limit_price="99")
        assert (order.status, order.reason) == ("denied", "INSUFFICIENT_CAPITAL")

    def test_the_same_order_again_is_the_first_one(self, desk):
        identity = uuid4()
        first, second = (desk.submit(client_order_id=identity) for _ in range(2))
        assert first.pk == second.pk
        assert holdings(desk.portfolio.pk).positions[0].quantity == 10

    def test_another_order_under_the_same_client_order_id_conflicts(self, desk):
        identity = uuid4()
        desk.submit(client_order_id=identity)
        with pytest.raises(Conflict, match="belongs to another order") as caught:
            desk.submit(client_order_id=identity, quantity="11")
        assert caught.value.field == "client_order_id"
        assert Order.objects.count() == 1

    def test_one_client_order_id_is_one_order_of_the_whole_desk(self, desk):
        """Brokers know an order by it, whichever of their accounts it is for. What another portfolio has under it is not told."""
        first = desk.submit()
        other = PortfolioFactory(owner=desk.trader, initial_capital=Decimal(100_000))
        make_limits(other, at=clock.now())
        paper_account_create(portfolio_id=other.pk)
        with pytest.raises(Conflict, match=r"belongs to another order$") as caught:
            desk.submit(client_order_id=first.client_order_id, portfolio_id=other.pk)
        assert caught.value.field == "client_order_id"
        assert list(Order.objects.all()) == [first]

    def test_a_portfolio_without_an_account_takes_no_orders(self, desk):
        intent = desk.intent()
        desk.account.delete()
        with pytest.raises(Conflict, match="no brokerage account"):
            order_submit(intent=intent, user=desk.trader, at=clock.now())
        assert not Order.objects.exists()

    def test_without_a_price_it_is_denied(self, desk):
        quote("AAPL", "100", at=clock.now() - timedelta(seconds=31))
        assert desk.submit().reason == "PRICE_STALE"

    def test_screens_and_listeners_are_told_after_commit(self, desk, django_capture_on_commit_callbacks):
        heard = []

        def listener(**facts):
            heard.append((facts["order_id"], facts["portfolio_id"], facts["status"]))

        order_changed.connect(listener)
        with django_capture_on_commit_callbacks() as callbacks:
            order = desk.submit()
        assert not heard
        for callback in callbacks:
            callback()
        assert heard == [(order.pk, desk.portfolio.pk, "filled")]

    def test_a_sale_closes_the_position(self, desk):
        desk.submit()
        order = desk.submit(side="sell")
        assert (order.status, order.average_price) == ("filled", Decimal("99.95"))
        assert holdings(desk.portfolio.pk).positions == ()

    def test_nothing_is_sold_short(self, desk):
        assert desk.submit(side="sell").reason == "SHORT_SALE"


class TestCancel:
    def test_a_working_order_is_cancelled(self, desk):
        order = desk.submit(order_type="limit", limit_price="99")
        cancelled = order_cancel(order_id=order.pk, user=desk.trader, at=clock.now(), reason="changed my mind")
        assert (cancelled.status, cancelled.reason) == ("canceled", "changed my mind")
        assert [kind for kind, _, _ in steps(cancelled)[-2:]] == ["pending_cancel", "canceled"]

    def test_a_filled_order_cannot_be_cancelled(self, desk):
        order = desk.submit()
        with pytest.raises(Conflict, match="is filled already"):
            order_cancel(order_id=order.pk, user=desk.trader, at=clock.now())

    def test_an_order_of_others_does_not_exist(self, desk):
        order = desk.submit(order_type="limit", limit_price="99")
        with pytest.raises(NotFound):
            order_cancel(order_id=order.pk, user=make_user("stranger", Role.TRADER), at=clock.now())

    def test_who_only_watches_does_not_cancel(self, desk):
        order = desk.submit(order_type="limit", limit_price="99")
        watcher = make_user("watcher", Role.TRADER)
        membership_grant(portfolio_id=desk.portfolio.pk, user_id=watcher.pk, role=PortfolioRole.VIEWER)
        with pytest.raises(NotPermitted):
            order_cancel(order_id=order.pk, user=watcher, at=clock.now())

    def test_all_working_orders_at_once(self, desk):
        orders = [desk.submit(order_type="limit", limit_price="99", quantity="1") for _ in range(3)]
        filled = desk.submit()
        assert working_orders_cancel(portfolio_id=None, reason="end of the day", at=clock.now()) == 3
        assert {order.status for order in Order.objects.filter(pk__in=[order.pk for order in orders])} == {"canceled"}
        assert Order.objects.get(pk=filled.pk).status == "filled"

    def test_a_halt_cancels_working_orders_and_denies_new_ones(self, desk, django_capture_on_commit_callbacks):
        order = desk.submit(order_type="limit", limit_price="99")
        with django_capture_on_commit_callbacks(execute=True):
            trading_halt(portfolio_id=desk.portfolio.pk, user=desk.trader, reason="fat finger", at=clock.now())
        order.refresh_from_db()
        assert (order.status, order.reason) == ("canceled", "trading halted: fat finger")
        assert desk.submit().reason == "TRADING_HALTED"


class TestReports:
    """What a broker may report, in any order."""

    @pytest.fixture
    def working(self, desk):
        return desk.submit(order_type="limit", limit_price="99")

    def book(self, order, *reports):
        locked = order_lock(portfolio_id=order.portfolio_id, order_id=order.pk)
        return reports_book(order=locked, reports=reports, source="paper", at=clock.now())

    def trade(self, identity, quantity, price="99"):
        execution = Execution(
            execution_id=identity, quantity=Decimal(quantity), price=Decimal(price), fee=Decimal(0), market_time=clock.now(), quote={}
        )
        return ExecutionReport(kind=OrderEventKind.TRADE, execution=execution)

    def test_partial_fills_add_up(self, working):
        assert self.book(working, self.trade("1", 4)).status == "partially_filled"
        order = self.book(working, self.trade("2", 3, "98"), self.trade("3", 3, "97"))
        assert (order.status, order.cumulative_quantity) == ("filled", 10)
        assert order.average_price == Decimal("98.1")

    def test_an_execution_id_counts_once(self, working):
        self.book(working, self.trade("1", 4))
        order = self.book(working, self.trade("1", 4), self.trade("2", 6))
        assert (order.cumulative_quantity, order.fills.count()) == (10, 2)
        assert self.book(working, self.trade("1", 4)).status == "filled"

    def test_more_than_ordered_is_refused_and_nothing_is_booked(self, working):
        with pytest.raises(IllegalTransition):
            self.book(working, self.trade("1", 11))
        assert not Fill.objects.exists()

    def test_a_fill_after_the_cancel_is_booked_and_alerted(self, desk, working):
        order_cancel(order_id=working.pk, user=desk.trader, at=clock.now())
        order = self.book(working, self.trade("1", 4))
        assert (order.status, order.cumulative_quantity, order.leaves_quantity) == ("canceled", 4, 0)
        assert holdings(desk.portfolio.pk).positions[0].quantity == 4
        assert Alert.objects.get(code="LATE_FILL").data["order_id"] == order.pk

    def test_a_complete_fill_after_the_cancel_makes_it_filled(self, desk, working):
        order_cancel(order_id=working.pk, user=desk.trader, at=clock.now())
        assert self.book(working, self.trade("1", 10)).status == "filled"

    def test_a_refused_cancel_lets_it_work_on(self, working):
        self.book(working, self.trade("1", 4), ExecutionReport(kind=OrderEventKind.PENDING_CANCEL))
        assert self.book(working, ExecutionReport(kind=OrderEventKind.CANCEL_REJECT)).status == "partially_filled"

    def test_an_illegal_report_changes_nothing(self, desk):
        order = desk.submit()
        with pytest.raises(IllegalTransition, match="an order which is filled"):
            self.book(order, ExecutionReport(kind=OrderEventKind.REJECTED))
        assert Order.objects.get(pk=order.pk).status == "filled"


class TestRouting:
    def test_the_adapter_has_the_accounts_costs(self, desk):
        broker = broker_build(desk.account, mode=TradingMode.PAPER)
        assert isinstance(broker, PaperBroker)

    def test_a_paper_account_is_not_live(self, desk):
        with pytest.raises(ModeMismatch, match="trades in paper, not in live"):
            broker_build(desk.account, mode=TradingMode.LIVE)

    @pytest.mark.parametrize(("broker", "mode"), [("paper", TradingMode.LIVE), ("unknown", TradingMode.PAPER)])
    def test_no_adapter_is_built_for_what_nobody_serves(self, desk, broker, mode):
        desk.account.broker, desk.account.mode = broker, mode.value  # as no row in the database can be
        with pytest.raises(ModeMismatch, match="no adapter"):
            broker_build(desk.account)

    def test_a_second_account_with_other_costs_conflicts(self, desk):
        assert paper_account_create(portfolio_id=desk.portfolio.pk).pk == desk.account.pk
        with pytest.raises(Conflict):
            paper_account_create(portfolio_id=desk.portfolio.pk, commission=Decimal(2))
