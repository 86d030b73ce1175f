"""Resting orders against new prices, the end of the session, and what a crash left behind."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from django.db import IntegrityError, transaction

from apps.core import clock
from apps.execution.brokers.paper import PaperFaults
from apps.execution.brokers.protocol import MarketPrice
from apps.execution.models import BrokerageAccount, Fill, Order
from apps.execution.selectors.rows import fill_row
from apps.execution.services import orders as order_services
from apps.execution.services.orders import order_cancel, order_submit
from apps.execution.services.paper_market import PaperMarket, day_orders_expire, prices_match, resting_symbols
from apps.execution.services.recovery import PATIENCE, orders_recover
from apps.execution.services.replacements import order_replace
from apps.execution.services.routing import broker_order, paper_broker
from apps.execution.tests.factories import quote
from apps.execution.tests.test_guards import decide, make_order
from apps.marketdata.models import FeedState
from apps.marketdata.selectors.quotes import FeedMessage
from apps.portfolios.selectors.holdings import holdings

NOON = datetime(2024, 7, 2, 16, tzinfo=UTC)
CLOSE = datetime(2024, 7, 2, 20, tzinfo=UTC)


def price(value, symbol="AAPL", market_time=NOON):
    return {symbol: MarketPrice(symbol=symbol, price=Decimal(value), market_time=market_time, source="test")}


@pytest.fixture
def noon(db):
    FeedState.objects.create(name="test", mode="replay", market_time=NOON, session=date(2024, 7, 2), updated_at=clock.now())


class TestPrices:
    def test_a_resting_limit_trades_when_the_market_comes_to_it(self, desk):
        order = desk.submit(order_type="limit", limit_price="99")
        assert resting_symbols() == ("AAPL",)
        assert prices_match(prices=price("99.01"), at=clock.now()) == 0
        assert prices_match(prices=price("98.50"), at=clock.now()) == 1
        order.refresh_from_db()
        assert (order.status, order.average_price) == ("filled", Decimal("98.549250"))
        assert order.fills.get().quote["price"] == "98.5"
        assert resting_symbols() == ()

    def test_a_stop_is_triggered_and_trades(self, desk):
        desk.submit()
        stop = desk.submit(side="sell", order_type="stop", stop_price="95", time_in_force="gtc")
        assert prices_match(prices=price("96"), at=clock.now()) == 0
        assert prices_match(prices=price("94"), at=clock.now()) == 1
        stop.refresh_from_db()
        assert (stop.status, stop.stop_triggered) == ("filled", True)
        assert [event.kind for event in stop.events.order_by("id")][-2:] == ["triggered", "trade"]
        assert holdings(desk.portfolio.pk).positions == ()

    def test_other_symbols_and_cancelled_orders_are_left_alone(self, desk):
        order = desk.submit(order_type="limit", limit_price="99")
        assert prices_match(prices=price("1", symbol="MSFT"), at=clock.now()) == 0
        order_cancel(order_id=order.pk, user=desk.trader, at=clock.now())
        assert prices_match(prices=price("98"), at=clock.now()) == 0
        assert not Fill.objects.exists()

    def test_the_same_price_again_does_nothing(self, desk):
        desk.submit(order_type="limit", limit_price="99")
        assert [prices_match(prices=price("98"), at=clock.now()) for _ in range(3)] == [1, 0, 0]
        assert Fill.objects.count() == 1


class TestBidAndAsk:
    """What a live feed says of the book decides at what an order trades, and the fill says so."""

    def test_a_marketable_order_trades_at_the_other_side_at_once(self, desk):
        quote("AAPL", "100", bid="99.90", ask="100.10")
        bought, sold = desk.submit(), desk.submit(side="sell")
        assert (bought.average_price, sold.average_price) == (Decimal("100.150050"), Decimal("99.850050"))
        row = fill_row(bought.fills.get())
        assert (row["quote"]["price"], row["quote"]["basis"], row["quote"]["last"]) == ("100.1", "ask", "100")
        assert "Matched against the ask 100.1 (last price 100; test, " in row["explanation"]

    def test_a_quote_that_is_much_older_than_the_last_price_is_not_traded_against(self, desk):
        quote("AAPL", "100", bid="90", ask="110", quote_time=clock.now() - timedelta(seconds=31))
        assert desk.submit().average_price == Decimal("100.05")

    def test_a_resting_limit_waits_for_the_other_side(self, desk, noon):
        quote("AAPL", "100", bid="99.90", ask="100.10", market_time=NOON)
        order = desk.submit(order_type="limit", limit_price="99", time_in_force="gtc")
        market = PaperMarket()
        market.hear(TestPaperMarket().message("98.9"), at=clock.now())
        assert Order.objects.get(pk=order.pk).status == "new"  # the ask stands where it stood
        quote("AAPL", "98.9", bid="98.70", ask="98.95", market_time=NOON)
        market.hear(TestPaperMarket().message("98.9"), at=clock.now())
        order.refresh_from_db()
        assert (order.status, order.average_price) == ("filled", Decimal("98.999475"))
        assert order.fills.get().quote["basis"] == "ask"

    def test_a_step_of_a_replay_is_matched_at_its_own_price(self, desk, noon):
        quote("AAPL", "100", bid="99.90", ask="100.10", market_time=NOON)
        order = desk.submit(order_type="limit", limit_price="99", time_in_force="gtc")
        PaperMarket().hear(replace(TestPaperMarket().message("98"), step="low"), at=clock.now())
        assert Order.objects.get(pk=order.pk).average_price == Decimal("98.049")


class TestDisplayedSize:
    def look(self) -> int:
        """What the broker's process does in silence."""
        market = PaperMarket()
        market.hear(None, at=clock.now())
        return market.matched

    def test_an_order_takes_what_each_quote_displays_and_no_quote_twice(self, desk, noon):
        seen = {"bid": "99", "ask": "101", "market_time": NOON}
        quote("AAPL", "100", **seen, ask_size="40")
        order = desk.submit(quantity="100")
        assert (order.status, order.cumulative_quantity) == ("partially_filled", 40)
        assert [self.look(), self.look()] == [0, 0]  # a process that starts again finds the same quote
        quote("AAPL", "100.5", **seen, quote_time=NOON, ask_size="40")
        assert self.look() == 0  # somebody traded; the book is the same
        quote("AAPL", "100", **seen, quote_time=NOON + timedelta(milliseconds=1), ask_size="40")
        assert [self.look(), self.look()] == [1, 0]
        quote("AAPL", "100", market_time=NOON)  # a feed without sizes
        assert self.look() == 1
        order.refresh_from_db()
        assert (order.status, order.average_price) == ("filled", (80 * Decimal("101.0505") + 20 * Decimal("100.05")) / 100)
        assert [fill.quantity for fill in order.fills.order_by("id")] == [40, 40, 20]
        assert "at which 40 shares were displayed" in fill_row(order.fills.order_by("id")[0])["explanation"]
        assert [fill.fee for fill in order.fills.order_by("id")] == [1, 0, 0]

    def test_the_request_that_sends_an_order_asks_the_database_nothing_for_it(self, desk, django_assert_num_queries):
        resting = desk.submit(order_type="limit", limit_price="90")
        quote("AAPL", "90", bid="89", ask="90", ask_size="4")
        with django_assert_num_queries(0):
            reports = paper_broker(resting.account).submit(broker_order(resting))
        assert [report.kind.value for report in reports] == ["new", "trade"]

    def test_the_account_says_how_much_of_it_an_order_takes(self, desk):
        BrokerageAccount.objects.update(displayed_share="0.5")
        quote("AAPL", "100", bid="99", ask="101", bid_size="10", ask_size="10")
        assert desk.submit(quantity="10").cumulative_quantity == 5


class TestFaults:
    """A paper account that answers late, or refuses, because somebody wants to see what the desk does then."""

    LATENCY = timedelta(milliseconds=200)

    @pytest.fixture
    def slow(self, desk, noon):
        BrokerageAccount.objects.update(latency_ms=200)
        return desk

    def hear(self, at, message=None) -> list[str]:
        """Statuses of all orders after the broker's process has looked at the market at a time."""
        PaperMarket().hear(message, at=at)
        return list(Order.objects.order_by("id").values_list("status", flat=True))

    @pytest.mark.parametrize("fields", [{}, {"time_in_force": "ioc"}, {"order_type": "limit", "limit_price": "105"}])
    def test_an_order_meets_the_market_as_it_is_after_the_latency(self, slow, fields):
        at = clock.now()
        order = slow.submit(at=at, **fields)
        quote("AAPL", "104", market_time=NOON)
        assert self.hear(at + self.LATENCY - timedelta(milliseconds=1)) == ["new"]
        assert self.hear(at + self.LATENCY) == ["filled"]
        assert order.fills.get().price == Decimal("104.052")

    def test_it_waits_for_no_message_about_its_symbol(self, slow):
        at = clock.now()
        slow.submit(at=at)
        other = replace(TestPaperMarket().message("1"), symbols=("MSFT",), prices={"MSFT": Decimal(1)})
        assert self.hear(at + self.LATENCY, other) == ["filled"]

    def test_a_changed_order_waits_again(self, slow):
        at = clock.now()
        order = slow.submit(at=at, order_type="limit", limit_price="99", time_in_force="gtc")
        changed_at = at + timedelta(seconds=5)
        order_replace(order_id=order.pk, user=slow.trader, replacement_id=uuid4(), changes={"limit_price": Decimal(101)}, at=changed_at)
        assert self.hear(changed_at + self.LATENCY / 2) == ["new"]
        assert self.hear(changed_at + self.LATENCY) == ["filled"]

    def test_an_immediate_order_for_which_no_price_comes_ends(self, slow):
        at = clock.now()
        quote("AAPL", "102", market_time=NOON)
        slow.submit(at=at, time_in_force="ioc", order_type="limit", limit_price="105")
        assert day_orders_expire(market_time=NOON, at=at + self.LATENCY + timedelta(seconds=4)) == 0
        assert day_orders_expire(market_time=NOON, at=at + self.LATENCY + timedelta(seconds=6)) == 1
        assert Order.objects.get().status == "canceled"

    def test_a_trailing_stop_waits_once(self, slow):
        at = clock.now()
        slow.submit(at=at, order_type="trailing_stop", trail_offset="2", time_in_force="gtc")
        assert self.hear(at + self.LATENCY) == ["new"]  # it has moved there
        quote("AAPL", "102", market_time=NOON)
        assert self.hear(at + self.LATENCY + timedelta(milliseconds=1)) == ["filled"]

    def test_orders_are_rejected_as_seed_and_client_order_id_say(self, desk):
        BrokerageAccount.objects.update(reject_share="0.5", reject_seed=3)
        ids = [UUID(int=number) for number in range(1, 13)]
        told = [desk.submit(client_order_id=one) for one in ids]
        faults = PaperFaults(reject_share=Decimal("0.5"), seed=3)
        assert [order.status for order in told] == ["rejected" if faults.rejects(str(one)) else "filled" for one in ids]
        assert {order.reason for order in told if order.status == "rejected"} == {"rejected on purpose: share 0.5, seed 3"}

    def test_only_paper_accounts_have_faults(self, desk):
        with pytest.raises(IntegrityError, match="account_faults"), transaction.atomic():
            BrokerageAccount.objects.update(broker="ib", number="DU1234567", latency_ms=1)


class TestSessionEnd:
    def test_a_day_order_ends_with_its_session_and_a_gtc_order_stays(self, desk, noon):
        day = desk.submit(order_type="limit", limit_price="99")
        gtc = desk.submit(order_type="limit", limit_price="99", time_in_force="gtc")
        assert day_orders_expire(market_time=CLOSE - timedelta(minutes=1), at=clock.now()) == 0
        assert day_orders_expire(market_time=CLOSE, at=clock.now()) == 1
        assert Order.objects.get(pk=day.pk).status == "expired"
        assert Order.objects.get(pk=gtc.pk).status == "new"

    def test_a_day_order_made_after_the_close_belongs_to_the_next_session(self, desk, noon):
        FeedState.objects.update(market_time=CLOSE)
        order = desk.submit(order_type="limit", limit_price="99")
        assert day_orders_expire(market_time=CLOSE, at=clock.now()) == 0
        assert day_orders_expire(market_time=datetime(2024, 7, 3, 17, tzinfo=UTC), at=clock.now()) == 1  # a half day
        assert Order.objects.get(pk=order.pk).status == "expired"


class TestRecovery:
    """Each test leaves what a crash at one point would leave, and sees it finished once."""

    def later(self):
        return clock.now() + PATIENCE + timedelta(seconds=1)

    def sent(self, desk, monkeypatch, **fields):
        """An order whose process died after the first commit, before the broker was called."""

        class Died(BaseException):
            pass

        def die(*_args, **_kwargs):
            raise Died

        with monkeypatch.context() as patch:
            patch.setattr(order_services, "order_route", die)
            with pytest.raises(Died):
                order_submit(intent=desk.intent(**fields), user=desk.trader, at=clock.now())
        return Order.objects.get()

    def test_a_sent_order_is_driven_on_once(self, desk, monkeypatch):
        order = self.sent(desk, monkeypatch)
        assert order.status == "sent"
        assert orders_recover(at=clock.now()) == 0  # its own request may still be at work
        quote("AAPL", "100")
        assert orders_recover(at=self.later()) == 1
        order.refresh_from_db()
        assert order.status == "filled"
        assert orders_recover(at=self.later()) == 0
        assert holdings(desk.portfolio.pk).positions[0].quantity == 10

    def test_a_pending_order_with_valid_decisions_is_sent(self, desk):
        order = make_order(desk)
        for authority in ("risk", "compliance"):
            decide(order, authority=authority, seconds=120)
        assert orders_recover(at=self.later()) == 1
        assert Order.objects.get(pk=order.pk).status == "filled"

    @pytest.mark.parametrize("authorities", [(), ("risk",), ("risk", "compliance")], ids=["none", "one", "run out"])
    def test_a_pending_order_without_valid_decisions_expires(self, desk, authorities):
        order = make_order(desk)
        for authority in authorities:
            decide(order, authority=authority, seconds=-1 if len(authorities) == 2 else 120)
        assert orders_recover(at=self.later()) == 1
        order = Order.objects.get(pk=order.pk)
        assert (order.status, order.reason) == ("expired", "its decisions ran out before it was sent")

    def test_a_cancel_without_an_answer_is_asked_again(self, desk):
        order = desk.submit(order_type="limit", limit_price="99")
        Order.objects.filter(pk=order.pk).update(status="pending_cancel")
        assert orders_recover(at=self.later()) == 1
        assert Order.objects.get(pk=order.pk).status == "canceled"


class TestPaperMarket:
    def message(self, value, market_time=NOON):
        return FeedMessage(
            kind="quotes",
            feed="test",
            session=market_time.date(),
            market_time=market_time,
            received_at=clock.now(),
            symbols=("AAPL",),
            prices={"AAPL": Decimal(value)},
        )

    def test_it_hears_prices_silence_and_the_close(self, desk, noon):
        market = PaperMarket()
        market.recover(at=clock.now())
        first, second = (desk.submit(order_type="limit", limit_price=limit, quantity="1") for limit in ("99", "97"))
        market.hear(self.message("98.5"), at=clock.now())
        quote("AAPL", "96.5", market_time=NOON)  # its message was lost
        market.hear(None, at=clock.now())
        assert market.matched == 2
        assert {Order.objects.get(pk=order.pk).status for order in (first, second)} == {"filled"}
        desk.submit(order_type="limit", limit_price="90", quantity="1")
        FeedState.objects.update(market_time=CLOSE)
        market.hear(self.message("96.5", CLOSE), at=clock.now())
        assert market.expired == 1
