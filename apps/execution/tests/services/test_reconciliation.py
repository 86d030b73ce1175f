"""Reconciliation on a desk: what is booked, what stays a break, what halts opening trades, and who may say that it is well."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from apps.alerts.models import Alert
from apps.core import clock
from apps.core.errors import Conflict, InvalidInput, NotFound, NotPermitted
from apps.core.roles import Role
from apps.core.trading import Side
from apps.execution.brokers.protocol import BrokerFill, BrokerOpenOrder, BrokerStatement, BrokerTimeout, Execution, ExecutionReport
from apps.execution.domain.states import OrderEventKind
from apps.execution.models import BreakResolution, Order, ReconciliationBreak, ReconciliationRun
from apps.execution.models import ReconciliationTrigger as Trigger
from apps.execution.selectors.reconciliation import breaks_open, portfolio_standing
from apps.execution.services.accounts import ib_account_create
from apps.execution.services.orders import order_cancel
from apps.execution.services.reconciliation import account_reconcile, break_resolve
from apps.execution.services.reconciliation_watch import ReconciliationWatch, paper_brokers, reconcile_ask
from apps.execution.services.reports import order_lock, reports_book
from apps.execution.services.routing import paper_broker
from apps.execution.tests.factories import Desk, make_desk, make_user, quote
from apps.portfolios.selectors.holdings import holdings
from apps.portfolios.services.ledger import entry_post

NUMBER = "DU1234567"


@dataclass
class Books:
    """A broker that says what the test says."""

    statement_now: BrokerStatement
    asked: int = 0

    def statement(self, since):
        self.asked += 1
        return self.statement_now

    def tell(self, **changes):
        self.statement_now = replace(self.statement_now, **changes)


@pytest.fixture
def at_gateway(db) -> Desk:
    """The desk at a broker with books of its own, and nobody there who would answer for it."""
    made = make_desk()
    made.account.delete()
    account = ib_account_create(portfolio_id=made.portfolio.pk, number=NUMBER)
    return Desk(trader=made.trader, portfolio=made.portfolio, instrument=made.instrument, account=account)


@pytest.fixture
def books(at_gateway) -> Books:
    held = holdings(at_gateway.portfolio.pk)
    return Books(BrokerStatement(as_of=clock.now(), open_orders=(), fills=(), positions={}, cash={"USD": held.cash}))


def compare(desk, books, *, at=None, trigger=Trigger.REQUEST) -> ReconciliationRun:
    return account_reconcile(account=desk.account, broker=books, trigger=trigger, at=at or clock.now())


def stranger(reference="", number="99") -> BrokerOpenOrder:
    return BrokerOpenOrder(
        reference=reference, broker_order_id=number, symbol="AAPL", side=Side.BUY, quantity=Decimal(5), cumulative=Decimal(0), limit_price=Decimal(90)
    )


def working(order: Order) -> BrokerOpenOrder:
    return replace(stranger(str(order.client_order_id)), quantity=order.quantity, cumulative=order.cumulative_quantity, limit_price=order.limit_price)


def execution(order_reference: str, name: str, quantity: str, price: str = "99") -> BrokerFill:
    done = Execution(execution_id=name, quantity=Decimal(quantity), price=Decimal(price), fee=Decimal(0), market_time=clock.now())
    return BrokerFill(reference=order_reference, symbol="AAPL", side=Side.BUY, execution=done)


def acknowledged(desk, **fields) -> Order:
    """A limit order which the broker has acknowledged."""
    order = desk.submit(order_type="limit", limit_price="99", **fields)
    with transaction.atomic():
        locked = order_lock(portfolio_id=order.portfolio_id, order_id=order.pk)
        return reports_book(order=locked, reports=[ExecutionReport(kind=OrderEventKind.NEW)], source="ib", at=clock.now())


def kinds(run: ReconciliationRun) -> list[tuple[str, str]]:
    return [(row.kind, row.subject) for row in breaks_open(run.account_id)]


class TestThePaperBooks:
    """The paper broker's book is what it said; the desk's is what it booked. After everything that an order can do they agree."""

    def test_they_agree_after_trades_cancels_changes_and_what_companies_do(self, desk):
        bought = desk.submit(quantity="30")
        desk.submit(side="sell", quantity="10")
        resting = desk.submit(order_type="limit", limit_price="90")
        order_cancel(order_id=desk.submit(order_type="limit", limit_price="91").pk, user=desk.trader, at=clock.now())
        at = clock.now()
        entry_post(
            portfolio_id=desk.portfolio.pk,
            book_id=bought.book_id,
            kind="dividend",
            instrument_id=desk.instrument.pk,
            amount=Decimal("7.5"),
            currency="USD",
            source="test",
            source_ref="dividend",
            effective_at=at,
            recorded_at=at,
        )
        run = reconcile_ask(account=desk.account, trigger=Trigger.BEAT, at=at)
        assert (run.state, run.open_breaks, run.booked_fills) == ("clean", 0, 0)
        assert run.compared == {"orders": 1, "executions": 2, "positions": 1, "cash": 1}
        statement = paper_broker(desk.account).statement(at - timedelta(days=1))
        assert [order.reference for order in statement.open_orders] == [str(resting.pk)]
        assert statement.positions == {"AAPL": Decimal(20)}
        assert statement.cash == {"USD": holdings(desk.portfolio.pk).cash}

    def test_a_projection_that_has_drifted_is_a_break(self, desk):
        desk.submit()
        with connection.cursor() as cursor:
            cursor.execute("update portfolios_position set quantity = quantity + 1")
        run = reconcile_ask(account=desk.account, trigger=Trigger.BEAT, at=clock.now())
        (found,) = breaks_open(desk.account.pk)
        assert (run.state, found.kind, found.key, found.difference) == ("breaks", "position", "AAPL", Decimal(-1))


class TestMissedExecutions:
    def test_they_are_booked_and_the_books_agree(self, at_gateway, books):
        order = acknowledged(at_gateway)
        cash = books.statement_now.cash["USD"]
        books.tell(
            open_orders=(replace(working(order), cumulative=Decimal(4)),),
            fills=(execution(str(order.client_order_id), "x1", "4"),),
            positions={"AAPL": Decimal(4)},
            cash={"USD": cash - 396},
        )
        run = compare(at_gateway, books)
        assert (run.state, run.booked_fills) == ("clean", 1)
        order.refresh_from_db()
        assert (order.status, order.cumulative_quantity, order.fills.get().execution_id) == ("partially_filled", Decimal(4), "x1")
        assert compare(at_gateway, books).booked_fills == 0
        assert holdings(at_gateway.portfolio.pk).cash == cash - 396

    def test_one_that_cannot_have_happened_stays_a_break(self, at_gateway, books):
        order = acknowledged(at_gateway)
        books.tell(open_orders=(working(order),), fills=(execution(str(order.client_order_id), "x1", "11"),))
        run = compare(at_gateway, books)
        assert (run.booked_fills, kinds(run)) == (0, [("missing_locally", "execution")])
        assert not breaks_open(at_gateway.account.pk)[0].halts


class TestStrangers:
    @pytest.mark.parametrize(
        "told", [{"open_orders": (stranger(),)}, {"open_orders": (stranger(str(uuid4())),)}, {"fills": (execution("", "x9", "5"),)}]
    )
    def test_opening_trades_are_refused_until_a_person_has_looked(self, at_gateway, books, told):
        books.tell(**told)
        run = compare(at_gateway, books)
        assert (run.state, run.open_breaks, Order.objects.count()) == ("breaks", 1, 0)
        order = at_gateway.submit()
        assert (order.status, order.reason) == ("denied", "ACCOUNT_ON_HOLD")
        alert = Alert.objects.get(code="RECONCILIATION_BREAK")
        assert alert.severity == "critical"
        assert "Nothing new is opened" in alert.detail
        risk = make_user("risk-officer", Role.RISK)
        break_resolve(break_id=breaks_open(at_gateway.account.pk)[0].pk, user=risk, reason="made by hand, told to the desk", at=clock.now())
        assert at_gateway.submit().status == "sent"
        assert compare(at_gateway, books).state == "clean"  # accepted, and found unchanged
        assert at_gateway.submit().status == "sent"

    def test_cancels_and_reductions_pass(self, desk):
        """On the paper desk, which holds shares and has an order at work."""
        desk.submit(quantity="10")
        resting = desk.submit(order_type="limit", limit_price="90")
        honest = paper_broker(desk.account).statement(clock.now() - timedelta(days=1))
        run = account_reconcile(
            account=desk.account,
            broker=Books(replace(honest, open_orders=(*honest.open_orders, stranger("", "77")))),
            trigger=Trigger.REQUEST,
            at=clock.now(),
        )
        assert kinds(run) == [("missing_locally", "order")]
        assert order_cancel(order_id=resting.pk, user=desk.trader, at=clock.now()).status == "canceled"
        assert desk.submit(side="sell", quantity="4").status == "filled"
        assert desk.submit(quantity="1").reason == "ACCOUNT_ON_HOLD"

    def test_no_later_run_closes_it(self, at_gateway, books):
        books.tell(open_orders=(stranger(),))
        compare(at_gateway, books)
        books.tell(open_orders=())
        run = compare(at_gateway, books)
        assert (run.state, run.open_breaks) == ("breaks", 1)
        assert Alert.objects.filter(code="RECONCILIATION_BREAK").count() == 1
        row = ReconciliationBreak.objects.get()
        with pytest.raises(IntegrityError, match="only a person"), transaction.atomic():
            BreakResolution.objects.create(found=row, run=run, reason="gone", resolved_at=clock.now())


class TestBreaks:
    def test_a_run_that_does_not_find_it_any_more_closes_it(self, at_gateway, books):
        books.tell(positions={"AAPL": Decimal(3)})
        assert kinds(compare(at_gateway, books)) == [("position", "position")]
        books.tell(positions={})
        run = compare(at_gateway, books)
        assert (run.state, BreakResolution.objects.get().run) == ("clean", run)
        assert at_gateway.submit().status == "sent"  # a position that differs halts nothing

    def test_a_difference_that_has_changed_is_a_new_break_and_the_same_one_is_not(self, at_gateway, books):
        for held, rows in (("3", 1), ("3", 1), ("5", 2)):
            books.tell(positions={"AAPL": Decimal(held)})
            compare(at_gateway, books)
            assert ReconciliationBreak.objects.count() == rows
        assert [row.difference for row in breaks_open(at_gateway.account.pk)] == [Decimal(5)]

    def test_what_was_accepted_is_a_break_again_when_it_comes_back(self, at_gateway, books):
        risk = make_user("risk-officer", Role.RISK)
        books.tell(positions={"AAPL": Decimal(3)})
        compare(at_gateway, books)
        break_resolve(break_id=breaks_open(at_gateway.account.pk)[0].pk, user=risk, reason="a transfer on its way", at=clock.now())
        assert [compare(at_gateway, books).state for _ in range(2)] == ["clean", "clean"]
        books.tell(positions={})
        assert compare(at_gateway, books).state == "clean"
        books.tell(positions={"AAPL": Decimal(3)})
        assert compare(at_gateway, books).state == "breaks"

    def test_a_difference_in_passing_is_none(self, at_gateway, books):
        """The first look finds it, the second one, after what was said meanwhile is booked, does not."""
        books.tell(positions={"AAPL": Decimal(3)})
        run = account_reconcile(
            account=at_gateway.account, broker=books, trigger=Trigger.FILL, at=clock.now(), settle=lambda: books.tell(positions={}) is None
        )
        assert (run.state, books.asked) == ("clean", 2)

    def test_an_order_on_its_way_is_no_break(self, at_gateway, books):
        assert at_gateway.submit().status == "sent"
        assert compare(at_gateway, books).state == "clean"

    def test_an_old_one_is_told_once_a_day(self, at_gateway, books):
        at = datetime(2099, 12, 1, 17, tzinfo=UTC)
        books.tell(positions={"AAPL": Decimal(3)})
        for later in (timedelta(0), timedelta(days=1), timedelta(days=1, minutes=1), timedelta(days=2)):
            compare(at_gateway, books, at=at + later)
        titles = list(Alert.objects.filter(code="RECONCILIATION_AGED").order_by("id").values_list("title", flat=True))
        assert [title[-3:] for title in titles] == ["T+1", "T+2"]

    def test_a_broker_that_cannot_be_asked_is_a_run_that_failed(self, at_gateway, books):
        class Silent:
            def statement(self, since):
                raise BrokerTimeout("no answer")

        for _ in range(2):
            run = compare(at_gateway, Silent())
            assert (run.state, run.detail) == ("failed", "no answer")
        assert Alert.objects.filter(code="RECONCILIATION_FAILED").count() == 1
        assert compare(at_gateway, books).state == "clean"


class TestResolving:
    @pytest.fixture
    def row(self, at_gateway, books) -> ReconciliationBreak:
        books.tell(open_orders=(stranger(),))
        compare(at_gateway, books)
        return ReconciliationBreak.objects.get()

    def resolve(self, row, role=Role.RISK, **changes):
        user = make_user(f"officer-{role}", role)
        return break_resolve(**{"break_id": row.pk, "user": user, "reason": "known", "at": clock.now(), **changes})

    def test_by_risk_with_a_reason_once(self, row):
        self.resolve(row)
        assert (BreakResolution.objects.get().reason, portfolio_standing(row.portfolio_id).breaks) == ("known", ())
        with pytest.raises(Conflict):
            self.resolve(row, Role.COMPLIANCE)

    @pytest.mark.parametrize(
        ("changes", "error"),
        [({"role": Role.TRADER}, NotPermitted), ({"reason": "  "}, InvalidInput), ({"break_id": 10**9}, NotFound)],
    )
    def test_what_is_refused_resolves_nothing(self, row, changes, error):
        with pytest.raises(error):
            self.resolve(row, **changes)
        assert not BreakResolution.objects.exists()

    def test_nothing_of_it_is_ever_changed(self, row):
        for model in (ReconciliationRun, ReconciliationBreak):
            with pytest.raises(DatabaseError), transaction.atomic():
                model.objects.update(account=row.account)


class TestTheWatch:
    def test_it_compares_at_start_after_fills_and_when_told(self, desk):
        at = clock.now()
        watch = ReconciliationWatch("paper", paper_brokers)
        watch.all_due(Trigger.START)
        assert [run.trigger for run in watch.step(at=at)] == ["start"]
        assert watch.step(at=at + timedelta(seconds=2)) == []
        desk.submit()
        assert watch.step(at=at + timedelta(seconds=4)) == []  # not so soon
        assert [run.trigger for run in watch.step(at=at + timedelta(minutes=10))] == ["fill"]
        watch.hear([f"reconcile request {desk.account.number}", "7", "reconcile nonsense x"])
        assert [run.trigger for run in watch.step(at=at + timedelta(minutes=10))] == ["request"]

    def test_an_account_of_another_broker_is_nobody_elses_business(self, at_gateway):
        watch = ReconciliationWatch("paper", paper_brokers)
        watch.all_due(Trigger.START)
        watch.hear([f"reconcile request {NUMBER}"])
        assert watch.step(at=clock.now()) == []


def test_a_price_that_moves_does_not_make_the_paper_books_differ(desk):
    desk.submit(order_type="limit", limit_price="95")
    quote("AAPL", "94")
    assert reconcile_ask(account=desk.account, trigger=Trigger.BEAT, at=clock.now()).state == "clean"


@pytest.mark.django_db(transaction=True)
def test_the_paper_books_are_read_as_of_one_moment_and_no_order_waits_for_it():
    """An order that trades between the two readings takes the portfolio's lock, is committed, and is seen by neither book."""
    desk = make_desk()
    desk.submit()
    quote("AAPL", "100")
    statements: list[BrokerStatement] = []

    class TradesMeanwhile:
        def statement(self, since):
            statements.append(paper_broker(desk.account).statement(since))
            with ThreadPoolExecutor(1) as other:
                other.submit(self.trade).result(60)
            return statements[-1]

        def trade(self):
            try:
                assert desk.submit().status == "filled"
            finally:
                connection.close()

    run = account_reconcile(account=desk.account, broker=TradesMeanwhile(), trigger=Trigger.FILL, at=clock.now())
    assert (run.state, run.compared["executions"]) == ("clean", 1)
    assert [len(one.fills) for one in statements] == [1]
    assert len(paper_broker(desk.account).statement(run.started_at - timedelta(days=1)).fills) == 2
