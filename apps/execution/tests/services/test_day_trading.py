"""The account's step of the gate on the real database: day trades of stored fills and waiting orders, equity at the last close, intraday margin."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.core import clock
from apps.core.trading import Outcome
from apps.execution.models import BrokerageAccount, Fill, Order
from apps.execution.services.gate import gate_check
from apps.execution.services.orders import PROTECTING, order_submit
from apps.execution.services.pattern_day_traders import pattern_day_traders_mark
from apps.execution.services.preview import order_preview
from apps.execution.tests.factories import make_desk, quote
from apps.marketdata.models import FeedState
from apps.portfolios.models import PortfolioValue
from apps.portfolios.tests.factories import InstrumentFactory

#: Days of the exchange while the pattern day trader rule was law: Thanksgiving is the 27th.
MONDAY, TUESDAY, WEDNESDAY, FRIDAY = (date(2025, 11, day) for day in (24, 25, 26, 28))
NEXT_MONDAY = date(2025, 12, 1)


class Market:
    """A desk whose portfolio trades in a margin account, in a replay that is set to any moment."""

    def __init__(self, **terms) -> None:
        self.desk = make_desk(capital="50000", slippage_bps="0", commission="0")
        InstrumentFactory(symbol="MSFT")
        legacy = {"account_type": "margin", "day_trading_regime": "PDT_LEGACY"}
        BrokerageAccount.objects.filter(pk=self.desk.account.pk).update(**(legacy | terms))
        self.desk.account.refresh_from_db()
        self.now = datetime(2025, 11, 24, 15, tzinfo=UTC)

    def at(self, day: date, hour: int = 15, minute: int = 0) -> None:
        self.now = datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)
        row = {"mode": "replay", "market_time": self.now, "session": day, "updated_at": clock.now()}
        FeedState.objects.update_or_create(name="replay", defaults=row)
        for symbol in ("AAPL", "MSFT"):
            quote(symbol, "100", market_time=self.now)

    def send(self, side: str, quantity: str = "10", **fields) -> Order:
        self.at(self.now.date(), self.now.hour, self.now.minute + 1)
        return self.desk.submit(side=side, quantity=quantity, **fields)

    def filled(self, side: str, quantity: str = "10", **fields) -> Order:
        order = self.send(side, quantity, **fields)
        assert order.status == "filled", order.reason
        return order

    def day_trade(self, day: date, hour: int = 15, **fields) -> None:
        self.at(day, hour)
        self.filled("buy", **fields)
        self.filled("sell", **fields)

    def equity(self, day: date, total: str) -> None:
        """What the close of a day was worth."""
        money = Decimal(total)
        PortfolioValue.objects.create(
            portfolio_id=self.desk.portfolio.pk, ts=datetime(day.year, day.month, day.day, 21, tzinfo=UTC), cash=money, invested=0, total=money,
            last_entry_id=0, recorded_at=clock.now(),
        )  # fmt: skip

    def checks(self, **fields):
        gate = gate_check(intent=self.desk.intent(**fields), user_id=self.desk.trader.pk, at=clock.now(), account=self.desk.account)
        return {check.code: check for _, check in gate.checks}


@pytest.fixture
def market(db) -> Market:
    return Market()


def three_day_trades(market: Market) -> None:
    market.day_trade(MONDAY)
    market.day_trade(TUESDAY)
    market.day_trade(WEDNESDAY)


def test_the_fourth_day_trade_needs_equity_of_25_000_at_the_last_close(market) -> None:
    three_day_trades(market)
    market.equity(WEDNESDAY, "24999.99")
    market.at(FRIDAY)
    market.filled("buy")
    denied = market.send("sell")
    assert (denied.status, denied.reason) == ("denied", "DAY_TRADE_LIMIT")
    checks = {one["code"]: one for one in denied.decisions.get(authority="compliance").checks}
    limit = checks["DAY_TRADE_LIMIT"]
    assert (limit["outcome"], limit["limit"], limit["before"], limit["after"], limit["unit"]) == ("block", "3", "3", "4", "day trades")
    assert "24,999.99" in limit["message"]
    assert "from 2025-11-21" in limit["message"]  # the 21st, 24th, 25th, 26th and 28th
    PortfolioValue.objects.filter(ts__gt=datetime(2025, 11, 26, tzinfo=UTC)).update(total="25000", cash="25000")
    assert market.filled("sell")


def test_a_holiday_is_no_business_day_and_the_window_moves_on(market) -> None:
    three_day_trades(market)
    market.equity(FRIDAY, "20000")
    market.at(NEXT_MONDAY)  # 24, 25, 26, 28 November and this day: all three count
    market.filled("buy")
    assert market.send("sell").reason == "DAY_TRADE_LIMIT"
    market.at(date(2025, 12, 2))  # the 24th is out
    market.filled("buy")
    assert market.filled("sell", "5")


def test_what_was_bought_on_an_earlier_day_is_sold_and_only_a_purchase_before_the_sale_makes_it_one(market) -> None:
    market.at(MONDAY, 14)
    market.filled("buy", "30")
    market.day_trade(MONDAY, 16, symbol="MSFT")
    market.day_trade(TUESDAY, symbol="MSFT")
    market.day_trade(WEDNESDAY, symbol="MSFT")
    market.equity(WEDNESDAY, "20000")
    market.at(FRIDAY)
    check = market.checks(side="sell", quantity="10")["DAY_TRADE_LIMIT"]
    assert (check.outcome, check.before, check.after) == (Outcome.WARN, 3, 3)
    assert market.send("buy", "10", order_type="limit", limit_price="80").status == "new"
    check = market.checks(side="sell", quantity="10")["DAY_TRADE_LIMIT"]
    assert (check.outcome, check.before, check.after) == (Outcome.WARN, 3, 4)  # should the purchase that waits trade first
    market.filled("sell")
    assert market.filled("buy")  # opens; its sale today would be the fourth
    assert market.send("sell").reason == "DAY_TRADE_LIMIT"


def test_the_day_is_the_exchanges(market) -> None:
    """19:30 in New York is the next date in UTC and the same day of trading."""
    market.at(MONDAY, 15)
    market.filled("buy")
    market.at(TUESDAY, 0, 30)
    market.filled("sell")
    market.at(TUESDAY, 15)
    assert market.checks(side="buy")["DAY_TRADE_LIMIT"].before == 1
    assert {fill.market_time.date() for fill in Fill.objects.all()} == {MONDAY, TUESDAY}
    market.filled("buy")
    market.at(WEDNESDAY, 15)
    assert market.checks(side="sell")["DAY_TRADE_LIMIT"].after == 1  # held overnight


def test_what_trades_while_the_exchange_is_shut_is_of_its_next_day(market) -> None:
    """A paper account fills at any time: 21:00 in New York on a Friday, and Sunday, are Monday's."""
    market.at(date(2025, 11, 22), 2)
    market.filled("buy")
    market.at(date(2025, 11, 23))
    check = market.checks(side="sell")["DAY_TRADE_LIMIT"]
    assert (check.before, check.after) == (0, 1)
    market.filled("sell")
    market.at(FRIDAY)
    assert market.checks(side="buy")["DAY_TRADE_LIMIT"].before == 1
    market.at(NEXT_MONDAY)
    assert market.checks(side="buy")["DAY_TRADE_LIMIT"].before == 1
    market.at(date(2025, 12, 2))
    assert market.checks(side="buy")["DAY_TRADE_LIMIT"].before == 0


def test_partial_fills_do_not_add(market) -> None:
    market.at(MONDAY)
    for quantity in ("3", "7"):
        market.filled("buy", quantity)
    for quantity in ("2", "5", "3"):
        market.filled("sell", quantity)
    assert market.checks(side="buy")["DAY_TRADE_LIMIT"].before == 1


def test_orders_that_wait_count_as_if_they_traded(market) -> None:
    three_day_trades(market)
    market.equity(WEDNESDAY, "20000")
    market.at(FRIDAY)
    market.filled("buy", "20")
    market.filled("buy", "20", symbol="MSFT")
    BrokerageAccount.objects.update(day_trading_regime="INTRADAY_MARGIN")  # whoever is changed afterwards: before 2026 the law is the same
    assert market.send("sell", "10", order_type="limit", limit_price="120").reason == "DAY_TRADE_LIMIT"
    PortfolioValue.objects.filter(ts__gt=datetime(2025, 11, 26, tzinfo=UTC)).update(total="25000", cash="25000")
    assert market.send("sell", "10", order_type="limit", limit_price="120").status == "new"
    check = market.checks(side="sell", symbol="MSFT")["DAY_TRADE_LIMIT"]
    assert (check.before, check.after) == (4, 5)
    assert market.checks(side="sell", quantity="10")["DAY_TRADE_LIMIT"].after == 4  # the same run


def test_what_protects_a_position_passes_with_a_warning(market) -> None:
    three_day_trades(market)
    market.equity(WEDNESDAY, "20000")
    market.at(FRIDAY)
    market.filled("buy", "30")
    assert market.send("sell", "10", order_type="stop", stop_price="90").status == "new"
    assert market.send("sell").reason == "DAY_TRADE_LIMIT"  # the stop makes no room for it
    beyond = order_submit(intent=market.desk.intent(side="sell", quantity="40"), user=market.desk.trader, at=clock.now(), link=PROTECTING)
    assert "DAY_TRADE_LIMIT" in beyond.reason  # it does not only close
    flatten = order_submit(intent=market.desk.intent(side="sell", quantity="10"), user=market.desk.trader, at=clock.now(), link=PROTECTING)
    assert flatten.status == "filled"
    check = next(one for one in flatten.decisions.get(authority="compliance").checks if one["code"] == "DAY_TRADE_LIMIT")
    assert (check["outcome"], "protects" in check["message"]) == ("warn", True)


def test_a_preview_warns_at_the_third(market) -> None:
    market.day_trade(MONDAY)
    market.day_trade(TUESDAY)
    market.at(WEDNESDAY)
    market.filled("buy")
    preview = order_preview(intent=market.desk.intent(side="sell"), user=market.desk.trader, at=clock.now())
    check = next(check for authority, check in preview.checks if (authority, check.code) == ("compliance", "DAY_TRADE_LIMIT"))
    assert (preview.allowed, check.outcome, check.before, check.after, check.limit) == (True, Outcome.WARN, 2, 3, 3)
    codes = [check.code for _, check in preview.checks]
    assert codes.index("USER_NOT_PERMITTED") < codes.index("DAY_TRADE_LIMIT") < codes.index("DUPLICATE")


def test_a_pattern_day_trader_below_the_least_equity_opens_nothing(market) -> None:
    market.at(MONDAY)
    market.filled("buy", "20")
    BrokerageAccount.objects.update(pattern_day_trader_since=MONDAY)
    market.equity(MONDAY, "24999.99")
    market.at(TUESDAY)
    assert market.send("buy").reason == "DAY_TRADE_EQUITY"
    assert market.filled("sell")
    market.equity(TUESDAY, "25000")
    market.at(WEDNESDAY)
    assert market.filled("buy")


def test_what_is_not_known_denies_where_it_is_needed(market) -> None:
    three_day_trades(market)
    PortfolioValue.objects.all().delete()
    market.at(FRIDAY)
    market.filled("buy", "20")
    assert market.send("sell").reason == "CHECK_FAILED"
    assert market.send("sell", "10", order_type="stop", stop_price="90").status == "new"


def test_a_query_that_fails_denies(market, monkeypatch) -> None:
    market.at(MONDAY)
    market.filled("buy")
    monkeypatch.setattr("apps.execution.selectors.day_trades._TRADED", "select 1 / 0")
    assert market.send("buy").reason == "CHECK_FAILED"
    monkeypatch.undo()
    assert market.filled("buy")


def in_law_of_today(**terms) -> Market:
    market = Market(**({"day_trading_regime": "INTRADAY_MARGIN"} | terms))
    market.at(date(2026, 11, 20))
    return market


def test_intraday_margin_is_the_law_since_june_and_a_house_rule_keeps_the_other(db) -> None:
    market = in_law_of_today()
    assert {"INTRADAY_MARGIN", "INTRADAY_FREEZE"} <= market.checks().keys()
    assert "DAY_TRADE_LIMIT" not in market.checks()
    for terms, both in (({}, False), ({"regime_confirmed_with_broker_on": date(2026, 11, 2), "regime_source": "a call"}, True)):
        BrokerageAccount.objects.update(day_trading_regime="PDT_LEGACY", **terms)
        market.desk.account.refresh_from_db()
        assert ({"INTRADAY_MARGIN", "DAY_TRADE_LIMIT"} <= market.checks().keys()) is both


def test_an_order_that_leaves_the_account_short_of_margin_is_denied(db) -> None:
    market = in_law_of_today()  # 50,000 in cash
    check = market.checks(side="sell", quantity="1600")["INTRADAY_MARGIN"]
    assert (check.outcome, check.limit, check.before, check.after) == (Outcome.PASS, 0, 50_000, 2_000)  # 30 % of 160,000
    check = market.checks(side="sell", quantity="1700")["INTRADAY_MARGIN"]
    assert (check.outcome, check.after) == (Outcome.BLOCK, -1_000)
    market.filled("buy")
    assert market.checks(side="sell", quantity="10")["INTRADAY_MARGIN"].outcome is Outcome.PASS


def test_a_frozen_account_opens_no_short_position_until_the_day_has_passed(db) -> None:
    market = in_law_of_today(frozen_until=date(2026, 11, 20))
    assert market.checks(side="sell")["INTRADAY_FREEZE"].outcome is Outcome.BLOCK
    assert market.checks(side="buy", quantity="600")["INTRADAY_FREEZE"].outcome is Outcome.BLOCK  # 60,000: a debit
    assert market.filled("buy")
    assert market.filled("sell")
    market.at(date(2026, 11, 23))
    assert market.checks(side="sell")["INTRADAY_FREEZE"].outcome is Outcome.PASS


def test_a_cash_account_asks_nothing_more_and_a_margin_account_one_question(market) -> None:
    def asked() -> int:
        with CaptureQueriesContext(connection) as seen:
            assert market.filled("buy", "1")
        return sum("execution_fill f" in query["sql"] for query in seen), len(seen)

    FeedState.objects.all().delete()
    for symbol in ("AAPL", "MSFT"):
        quote(symbol, "100")
    market.send = lambda side, quantity: market.desk.submit(side=side, quantity=quantity)
    BrokerageAccount.objects.update(account_type="cash", day_trading_regime="")
    asked()
    fills, of_cash = asked()
    assert fills == 0
    BrokerageAccount.objects.update(account_type="margin", day_trading_regime="PDT_LEGACY", house_rule=True)
    asked()
    assert asked() == (1, of_cash + 1)
    BrokerageAccount.objects.update(day_trading_regime="INTRADAY_MARGIN", house_rule=False)
    asked()
    assert asked() == (0, of_cash)


def test_a_pattern_is_written_down_and_outlives_its_window(market) -> None:
    three_day_trades(market)
    assert pattern_day_traders_mark(at=clock.now()) == []
    market.equity(WEDNESDAY, "25000")
    market.day_trade(FRIDAY)
    assert market.checks()["DAY_TRADE_EQUITY"].limit == 25_000  # at once
    assert pattern_day_traders_mark(at=clock.now()) == [market.desk.account.number]
    assert pattern_day_traders_mark(at=clock.now()) == []
    market.desk.account.refresh_from_db()
    assert market.desk.account.pattern_day_trader_since == FRIDAY
    assert market.desk.account.history.first().history_change_reason == "4 day trades in five business days"
    market.equity(date(2025, 12, 9), "24999")
    market.at(date(2025, 12, 10))
    check = market.checks()
    assert (check["DAY_TRADE_LIMIT"].after, check["DAY_TRADE_EQUITY"].outcome) == (0, Outcome.BLOCK)
