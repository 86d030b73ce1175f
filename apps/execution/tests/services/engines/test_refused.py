"""What a strategy said and what passed by itself kept from being ordered: it is tried again, and never ordered twice."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.db import connection

from apps.core import clock
from apps.core.postgres.session import open_session
from apps.core.roles import Role, roles_synchronise
from apps.execution.domain.engine_config import RiskConfig
from apps.execution.models import EngineDecision, EngineState, EngineStep, Order
from apps.execution.services.accounts import paper_account_create
from apps.execution.services.engine_host import EngineHost
from apps.execution.tests.factories import make_desk, make_limits, make_user, quote
from apps.execution.tests.services.engines.trading import Market, again, wanted
from apps.execution.tests.services.test_live import CLOSES, START, complete, engine
from apps.marketdata.services.quotes import quotes_clear
from apps.marketdata.tests.factories import make_series, store_series
from apps.risk.services.state import trading_halt

MOMENTUM = {"strategy": "momentum", "parameters": {"lookback": "5", "threshold": "0.01"}}
OLD = timedelta(hours=1)


def states():
    return list(Order.objects.order_by("id").values_list("side", "status"))


class Clock:
    """The engine's wall clock: it never runs backwards, and a test lets minutes pass."""

    def __init__(self):
        self.ahead = timedelta(0)

    def now(self):
        return clock.now() + self.ahead

    def wait(self, **words):
        self.ahead += timedelta(**words)


@pytest.fixture
def wall():
    return Clock()


def first_buy(live, bars, wall, *, age=timedelta(0)):
    """Step until the strategy first says BUY; the price that the gate sees then is `age` old. The bar's number."""
    for n in range(10, len(bars.ts)):
        complete(bars, n, at=wall.now() - age)
        step = live.step(at=wall.now())
        if any(signal.action.sign > 0 for signal in step.signals):
            return n
    raise AssertionError("the strategy never said BUY")


class TestSameBar:
    def test_a_stale_price_denies_and_a_fresh_one_lets_it_trade_once(self, desk, bars, wall):
        live = engine(desk)
        n = first_buy(live, bars, wall, age=OLD)
        assert states() == [("buy", "denied")]
        assert live.look(at=wall.now()) is None  # not at once again
        wall.wait(seconds=61)
        complete(bars, n, at=wall.now())
        assert [order.status for order in live.look(at=wall.now()).orders] == ["filled"]
        assert states() == [("buy", "denied"), ("buy", "filled")]
        first, second = EngineDecision.objects.order_by("id")
        assert (first.bar_ts, first.attempt, second.attempt) == (second.bar_ts, 1, 2)
        assert EngineStep.objects.get(cycle=second.cycle, number=6).outcome == "said after the last bar and not ordered: BUY AAPL"
        for _ in range(3):
            wall.wait(minutes=40)
            complete(bars, n, at=wall.now())
            live = again(live)
            assert live.look(at=wall.now()) is None
        assert EngineState.objects.get().waiting == {}

    def test_each_refusal_doubles_the_wait(self, desk, bars, wall):
        live = engine(desk)
        n = first_buy(live, bars, wall, age=OLD)
        tries = []
        for minute in range(1, 80):
            wall.wait(minutes=1)
            complete(bars, n, at=wall.now() - OLD)
            if again(live).look(at=wall.now()):
                tries.append(minute)
        assert tries == [1, 3, 7, 15, 31, 61]

    def test_what_could_not_be_submitted_is_tried_again(self, desk, bars, wall):
        live = engine(desk)
        desk.account.delete()
        n = first_buy(live, bars, wall)
        assert states() == []
        paper_account_create(portfolio_id=desk.portfolio.pk)
        wall.wait(seconds=61)
        complete(bars, n, at=wall.now())
        live.look(at=wall.now())
        assert states() == [("buy", "filled")]

    def test_the_engine_s_own_rate_delays(self, desk, bars, wall):
        store_series(make_series("KO", bars.close.tolist(), start=bars.ts[0].astype("datetime64[D]").item()))
        live = engine(desk, symbols=("AAPL", "KO"), risk=RiskConfig(max_orders_per_minute=1))
        for n in range(10, len(bars.ts)):
            close = complete(bars, n, at=wall.now())
            quote("KO", f"{bars.close[n]:.2f}", at=wall.now(), market_time=close)
            if live.step(at=wall.now()).orders:
                break
        assert live.look(at=wall.now()) is None
        wall.wait(seconds=61)
        quote("KO", f"{bars.close[n]:.2f}", at=wall.now(), market_time=complete(bars, n, at=wall.now()))
        assert [order.instrument.symbol for order in live.look(at=wall.now()).orders] == ["KO"]
        assert states() == [("buy", "filled")] * 2

    def test_it_waits_on_while_the_portfolio_s_value_is_unknown(self, desk, bars, wall):
        live = engine(desk)
        n = first_buy(live, bars, wall, age=OLD)
        store_series(make_series("KO", [50.0], start=date(2013, 1, 3)))
        quote("KO", "50", at=wall.now())
        assert desk.submit(symbol="KO").status == "filled"
        quotes_clear(symbols=["KO"])
        wall.wait(seconds=61)
        complete(bars, n, at=wall.now())
        assert live.look(at=wall.now()) is None
        assert EngineState.objects.get().waiting == {"AAPL": "buy"}
        quote("KO", "50", at=wall.now())
        assert [order.status for order in live.look(at=wall.now()).orders] == ["filled"]

    def test_what_people_decided_is_an_answer(self, desk, bars, wall):
        make_limits(desk.portfolio, at=clock.now() + timedelta(seconds=60), position_size="1")
        live = engine(desk)
        n = first_buy(live, bars, wall)
        wall.wait(minutes=5)
        complete(bars, n, at=wall.now())
        assert live.look(at=wall.now()) is None
        assert states() == [("buy", "denied")]
        assert EngineState.objects.get().waiting == {}

    def test_an_open_breaker_or_a_halt_orders_nothing_again(self, desk, bars, wall):
        live = engine(desk)
        n = first_buy(live, bars, wall, age=OLD)
        trading_halt(portfolio_id=None, user=make_user("halting", Role.RISK), reason="test", at=wall.now())
        wall.wait(minutes=2)
        complete(bars, n, at=wall.now())
        assert [order.reason for order in live.look(at=wall.now()).orders] == ["TRADING_HALTED"]
        assert EngineState.objects.get().waiting == {}


class TestNextBar:
    def test_a_word_that_was_not_answered_is_news_when_it_is_said_again(self, desk, bars, wall):
        live = engine(desk, **MOMENTUM)
        n = first_buy(live, bars, wall, age=OLD)
        complete(bars, n + 1, at=wall.now())
        assert [order.status for order in live.step(at=wall.now()).orders] == ["filled"]
        complete(bars, n + 2, at=wall.now())
        assert live.step(at=wall.now()).orders == ()

    def test_and_not_when_the_strategy_is_silent(self, desk, bars, wall):
        live = engine(desk)
        n = first_buy(live, bars, wall, age=OLD)
        wall.wait(minutes=2)
        complete(bars, n + 1, at=wall.now())
        assert live.step(at=wall.now()).orders == ()
        wall.wait(minutes=2)
        assert live.look(at=wall.now()) is None
        assert states() == [("buy", "denied")]


class TestObservation:
    def test_it_swallows_no_order(self, desk, bars, wall):
        live = engine(desk, **MOMENTUM, enable_trading=False)
        n = first_buy(live, bars, wall)
        for _ in range(3):
            n += 1
            complete(bars, n, at=wall.now())
            live.step(at=wall.now())
        assert states() == []
        live = engine(desk, **MOMENTUM)
        complete(bars, n + 1, at=wall.now())
        assert [signal.action for signal in live.step(at=wall.now()).signals] == ["BUY"]
        assert states() == [("buy", "filled")]

    def test_what_was_observed_after_the_last_bar_is_ordered_when_trading_is_enabled(self, desk, bars, wall):
        n = first_buy(engine(desk, enable_trading=False), bars, wall)
        wall.wait(minutes=2)
        complete(bars, n, at=wall.now())
        assert [order.quantity > Decimal(0) for order in engine(desk).look(at=wall.now()).orders] == [True]
        assert states() == [("buy", "filled")]


@pytest.mark.django_db(transaction=True)
def test_a_portfolio_that_is_locked_for_too_long_ends_no_process_and_loses_no_order():
    roles_synchronise()
    desk = make_desk()
    series = make_series("AAPL", CLOSES, start=START)
    store_series(series)
    wanted(desk, parameters={"fast": "3", "slow": "8"})
    said = []
    host = EngineHost(tell=said.append)
    market = Market(series, host)
    with connection.cursor() as cursor:
        cursor.execute("set lock_timeout = '50ms'")
    try:
        with open_session() as other:
            other.execute("begin")
            other.execute("select 1 from portfolios_portfolio where id = %s for update", [desk.portfolio.pk])
            while not EngineDecision.objects.exists():
                market.close()
            assert "lock" in said[-1]
        assert not Order.objects.exists()
        market.price(1)
        assert states() == [("buy", "filled")]
    finally:
        host.close(at=market.at, reason="the test has ended")
        connection.close()
