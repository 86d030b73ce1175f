"""The gate's risk part on the real database and Redis."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.core.roles import Role
from apps.core.trading import Outcome, Side
from apps.marketdata.selectors import store
from apps.marketdata.selectors.market_facts import market_facts
from apps.marketdata.selectors.quarantine import quarantined
from apps.marketdata.selectors.quotes import prices_forget
from apps.marketdata.services.quarantine import quarantine_open, quarantine_release
from apps.portfolios.tests.factories import InstrumentFactory
from apps.risk.models import RiskLimit
from apps.risk.services.pretrade import _priced as kept
from apps.risk.services.pretrade import order_check
from apps.risk.services.state import trading_halt
from apps.risk.tests.factories import NOW, Desk, RiskLimitFactory, limits_replace, person, show_prices

pytestmark = pytest.mark.django_db


@pytest.fixture
def desk() -> Desk:
    return Desk()


def blocking(verdict) -> list[str]:
    return [check.code for check in verdict.blocking]


def facts_of(desk):
    return market_facts(desk.symbol, market_time=NOW)


def test_an_order_within_limits_is_allowed_with_all_numbers(desk) -> None:
    verdict = order_check(snapshot=desk.snapshot())
    assert verdict.allowed
    assert verdict.authority == "risk"
    exposure = next(check for check in verdict.checks if check.code == "TOTAL_EXPOSURE_LIMIT")
    assert (exposure.limit, exposure.before, exposure.after) == (90_000, 10_000, 11_000)


def test_the_same_order_is_denied_by_what_is_stored(desk) -> None:
    assert blocking(order_check(snapshot=desk.snapshot(quantity="391"))) == []
    limits_replace(desk.portfolio.pk, "position_value", "49000")
    assert blocking(order_check(snapshot=desk.snapshot(quantity="391"))) == ["POSITION_VALUE_LIMIT"]
    limits_replace(desk.portfolio.pk, "position_value", None, at=NOW + timedelta(seconds=1))
    assert blocking(order_check(snapshot=desk.snapshot(quantity="391", at=NOW + timedelta(seconds=1)))) == ["LIMIT_MISSING"]


def test_of_two_limits_in_force_the_tighter_counts(desk) -> None:
    RiskLimitFactory(portfolio_id=desk.portfolio.pk, kind="position_value", hard=Decimal(10_500), active_to=NOW + timedelta(hours=1))
    assert blocking(order_check(snapshot=desk.snapshot())) == ["POSITION_VALUE_LIMIT"]


@pytest.mark.parametrize("whole_desk", [True, False])
def test_a_halt_denies_until_it_is_over(desk, whole_desk) -> None:
    assert order_check(snapshot=desk.snapshot()).allowed
    trading_halt(portfolio_id=None if whole_desk else desk.portfolio.pk, user=None, reason="Test", at=NOW)
    assert blocking(order_check(snapshot=desk.snapshot())) == ["TRADING_HALTED"]


def test_a_halt_of_another_portfolio_changes_nothing(desk) -> None:
    trading_halt(portfolio_id=Desk().portfolio.pk, user=None, reason="Test", at=NOW)
    assert order_check(snapshot=desk.snapshot()).allowed


def test_a_held_instrument_without_any_price_denies(desk) -> None:
    unpriced = InstrumentFactory(symbol=f"U{uuid4().hex[:8].upper()}")
    desk.trade(10, 50, instrument=unpriced)
    verdict = order_check(snapshot=desk.snapshot())
    assert blocking(verdict) == ["PRICE_MISSING"]
    assert unpriced.symbol in verdict.blocking[0].message
    show_prices(**{unpriced.symbol: "50"})
    assert order_check(snapshot=desk.snapshot()).allowed


def test_an_old_price_denies_a_market_order(desk) -> None:
    assert order_check(snapshot=desk.snapshot(at=NOW + timedelta(seconds=30))).allowed
    assert blocking(order_check(snapshot=desk.snapshot(at=NOW + timedelta(seconds=31)))) == ["PRICE_STALE"]


def test_a_short_sale_is_denied(desk) -> None:
    assert order_check(snapshot=desk.snapshot(side=Side.SELL, quantity="100")).allowed
    assert blocking(order_check(snapshot=desk.snapshot(side=Side.SELL, quantity="101"))) == ["SHORT_SALE"]


def test_a_query_that_fails_denies_and_leaves_the_transaction_usable(desk, monkeypatch, caplog) -> None:
    snapshot = desk.snapshot()

    def broken(*args, **kwargs):
        with connection.cursor() as cursor:
            cursor.execute("select * from no_such_table")

    monkeypatch.setattr("apps.risk.services.pretrade.at_gate", broken)
    verdict = order_check(snapshot=snapshot)
    assert blocking(verdict) == ["CHECK_FAILED"]
    assert not verdict.allowed
    assert "no_such_table" in caplog.text
    assert RiskLimit.objects.filter(portfolio=desk.portfolio).exists()  # the outer transaction still answers


def test_without_redis_the_gate_is_shut(desk, monkeypatch) -> None:
    show_prices(**{(other := f"O{uuid4().hex[:8].upper()}"): "10"})
    desk.trade(10, 10, instrument=InstrumentFactory(symbol=other))
    snapshot = desk.snapshot()

    def gone():
        raise store.redis.ConnectionError("refused")

    monkeypatch.setattr("apps.marketdata.selectors.quotes.redis_client", gone)
    assert blocking(order_check(snapshot=snapshot)) == ["CHECK_FAILED"]


def test_an_unknown_portfolio_is_denied(desk) -> None:
    snapshot = desk.snapshot()
    intent = snapshot.intent
    object.__setattr__(intent, "portfolio_id", 0)
    assert blocking(order_check(snapshot=snapshot)) == ["CHECK_FAILED"]


def test_the_number_of_queries_does_not_grow_with_the_book(desk) -> None:
    symbols = {f"Q{uuid4().hex[:8].upper()}": "10" for _ in range(40)}
    show_prices(**symbols)
    with CaptureQueriesContext(connection) as few:
        order_check(snapshot=desk.snapshot())
    for symbol in symbols:
        desk.trade(1, 10, instrument=InstrumentFactory(symbol=symbol))
    with CaptureQueriesContext(connection) as many:
        assert order_check(snapshot=desk.snapshot()).allowed
    assert len(many) == len(few) <= 5  # state with limits, quantities twice, and the savepoint


def test_what_orders_of_one_moment_share_is_what_each_would_read_by_itself(desk) -> None:
    """The second order values the portfolio by what the first one read: after a trade, another price, and a price of its own."""
    other, unquoted = (InstrumentFactory(symbol=f"S{uuid4().hex[:8].upper()}") for _ in range(2))
    show_prices(**{other.symbol: "50"})
    desk.trade(10, 50, instrument=other)

    def both(**changes):
        snapshot = desk.snapshot(**changes)
        shared = order_check(snapshot=snapshot)
        kept.clear()
        prices_forget()
        assert order_check(snapshot=snapshot) == shared
        assert order_check(snapshot=snapshot) == shared
        return next((check.before for check in shared.checks if check.code == "TOTAL_EXPOSURE_LIMIT"), None)

    assert both() == 10_500
    own = replace(desk.snapshot().reference, price=Decimal(104))
    assert both(reference=own) == 10_900  # the order's own price is newer than the one that values the rest
    desk.trade(5, 50, instrument=other)
    assert both() == 10_750
    show_prices(**{other.symbol: "60"})
    assert both(reference=own) == 11_300
    assert both(reference=None) is None
    desk.trade(1, 10, instrument=unquoted)
    assert both() is None  # nobody knows what it is worth


def test_a_price_that_another_process_publishes_counts_for_the_next_order(desk, monkeypatch) -> None:
    unquoted = InstrumentFactory(symbol=f"S{uuid4().hex[:8].upper()}")
    desk.trade(1, 10, instrument=unquoted)
    monkeypatch.setattr("apps.marketdata.selectors.quotes.RECENT_SECONDS", 60.0)
    monkeypatch.setattr("apps.marketdata.services.quotes.prices_forget", lambda: None)
    prices_forget()
    assert blocking(order_check(snapshot=desk.snapshot())) == ["PRICE_MISSING"]
    show_prices(**{unquoted.symbol: "50"})
    assert blocking(order_check(snapshot=desk.snapshot())) == []
    prices_forget()


def test_outcomes_are_warned_above_the_soft_collar(desk) -> None:
    snapshot = desk.snapshot()
    for price, outcome in (("103", Outcome.PASS), ("104", Outcome.WARN), ("111", Outcome.BLOCK)):
        object.__setattr__(snapshot.intent, "limit_price", Decimal(price))
        verdict = order_check(snapshot=snapshot)
        assert next(check for check in verdict.checks if check.code == "PRICE_COLLAR").outcome is outcome


def test_open_quarantine_of_the_markets_day_denies_until_it_is_released(desk) -> None:
    operator = person(Role.OPERATOR)
    held = quarantine_open(symbol=desk.symbol, reason="vendor sends pence", from_date=NOW.date(), user=operator, at=NOW)
    verdict = order_check(snapshot=desk.snapshot(market=facts_of(desk)))
    assert blocking(verdict) == ["DATA_QUARANTINED"]
    message = next(check.message for check in verdict.checks if check.code == "DATA_QUARANTINED")
    assert message.endswith(str(quarantined([desk.symbol], None, NOW.date())[desk.symbol][0]))  # the words of the data page
    assert blocking(order_check(snapshot=desk.snapshot(side=Side.SELL, market=facts_of(desk)))) == []
    quarantine_release(quarantine_id=held.pk, reason="corrected", user=operator, at=NOW)
    assert blocking(order_check(snapshot=desk.snapshot(market=facts_of(desk)))) == []


def test_quarantine_of_days_gone_by_denies_nothing(desk) -> None:
    days = {"from_date": date(2020, 1, 2), "to_date": date(2020, 1, 3)}
    quarantine_open(symbol=desk.symbol, reason="bad tick", user=person(Role.OPERATOR), at=NOW, **days)
    assert blocking(order_check(snapshot=desk.snapshot(market=facts_of(desk)))) == []
    assert market_facts(desk.symbol, market_time=NOW, day=days["to_date"]).quarantines  # on those days it counts
