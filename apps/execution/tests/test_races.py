"""Several requests at once, with real commits: nothing is doubled, nothing is sold twice, no money is spent twice."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from functools import partial
from threading import Barrier, Event
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.db import connection

from apps.core import clock
from apps.core.errors import Conflict
from apps.core.roles import roles_synchronise
from apps.execution.domain.halting import HaltLevel
from apps.execution.models import BrokerageAccount, Fill, Order
from apps.execution.services import orders as order_services
from apps.execution.services.accounts import paper_account_create
from apps.execution.services.halting import trading_stop
from apps.execution.services.orders import order_cancel, order_submit, working_orders_cancel
from apps.execution.services.paper_market import prices_match
from apps.execution.tests.factories import make_desk, make_limits, quote
from apps.execution.tests.services.test_paper_market import price
from apps.portfolios.models import LedgerEntry
from apps.portfolios.selectors.holdings import holdings
from apps.portfolios.tests.factories import InstrumentFactory, PortfolioFactory
from apps.risk.models import TradingStateChange

THREADS = 4


def at_once(*works):
    """Results (or exceptions) of the works, started together, each on a connection of its own."""
    barrier = Barrier(len(works))

    def run(work):
        try:
            barrier.wait(timeout=60)
            return work()
        except Exception as error:  # noqa: BLE001 - handed to the test
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(run, works))


@pytest.fixture
def real_desk(transactional_db):
    roles_synchronise()
    return make_desk(capital="10000")


@pytest.mark.parametrize("_round", range(3))
def test_one_client_order_id_makes_one_order(real_desk, _round):
    intent = real_desk.intent(client_order_id=uuid4())
    orders = at_once(*[lambda: order_submit(intent=intent, user=real_desk.trader, at=clock.now())] * THREADS)
    assert {order.pk for order in orders} == {Order.objects.get().pk}
    assert Fill.objects.count() == 1
    assert holdings(real_desk.portfolio.pk).positions[0].quantity == 10


def test_one_client_order_id_makes_one_order_of_two_portfolios(real_desk):
    """They wait for nobody's lock: the database decides, and whoever loses is told so."""
    other = PortfolioFactory(owner=real_desk.trader, initial_capital=Decimal(10_000))
    make_limits(other, at=clock.now())
    paper_account_create(portfolio_id=other.pk)
    for _ in range(5):
        key = uuid4()
        works = [partial(real_desk.submit, client_order_id=key, portfolio_id=one.pk, quantity="1") for one in (real_desk.portfolio, other)]
        done = at_once(*works)
        assert [type(one) for one in sorted(done, key=lambda one: isinstance(one, Conflict))] == [Order, Conflict], done
        assert Order.objects.filter(client_order_id=key).count() == 1


def test_the_same_cash_is_not_spent_twice(real_desk):
    """Cash for one order of three."""
    orders = at_once(*[lambda: real_desk.submit(quantity="60")] * THREADS)
    assert sorted(order.status for order in orders) == ["denied", "denied", "denied", "filled"]
    assert {order.reason for order in orders if order.status == "denied"} == {"INSUFFICIENT_CAPITAL"}
    assert holdings(real_desk.portfolio.pk).cash == Decimal("10000") - Decimal("6004")


def test_the_same_shares_are_not_sold_twice(real_desk):
    real_desk.submit(quantity="50")
    orders = at_once(*[lambda: real_desk.submit(side="sell", quantity="30")] * THREADS)
    assert sorted(order.status for order in orders) == ["denied", "denied", "denied", "filled"]
    assert holdings(real_desk.portfolio.pk).positions[0].quantity == 20


def test_the_last_day_trade_that_is_free_is_not_made_twice(real_desk):
    """Two closes at once, and two day trades behind: one of them is the third, the other would be the fourth."""
    terms = {"account_type": "margin", "day_trading_regime": "PDT_LEGACY", "house_rule": True}
    BrokerageAccount.objects.update(**terms)
    symbols = ["AAPL", "MSFT", "KO", "PEP"]
    for symbol in symbols:
        InstrumentFactory(symbol=symbol)
        quote(symbol, "100")
        bought = real_desk.submit(symbol=symbol, quantity="5")
        assert (bought.status, bought.reason) == ("filled", "")
    for symbol in symbols[:2]:
        assert real_desk.submit(symbol=symbol, side="sell", quantity="5").status == "filled"
    orders = at_once(*[lambda symbol=symbol: real_desk.submit(symbol=symbol, side="sell", quantity="5") for symbol in symbols[2:]])
    assert sorted((order.status, order.reason) for order in orders) == [("denied", "DAY_TRADE_LIMIT"), ("filled", "")]


def test_a_price_and_a_cancel_meet_on_one_order(real_desk):
    """Either the fill or the cancel comes first; the books agree with the order in both cases."""
    for _ in range(5):
        order = real_desk.submit(order_type="limit", limit_price="99", quantity="1")
        at_once(
            lambda: prices_match(prices=price("98"), at=clock.now()),
            lambda pk=order.pk: order_cancel(order_id=pk, user=real_desk.trader, at=clock.now()),
            lambda: prices_match(prices=price("98"), at=clock.now()),
            lambda: working_orders_cancel(portfolio_id=None, reason="race", at=clock.now()),
        )
        order.refresh_from_db()
        assert order.status in ("filled", "canceled"), order.reason
        assert order.fills.count() == (1 if order.status == "filled" else 0)
    booked = LedgerEntry.objects.filter(source="fill")
    assert sum(entry.quantity for entry in booked) == sum(fill.quantity for fill in Fill.objects.all())


def test_an_order_that_was_judged_just_before_a_halt_does_not_outlive_it(real_desk, monkeypatch):
    """It passes the gate, the desk is halted, and only then is the order stored: the halt waits for it and cancels it.

    (A halt of one portfolio is not even stored before: its row's foreign key waits for the portfolio's lock.)
    """
    judged, pause, gate_check = Event(), Event(), order_services.gate_check

    def slow(**case):
        gate = gate_check(**case)
        judged.set()
        for _ in range(6000):
            if TradingStateChange.objects.exists():
                return gate
            pause.wait(0.01)
        raise AssertionError("the halt was never stored")

    def halt():
        assert judged.wait(60)
        return trading_stop(portfolio_id=None, user=real_desk.trader, level=HaltLevel.CANCEL, reason="race", at=clock.now())

    monkeypatch.setattr(order_services, "gate_check", slow)
    order, change = at_once(lambda: real_desk.submit(order_type="limit", limit_price="90"), halt)
    order.refresh_from_db()
    assert (order.status, change.state) == ("canceled", "halted")


@pytest.mark.parametrize("level", list(HaltLevel))
def test_orders_and_a_halt_meet(real_desk, level):
    """Whoever comes first: afterwards nothing works that the level forbids, and what is held agrees with the fills."""
    real_desk.submit(quantity="5")
    buys = [lambda: real_desk.submit(quantity="1")] * 2
    rests = [lambda: real_desk.submit(order_type="limit", limit_price="90", quantity="1")] * 2
    stop = lambda: trading_stop(  # noqa: E731
        portfolio_id=real_desk.portfolio.pk, user=real_desk.trader, level=level, reason="race", at=clock.now()
    )
    found = at_once(*buys, stop, *rests)
    assert [one for one in found if isinstance(one, Exception)] == []
    working = Order.objects.working().count()
    assert working == 0 or level is HaltLevel.PAUSE
    assert real_desk.submit(quantity="1").status == "denied"
    filled = sum((fill.quantity if fill.order.side == "buy" else -fill.quantity for fill in Fill.objects.select_related("order")), Decimal(0))
    held = holdings(real_desk.portfolio.pk).positions
    assert filled == (held[0].quantity if held else 0)


def test_the_journal_of_all_this_is_whole(real_desk, settings, tmp_path):
    settings.JOURNAL_ANCHOR_DIR = tmp_path  # each test has a database of its own, so to say
    at_once(*[lambda: real_desk.submit(quantity="1")] * THREADS)
    call_command("audit_seal", "--json")
    call_command("audit_verify", "--json")
