"""Resting orders against new prices, the end of the session, and what a crash left behind."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from apps.core import clock
from apps.execution.brokers.protocol import MarketPrice
from apps.execution.models import Fill, Order
from apps.execution.services import orders as order_services
from apps.execution.services.orders import order_cancel, order_submit
from apps.execution.services.paper_market import PaperMarket, day_orders_expire, prices_match, resting_symbols
from apps.execution.services.recovery import PATIENCE, orders_recover
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
