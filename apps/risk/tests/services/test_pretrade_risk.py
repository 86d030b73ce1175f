"""Limits of value at risk, shortfall and stress in the gate, on stored bars: success, refusal, bad data, and what an order reads for them."""

import time
from datetime import date, timedelta
from decimal import Decimal
from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.core.trading import Side
from apps.marketdata.domain import calendars
from apps.marketdata.tests.factories import make_series, store_series
from apps.portfolios.tests.factories import InstrumentFactory
from apps.risk.domain.value_at_risk import es_historical, var_historical
from apps.risk.selectors import risk_books
from apps.risk.selectors.utilisation import limit_uses_now
from apps.risk.services import pretrade_risk
from apps.risk.services.monitor import RiskMonitor
from apps.risk.services.pretrade import order_check, order_impact, order_judged
from apps.risk.tests.factories import NOW, Desk, RiskLimitFactory, show_prices

pytestmark = pytest.mark.django_db

LAST = date(2026, 11, 19)
CODES = {"var": "VAR_LIMIT", "expected_shortfall": "ES_LIMIT", "stress_loss": "STRESS_LIMIT"}


def store(symbol: str, returns: np.ndarray, last: date = LAST) -> None:
    """Closes whose returns are these, the last of them on that day."""
    first = calendars.sessions("XNYS", last - timedelta(days=2 * len(returns) + 10), last)[-len(returns) - 1]
    store_series(make_series(symbol, 100 * np.cumprod([1.0, *(1 + returns)]), start=first))


@pytest.fixture(scope="module")
def returns() -> np.ndarray:
    return np.random.default_rng(3).standard_normal(200) * 0.01


@pytest.fixture
def desk(returns) -> Desk:
    """100 shares of one stock at 100, which moves one and a half times as the market does; worth 100,000."""
    store("SPY", returns)
    one = Desk()
    store(one.symbol, 1.5 * returns)
    return one


def limit(desk: Desk, kind: str, hard: str) -> None:
    RiskLimitFactory(portfolio_id=desk.portfolio.pk, kind=kind, hard=Decimal(hard))


def check(desk: Desk, code: str, **order):
    return next(one for one in order_check(snapshot=desk.snapshot(**order)).checks if one.code == code)


@pytest.mark.parametrize(("kind", "measure"), [("var", var_historical), ("expected_shortfall", es_historical)])
def test_the_tail_before_and_after_is_held_to_its_limit(desk, returns, kind, measure) -> None:
    of_stock = measure(1.5 * returns, 0.95)
    limit(desk, kind, f"{of_stock * 0.12:.6f}")  # 10 % of the portfolio is held
    allowed, refused = (check(desk, CODES[kind], quantity=quantity) for quantity in ("19", "21"))
    assert (allowed.outcome, refused.outcome) == ("pass", "block")
    assert float(refused.before) == pytest.approx(of_stock * 0.1, abs=2e-6)
    assert float(refused.after) == pytest.approx(of_stock * 0.121, abs=2e-6)


def test_the_worst_scenario_is_held_to_its_limit(desk) -> None:
    limit(desk, "stress_loss", "0.11")
    assert check(desk, "STRESS_LIMIT").outcome == "pass"
    refused = check(desk, "STRESS_LIMIT", quantity="300")
    assert (refused.outcome, refused.after) == ("block", 4 * refused.before)
    assert refused.before > Decimal("0.05")


@pytest.mark.parametrize(("kind", "code"), CODES.items())
def test_what_has_no_history_opens_nothing_and_may_be_closed(desk, kind, code) -> None:
    other = InstrumentFactory(symbol="LATE")
    desk.trade(10, 100, instrument=other)
    show_prices(LATE="100")
    limit(desk, kind, "0.5")
    refused = check(desk, code)
    assert refused.outcome == "block"
    assert "LATE" in refused.message
    assert check(desk, code, side=Side.SELL, quantity="100").outcome == "pass"


@pytest.mark.parametrize(("sessions", "outcome"), [(100, "pass"), (99, "block")])
def test_too_little_history_opens_nothing(returns, sessions, outcome) -> None:
    desk = Desk()
    store(desk.symbol, returns[:sessions])
    limit(desk, "var", "0.5")
    found = check(desk, "VAR_LIMIT")
    assert found.outcome == outcome
    assert ("INSUFFICIENT_DATA" in found.message) is (outcome == "block")


def test_what_the_gate_has_read_of_an_order_is_not_read_again(desk, monkeypatch) -> None:
    snapshot = desk.snapshot()
    judged, impact = order_judged(snapshot=snapshot), order_impact(snapshot=snapshot)
    assert impact.var.state == "ok"
    for name in ("quantities_of", "last_prices"):
        monkeypatch.setattr(f"apps.risk.services.pretrade.{name}", Mock(side_effect=RuntimeError))
    assert order_impact(snapshot=snapshot, judged=judged) == impact


def test_the_gate_the_monitor_and_the_page_agree_on_a_scenario_that_knows_a_part(desk) -> None:
    desk.trade(10, 100, instrument=InstrumentFactory(symbol="LATE"))
    show_prices(LATE="100")
    limit(desk, "stress_loss", "0.5")
    refused = check(desk, "STRESS_LIMIT")
    assert refused.outcome == "block"
    assert "no move of LATE" in refused.message
    assert check(desk, "STRESS_LIMIT", side=Side.SELL).outcome == "pass"

    monitor = RiskMonitor()
    monitor.step(NOW)
    monitor.live.compute(NOW)
    (view,) = monitor.step(NOW + timedelta(seconds=1))
    live = monitor.numbers[desk.portfolio.pk]
    found = [
        next(use for use in uses if use.kind == "stress_loss")
        for uses in (limit_uses_now(portfolio_id=desk.portfolio.pk, now=NOW), view.summary.limits)
    ]
    assert [use.state for use in found] == ["no_data", "no_data"]
    assert found[0].used == pytest.approx(found[1].used)
    assert found[0].used > Decimal("0.05")
    assert {use.not_known for use in found} == {live.not_known}
    assert live.not_known.endswith("no move of LATE")
    assert live.coverage == pytest.approx(10 / 11)


def test_a_position_without_a_price_opens_nothing(desk) -> None:
    desk.trade(10, 100, instrument=InstrumentFactory(symbol="DARK"))
    limit(desk, "var", "0.5")
    assert {"PRICE_MISSING", "VAR_LIMIT"} <= {one.code for one in order_check(snapshot=desk.snapshot()).blocking}
    assert "PRICE_MISSING (DARK)" in check(desk, "VAR_LIMIT").message


def test_what_breaks_denies(desk, monkeypatch) -> None:
    monkeypatch.setattr(pretrade_risk, "held_risk", Mock(side_effect=RuntimeError))
    assert order_check(snapshot=desk.snapshot()).allowed  # nobody has asked for it
    limit(desk, "var", "0.5")
    assert [one.code for one in order_check(snapshot=desk.snapshot()).blocking] == ["CHECK_FAILED"]
    assert order_check(snapshot=desk.snapshot(side=Side.SELL, quantity="5")).allowed


def test_an_order_reads_no_history_that_the_process_has_and_follows_what_is_held(desk) -> None:
    with CaptureQueriesContext(
        connection,
    ) as without:
        order_check(snapshot=desk.snapshot())
    limit(desk, "var", "0.5")
    before = check(desk, "VAR_LIMIT").before
    with CaptureQueriesContext(connection) as again:
        order_check(snapshot=desk.snapshot())
    assert len(again) == len(without)
    desk.trade(100, 100)
    assert float(check(desk, "VAR_LIMIT").before) == pytest.approx(2 * float(before), abs=2e-6)


def test_after_a_while_it_is_asked_whether_the_stored_returns_are_still_the_same(desk, returns, monkeypatch) -> None:
    limit(desk, "var", "0.5")
    before = check(desk, "VAR_LIMIT").before
    store(desk.symbol, 3 * returns)
    assert check(desk, "VAR_LIMIT").before == before
    later = time.monotonic() + risk_books.FRESH_SECONDS
    monkeypatch.setattr(risk_books, "wall", SimpleNamespace(monotonic=lambda: later))
    assert float(check(desk, "VAR_LIMIT").before) == pytest.approx(2 * float(before), abs=3e-6)


def test_a_symbol_that_is_new_is_read_alone_and_moves_with_its_currency(desk, returns) -> None:
    """A stock in euros that does not move in them moves as the euro does."""
    order_impact(snapshot=desk.snapshot())
    euro = InstrumentFactory(symbol="EUROPE", currency="EUR")
    store("EUROPE", 0 * returns)
    store("EURUSD", returns)
    show_prices(EUROPE="100", EURUSD="1.25")
    desk.trade(80, 100, instrument=euro)
    impact = order_impact(snapshot=desk.snapshot())
    expected = var_historical(10_000 * 1.5 * returns + 10_000 * returns, 0.95)
    assert (impact.var.state, impact.var.before) == ("ok", pytest.approx(expected, rel=1e-6))
