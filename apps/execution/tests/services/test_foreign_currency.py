"""Orders in an instrument whose currency is not the portfolio's: judged and booked at the rate of the time."""

from datetime import timedelta
from decimal import Decimal

import pytest

from apps.core import clock
from apps.core.streams import redis_client
from apps.execution.brokers.protocol import MarketPrice
from apps.execution.models import Order
from apps.execution.models import ReconciliationTrigger as Trigger
from apps.execution.selectors.history import history
from apps.execution.services.gate import gate_check
from apps.execution.services.paper_market import prices_match
from apps.execution.services.preview import order_preview
from apps.execution.services.reconciliation_watch import reconcile_ask
from apps.execution.services.routing import paper_broker
from apps.execution.tests.factories import Desk, make_desk, make_limits, quote
from apps.marketdata.selectors.store import LATEST
from apps.portfolios.models import CashBalance, LedgerEntry
from apps.portfolios.services.rebuild import positions_rebuild
from apps.portfolios.tests.factories import InstrumentFactory


@pytest.fixture
def desk(db) -> Desk:
    """A desk in dollars, with SAP at 100 euros and the euro at 1.10 dollars."""
    made = make_desk()
    InstrumentFactory(symbol="SAP", currency="EUR")
    InstrumentFactory(symbol="EURUSD")
    quote("SAP", "100")
    quote("EURUSD", "1.10")
    return made


def forget_rate() -> None:
    redis_client().hdel(LATEST, "EURUSD")


def checks(desk, **fields):
    """Every check of an order of ten SAP, by code."""
    made = gate_check(intent=desk.intent(symbol="SAP", **fields), user_id=desk.trader.pk, at=clock.now())
    return {check.code: check for _, check in made.checks}


def limit(price, **fields):
    return {"symbol": "SAP", "order_type": "limit", "limit_price": price, **fields}


def test_amounts_are_judged_in_the_portfolios_currency(desk) -> None:
    made = checks(desk)
    assert {code for code, check in made.items() if check.outcome == "block"} == set()
    assert made["FX_RATE_MISSING"].before == Decimal("1.10")
    assert made["INSUFFICIENT_CAPITAL"].before - made["INSUFFICIENT_CAPITAL"].after == 10 * Decimal("100.1") * Decimal("1.10") + 2
    assert [made[code].after for code in ("ORDER_VALUE_LIMIT", "POSITION_VALUE_LIMIT", "TOTAL_EXPOSURE_LIMIT")] == [1100, 1100, 1100]
    assert made["ORDER_SIZE_LIMIT"].after == 10


def test_the_collar_compares_prices_of_one_currency(desk) -> None:
    assert checks(desk, order_type="limit", limit_price="101")["PRICE_COLLAR"].after == Decimal("0.01")


def test_a_fill_is_booked_in_its_currency_at_the_rate_of_the_time(desk) -> None:
    order = desk.submit(symbol="SAP")
    assert order.status == "filled", order.reason
    entry = LedgerEntry.objects.get(source="fill")
    assert (entry.currency, entry.fx_rate, entry.price) == ("EUR", Decimal("1.10"), Decimal("100.05"))
    assert entry.fee == Decimal("0.9091")  # a dollar
    assert entry.base_amount == Decimal("-1101.5500")
    assert dict(CashBalance.objects.values_list("currency", "amount")) == {"USD": 100_000, "EUR": Decimal("-1001.4091")}
    assert positions_rebuild(portfolio_id=desk.portfolio.pk).differences == ()


def test_what_is_owed_in_another_currency_is_no_free_cash(desk) -> None:
    assert desk.submit(symbol="SAP", quantity="600").status == "filled"
    assert desk.submit(symbol="SAP", quantity="400").reason == "INSUFFICIENT_CAPITAL"
    assert desk.submit(symbol="AAPL", quantity="400").reason == "INSUFFICIENT_CAPITAL"
    assert desk.submit(symbol="AAPL", quantity="300").status == "filled"


def test_a_working_buy_takes_cash_at_the_rate(desk) -> None:
    assert desk.submit(**limit("90", quantity="1000")).status == "new"
    assert checks(desk)["INSUFFICIENT_CAPITAL"].before == 100_000 - 99_000 - 2
    assert desk.submit(quantity="20").reason == "INSUFFICIENT_CAPITAL"


@pytest.mark.parametrize("fields", [{"symbol": "SAP"}, limit("90")])
def test_without_a_rate_it_is_denied(desk, fields) -> None:
    forget_rate()
    assert desk.submit(**fields).reason == "FX_RATE_MISSING"


@pytest.mark.parametrize("fields", [{"symbol": "SAP"}, limit("90")])
def test_with_an_old_rate_it_is_denied(desk, fields) -> None:
    quote("EURUSD", "1.10", at=clock.now() - timedelta(seconds=31))
    assert desk.submit(**fields).reason == "FX_RATE_STALE"


def test_orders_in_the_own_currency_ask_for_no_rate(desk) -> None:
    forget_rate()
    assert desk.submit().status == "filled"
    assert LedgerEntry.objects.get(source="fill").fx_rate == 1


def test_a_limit_holds_in_the_portfolios_currency(desk) -> None:
    make_limits(desk.portfolio, at=clock.now() + timedelta(seconds=59), position_value="1050")
    assert desk.submit(symbol="SAP").reason == "POSITION_VALUE_LIMIT"


class TestRestingOrders:
    @pytest.fixture
    def resting(self, desk):
        order = desk.submit(**limit("90"))
        assert order.status == "new", order.reason
        return order

    def fall(self) -> None:
        prices_match(prices={"SAP": MarketPrice(symbol="SAP", price=Decimal(89), market_time=clock.now(), source="test")}, at=clock.now())

    def test_the_rate_is_that_of_the_fill(self, resting) -> None:
        quote("EURUSD", "1.20")
        self.fall()
        assert LedgerEntry.objects.get(source="fill").fx_rate == Decimal("1.20")

    def test_where_no_rate_can_be_read_it_is_that_of_the_gate(self, resting) -> None:
        forget_rate()
        self.fall()
        assert Order.objects.get(pk=resting.pk).status == "filled"
        assert LedgerEntry.objects.get(source="fill").fx_rate == Decimal("1.10")


def test_the_preview_counts_in_the_portfolios_currency(desk) -> None:
    seen = order_preview(intent=desk.intent(symbol="SAP"), user=desk.trader, at=clock.now())
    assert (seen.estimated_price, seen.estimated_value, seen.estimated_slippage) == (Decimal("100.05"), Decimal("1100.5500"), Decimal("0.5500"))
    assert seen.cash_after == Decimal(100_000) - Decimal("1100.55") - 1
    forget_rate()
    unknown = order_preview(intent=desk.intent(symbol="SAP"), user=desk.trader, at=clock.now())
    assert (unknown.allowed, unknown.estimated_value, unknown.cash_after) == (False, None, None)


def test_the_paper_brokers_books_are_in_the_currency_of_the_ledger(desk) -> None:
    desk.submit(symbol="SAP")
    quote("EURUSD", "1.20")
    desk.submit(symbol="SAP", side="sell", quantity="4")
    desk.submit(symbol="AAPL")
    run = reconcile_ask(account=desk.account, trigger=Trigger.BEAT, at=clock.now())
    assert (run.state, run.open_breaks) == ("clean", 0)
    assert paper_broker(desk.account).statement(clock.now() - timedelta(days=1)).cash == dict(CashBalance.objects.values_list("currency", "amount"))


def test_the_history_counts_in_the_portfolios_currency(desk) -> None:
    desk.submit(symbol="SAP")
    [traded] = history([desk.portfolio.pk], since=None, until=None).by_symbol
    assert traded.value == 10 * Decimal("100.05") * Decimal("1.10")
    slippage = 10 * Decimal("0.05") * Decimal("1.10")
    assert round(traded.cost - slippage, 2) == 1  # a dollar, which the ledger books in euros
