"""Trailing stops, the close, good till date, changes of working orders, and orders that nobody knows the broker has."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.db import DatabaseError, connection, transaction

from apps.core import clock
from apps.core.errors import Conflict, InvalidInput, NotFound
from apps.execution.brokers.paper import PaperBroker
from apps.execution.brokers.protocol import BrokerTimeout, BrokerUnreachable, Execution, ExecutionReport, MarketPrice
from apps.execution.domain.states import OrderEventKind
from apps.execution.models import Fill, Order
from apps.execution.services.orders import order_cancel
from apps.execution.services.paper_market import day_orders_expire, prices_match
from apps.execution.services.recovery import PATIENCE, orders_recover
from apps.execution.services.replacements import ReplacementDenied, order_replace
from apps.execution.services.reports import order_lock, reports_book
from apps.execution.tests.factories import make_desk, make_user, quote
from apps.marketdata.models import FeedState
from apps.portfolios.selectors.holdings import holdings

NOON = datetime(2024, 7, 2, 16, tzinfo=UTC)
CLOSE = datetime(2024, 7, 2, 20, tzinfo=UTC)


def see(value, market_time=NOON):
    """The market shows a price to resting orders."""
    price = MarketPrice(symbol="AAPL", price=Decimal(value), market_time=market_time, source="test")
    return prices_match(prices={"AAPL": price}, at=clock.now())


def events(order):
    return [event.kind for event in order.events.order_by("id")]


@pytest.fixture
def noon(db):
    FeedState.objects.create(name="test", mode="replay", market_time=NOON, session=date(2024, 7, 2), updated_at=clock.now())


class TestTrailingStop:
    def test_it_follows_the_market_up_and_sells_when_it_turns(self, desk):
        desk.submit()
        order = desk.submit(side="sell", order_type="trailing_stop", trail_offset="3", time_in_force="gtc")
        for value, stop in (("101", "98"), ("105", "102"), ("103", "102"), ("104", "102")):
            see(value)
            order.refresh_from_db()
            assert (order.status, order.working_stop) == ("new", Decimal(stop)), value
        see("101.90")
        order.refresh_from_db()
        assert (order.status, order.average_price) == ("filled", Decimal("101.849050"))  # the gap's price less 5 bps
        assert events(order) == ["pending_new", "sent", "new", "restated", "restated", "restated", "triggered", "trade"]
        assert holdings(desk.portfolio.pk).positions == ()

    def test_a_buy_follows_the_market_down(self, desk):
        order = desk.submit(order_type="trailing_stop", trail_offset="2", time_in_force="gtc")
        see("95")
        see("96.5")
        order.refresh_from_db()
        assert (order.status, order.working_stop) == ("new", Decimal(97))
        see("97")
        order.refresh_from_db()
        assert order.status == "filled"


@pytest.mark.usefixtures("noon")
class TestTheClose:
    def test_a_market_on_close_order_waits_for_the_last_price_of_its_session(self, desk):
        order = desk.submit(order_type="market_on_close")
        see("90")
        order.refresh_from_db()
        assert (order.status, day_orders_expire(market_time=CLOSE - timedelta(seconds=1), at=clock.now())) == ("new", 0)
        quote("AAPL", "104", market_time=CLOSE)
        assert day_orders_expire(market_time=CLOSE, at=clock.now()) == 1
        order.refresh_from_db()
        assert (order.status, order.average_price) == ("filled", Decimal("104.052000"))

    def test_a_good_till_date_order_outlives_its_session_and_ends_at_its_date(self, desk):
        order = desk.submit(order_type="limit", limit_price="50", time_in_force="gtd", expire_at=CLOSE + timedelta(days=2))
        assert day_orders_expire(market_time=CLOSE + timedelta(days=2, seconds=-1), at=clock.now()) == 0
        assert day_orders_expire(market_time=CLOSE + timedelta(days=2), at=clock.now()) == 1
        order.refresh_from_db()
        assert (order.status, order.reason) == ("expired", "its date has come")


def change(desk, order, *, replacement_id=None, user=None, **changes):
    values = {name: Decimal(value) if name in ("quantity", "limit_price", "stop_price") else value for name, value in changes.items()}
    return order_replace(order_id=order.pk, user=user or desk.trader, replacement_id=replacement_id or uuid4(), changes=values, at=clock.now())


class TestReplace:
    @pytest.fixture
    def order(self, desk):
        return desk.submit(order_type="limit", limit_price="99", time_in_force="gtc")

    def test_a_working_order_takes_its_new_values_after_both_authorities_allow_them(self, desk, order):
        before = order.intent_digest
        changed = change(desk, order, quantity="20", limit_price="98")
        assert (changed.status, changed.quantity, changed.limit_price) == ("new", Decimal(20), Decimal(98))
        assert changed.intent_digest != before
        assert events(changed)[-2:] == ["pending_replace", "replaced"]
        assert changed.decisions.filter(intent_digest=changed.intent_digest, allowed=True).count() == 2
        see("98")
        changed.refresh_from_db()
        assert (changed.status, changed.cumulative_quantity) == ("filled", Decimal(20))

    @pytest.mark.usefixtures("noon")
    @pytest.mark.parametrize("first", [{"time_in_force": "gtc"}, {"time_in_force": "gtd", "expire_at": CLOSE + timedelta(days=9)}])
    def test_a_day_order_is_good_for_the_session_in_which_it_became_one(self, desk, first):
        order = desk.submit(order_type="limit", limit_price="99", **first)
        later = timedelta(days=1, hours=-1)  # a half day: it closes at 17:00
        FeedState.objects.update(market_time=NOON + later)
        change(desk, order, time_in_force="day", expire_at=None)
        assert day_orders_expire(market_time=NOON + later, at=clock.now()) == 0
        FeedState.objects.update(market_time=CLOSE + later)
        changed = change(desk, order, limit_price="98")  # nobody has looked since the close: it is no order of the next session
        assert day_orders_expire(market_time=CLOSE + later, at=clock.now()) == 1
        changed.refresh_from_db()
        assert (changed.status, changed.reason) == ("expired", "its session has closed")

    def test_there_and_back_is_two_changes(self, desk, order):
        first = order.intent_digest
        change(desk, order, quantity="20")
        changed = change(desk, order, quantity="10")
        assert (changed.quantity, changed.intent_digest) == (Decimal(10), first)

    def test_the_same_id_again_is_the_same_change(self, desk, order):
        key = uuid4()
        change(desk, order, replacement_id=key, quantity="20")
        assert change(desk, order, replacement_id=key, quantity="20").replacements.count() == 1
        with pytest.raises(Conflict):
            change(desk, order, replacement_id=key, quantity="30")

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"quantity": "10"}, "quantity"),
            ({"limit_price": "98.001"}, "limit_price"),
            ({"stop_price": "98"}, "stop_price"),
            ({"side": "sell"}, "side"),
            ({"time_in_force": "ioc"}, "time_in_force"),
        ],
    )
    def test_a_change_that_no_order_could_have_is_refused_by_name(self, desk, order, changes, field):
        with pytest.raises(InvalidInput) as refused:
            change(desk, order, **changes)
        assert refused.value.field == field
        assert not order.replacements.exists()

    @pytest.mark.django_db
    def test_the_gate_judges_the_change_and_the_order_works_on(self):
        desk = make_desk(position_size="15")
        order = desk.submit(order_type="limit", limit_price="99", time_in_force="gtc")
        with pytest.raises(ReplacementDenied) as refused:
            change(desk, order, quantity="16")
        assert any(check["outcome"] == "block" for check in refused.value.extra["checks"])
        order.refresh_from_db()
        assert (order.status, order.quantity, events(order)[-1]) == ("new", Decimal(10), "replace_reject")
        assert change(desk, order, quantity="15").quantity == 15  # its own ten are not counted beside it

    @pytest.mark.django_db
    def test_every_breach_of_a_refused_change_is_kept_and_shown(self, client):
        desk = make_desk(position_size="15", order_value="1500")
        order = desk.submit(order_type="limit", limit_price="99", time_in_force="gtc")
        with pytest.raises(ReplacementDenied):
            change(desk, order, quantity="16")
        refused = order.decisions.exclude(intent_digest=order.intent_digest)
        assert {(one.authority, one.allowed) for one in refused} == {("risk", False), ("compliance", True)}
        blocks = [check for check in refused.get(authority="risk").checks if check["outcome"] == "block"]
        assert {(check["code"], Decimal(check["limit"]), Decimal(check["after"])) for check in blocks} == {
            ("POSITION_SIZE_LIMIT", 15, 16), ("ORDER_VALUE_LIMIT", 1500, 1584)
        }  # fmt: skip
        said = order.events.order_by("-id").first().data["reason"]
        assert said == "quantity 16: ORDER_VALUE_LIMIT, POSITION_SIZE_LIMIT"
        client.force_login(desk.trader)
        found = client.get(f"/api/v1/orders/{order.pk}/").json()["decisions"]
        assert [(one["authority"], one["allowed"], one["of_change"]) for one in found] == [
            ("risk", True, False), ("compliance", True, False), ("risk", False, True), ("compliance", True, True)
        ]  # fmt: skip
        page = client.get(f"/trades/{order.pk}").content.decode()
        assert page.count("of a change") == 2
        assert "16 is above the limit 15" in page

    @pytest.mark.django_db
    def test_a_change_that_needs_a_second_person_is_kept_too(self):
        desk = make_desk(approval_value="1000")
        order = desk.submit(order_type="limit", limit_price="99", time_in_force="gtc")
        with pytest.raises(Conflict, match="send a new one"):
            change(desk, order, quantity="11")
        assert order.decisions.exclude(intent_digest=order.intent_digest).count() == 2
        assert order.events.order_by("-id").first().data["reason"] == "quantity 11: APPROVAL_REQUIRED"
        assert not order.replacements.exists()

    @pytest.mark.django_db
    def test_its_worth_is_also_that_at_the_price_by_which_it_was_judged_first(self):
        desk = make_desk(approval_value="1000")
        order = desk.submit(order_type="limit", limit_price="89", time_in_force="gtc")
        quote("AAPL", "90")
        with pytest.raises(Conflict, match="send a new one"):
            change(desk, order, quantity="11")  # 990 at the price of now, 1,100 at that of the order

    def test_what_has_traded_cannot_be_changed_away(self, desk, order):
        trade(order, "4")
        with pytest.raises(InvalidInput, match="4 have traded already"):
            change(desk, order, quantity="4")
        assert change(desk, order, quantity="5").leaves_quantity == 1

    def test_an_ended_order_and_one_of_others_are_not_changed(self, desk, order):
        with pytest.raises(NotFound):
            change(desk, order, user=make_user("stranger"), quantity="20")
        order_cancel(order_id=order.pk, user=desk.trader, at=clock.now())
        with pytest.raises(Conflict):
            change(desk, order, quantity="20")

    def test_fills_that_overtake_the_change_are_of_the_order_as_it_was(self, desk, order, monkeypatch):
        """The broker has filled 8 of 10 before it takes the change to 6: then 8 is all there is (FIX 4.4 C.3.c, V-D1-2)."""
        monkeypatch.setattr(PaperBroker, "replace", lambda *_: ())
        waiting = change(desk, order, quantity="6")
        assert waiting.status == "pending_replace"
        trade(order, "8")
        order.refresh_from_db()
        assert (order.status, order.quantity) == ("pending_replace", Decimal(10))
        book(order, ExecutionReport(kind=OrderEventKind.REPLACED))
        order.refresh_from_db()
        assert (order.status, order.quantity, order.cumulative_quantity) == ("filled", Decimal(8), Decimal(8))

    def test_a_change_that_the_broker_never_answers_is_looked_up(self, desk, order, monkeypatch):
        def away(*_):
            raise BrokerTimeout("no answer")

        monkeypatch.setattr(PaperBroker, "replace", away)
        assert change(desk, order, quantity="6").status == "pending_replace"
        assert orders_recover(at=clock.now() + PATIENCE * 2) == 1
        order.refresh_from_db()
        assert (order.status, order.quantity, events(order)[-1]) == ("new", Decimal(10), "replace_reject")

    def test_the_database_takes_no_change_that_nobody_allowed(self, desk, order):
        def tampered(sql):
            with pytest.raises(DatabaseError, match="replacement only"), transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(f"update execution_order set {sql} where id = %s", [order.pk])

        tampered("quantity = 11")
        tampered("limit_price = 1, intent_digest = repeat('0', 64)")


class TestUnknownSent:
    @pytest.fixture
    def lost(self, desk, monkeypatch):
        """An order whose broker never answered."""
        with monkeypatch.context() as patch:
            patch.setattr(PaperBroker, "submit", self.silent)
            return desk.submit()

    @staticmethod
    def silent(*_):
        raise BrokerTimeout("no answer within 5 s")

    def test_a_time_out_is_no_reject(self, lost):
        assert (lost.status, lost.reason) == ("unknown_sent", "no answer within 5 s")

    def test_it_is_looked_up_and_never_sent_again(self, lost, monkeypatch):
        monkeypatch.setattr(PaperBroker, "submit", lambda *_: pytest.fail("sent again"))
        monkeypatch.setattr(PaperBroker, "lookup", lambda *_: (ExecutionReport(kind=OrderEventKind.NEW),))
        assert orders_recover(at=clock.now() + PATIENCE * 2) == 1
        lost.refresh_from_db()
        assert lost.status == "new"

    def test_while_the_look_up_times_out_too_it_stays_unknown(self, lost, monkeypatch):
        monkeypatch.setattr(PaperBroker, "lookup", self.silent)
        orders_recover(at=clock.now() + PATIENCE * 2)
        lost.refresh_from_db()
        assert (lost.status, events(lost)[-2:]) == ("unknown_sent", ["timed_out", "timed_out"])

    def test_a_broker_that_never_had_it_ends_it(self, lost, monkeypatch):
        never = (ExecutionReport(kind=OrderEventKind.REJECTED, reason="the broker never had it"),)
        monkeypatch.setattr(PaperBroker, "lookup", lambda *_: never)
        orders_recover(at=clock.now() + PATIENCE * 2)
        lost.refresh_from_db()
        assert lost.status == "rejected"

    def test_its_fill_may_arrive_first(self, lost):
        trade(lost, "10")
        lost.refresh_from_db()
        assert lost.status == "filled"

    def test_an_order_that_certainly_did_not_leave_waits_to_be_sent(self, desk, monkeypatch):
        def unreachable(*_):
            raise BrokerUnreachable("connection refused")

        with monkeypatch.context() as patch:
            patch.setattr(PaperBroker, "submit", unreachable)
            order = desk.submit()
        assert order.status == "sent"
        assert orders_recover(at=clock.now() + PATIENCE * 2) == 1
        order.refresh_from_db()
        assert order.status == "filled"


def book(order: Order, *reports: ExecutionReport) -> None:
    with transaction.atomic():
        reports_book(order=order_lock(portfolio_id=order.portfolio_id, order_id=order.pk), reports=reports, source="paper", at=clock.now())


def trade(order: Order, quantity: str) -> None:
    execution = Execution(execution_id=f"x-{order.pk}", quantity=Decimal(quantity), price=Decimal(99), fee=Decimal(0), market_time=NOON)
    report = ExecutionReport(kind=OrderEventKind.TRADE, execution=execution)
    book(order, report, report)  # told twice, booked once
    assert Fill.objects.filter(order=order).count() == 1
