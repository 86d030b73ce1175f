"""Stored bars become returns, and a stored portfolio its risk."""

from datetime import date, timedelta
from decimal import Decimal
from uuid import uuid4

import numpy as np
import pandas as pd
import pytest

from apps.marketdata.domain import calendars
from apps.marketdata.models import CorporateAction, Instrument
from apps.marketdata.services.storing import bar_source_id
from apps.marketdata.tests.factories import InstrumentFactory, make_series, store_closes, store_series
from apps.portfolios.models import PortfolioValue
from apps.risk.domain.portfolio_risk import Method, RiskState
from apps.risk.domain.returns import in_base_currency
from apps.risk.domain.value_at_risk import var_historical
from apps.risk.selectors.portfolio_risk import portfolio_risk_now
from apps.risk.selectors.returns import return_matrix
from apps.risk.tests.factories import NOW, Desk

pytestmark = pytest.mark.django_db

END = date(2026, 11, 19)
DAYS = 300
SESSIONS = calendars.sessions("XNYS", END - timedelta(days=500), END)[-DAYS - 1 :]


def name() -> str:
    return f"R{uuid4().hex[:8].upper()}"


def closes(seed: int, count: int = DAYS + 1) -> np.ndarray:
    return 100 * np.cumprod(1 + np.random.default_rng(seed).normal(0, 0.01, count))


def store(symbol: str, values: np.ndarray, start: date = SESSIONS[0], **more) -> None:
    store_series(make_series(symbol, values.tolist(), start=start), **more)


def test_returns_are_those_of_the_stored_closes_by_session() -> None:
    a, b = name(), name()
    store(a, closes(1))
    store(b, closes(2)[:-100])
    matrix = return_matrix([b, a, "NOBODY"], end=END, days=DAYS)
    assert matrix.symbols == (b, a, "NOBODY")
    assert (matrix.dates[0], matrix.dates[-1], len(matrix)) == (np.datetime64(SESSIONS[1]), np.datetime64(END), DAYS)
    np.testing.assert_allclose(matrix.returns[:, 1], pd.Series(closes(1)).pct_change().to_numpy()[1:], rtol=1e-12)
    assert matrix.observed.tolist() == [DAYS - 100, DAYS, 0]


def test_a_split_is_no_loss_and_a_dividend_no_fall() -> None:
    symbol = name()
    values = np.full(DAYS + 1, 100.0)
    values[100:] = 50.0
    values[200:] = 49.0
    store(symbol, values)
    pk = InstrumentFactory(symbol=symbol).pk
    source = bar_source_id("test")
    for kind, value, at in (("split", 2, 100), ("dividend", 1, 200)):
        CorporateAction.objects.create(
            instrument_id=pk,
            kind=kind,
            ex_date=SESSIONS[at],
            value=Decimal(value),
            currency="USD",
            status="applied",
            source_id=source,
            recorded_at=NOW,
        )
    np.testing.assert_allclose(return_matrix([symbol], end=END, days=DAYS).returns, 0.0, atol=1e-12)


def test_a_day_without_a_close_has_no_return_and_neither_has_the_next() -> None:
    symbol = name()
    values = closes(3)
    values[[50, 200]] = np.nan
    store_closes({symbol: values.tolist()}, start=SESSIONS[0])
    returns = return_matrix([symbol], end=END, days=DAYS).returns[:, 0]
    assert np.flatnonzero(np.isnan(returns)).tolist() == [49, 50, 199, 200]


def test_the_matrix_is_kept_until_what_is_stored_changes() -> None:
    symbol = name()
    store(symbol, closes(4)[:-1])
    first = return_matrix([symbol], end=END, days=DAYS)
    assert return_matrix([symbol], end=END, days=DAYS) is first
    store(symbol, closes(4)[-1:], start=END)
    second = return_matrix([symbol], end=END, days=DAYS)
    assert second.fingerprint != first.fingerprint
    store(symbol, closes(4)[100:101] * 1.5, start=SESSIONS[100], recorded_at=NOW)  # a revision
    third = return_matrix([symbol], end=END, days=DAYS)
    assert third.fingerprint != second.fingerprint
    assert third.returns[99, 0] == pytest.approx(closes(4)[100] * 1.5 / closes(4)[99] - 1)


class Held:
    """A desk with 100,000 that holds 100 of one symbol with history, and 300 sessions of it."""

    def __init__(self, sessions: int = DAYS) -> None:
        self.desk = Desk()
        self.values = closes(5)[-sessions - 1 :]
        store(self.desk.symbol, self.values, start=SESSIONS[DAYS - sessions])

    def risk(self, now=NOW):
        return portfolio_risk_now(portfolio_id=self.desk.portfolio.pk, now=now, days=DAYS)


def test_risk_now_is_that_of_what_is_held_at_the_latest_price() -> None:
    held = Held()
    held.desk.price("110")
    Instrument.objects.filter(symbol=held.desk.symbol).update(sector="energy")
    found = held.risk()
    returns = pd.Series(held.values).pct_change().to_numpy()[1:]
    assert found.state is RiskState.OK
    assert found.var_of(Method.HISTORICAL, 0.99).value == pytest.approx(11_000 * var_historical(returns.tolist(), 0.99))
    assert found.volatility[0].value == pytest.approx(returns.std(ddof=1) * np.sqrt(252) * 11_000 / 101_000)
    assert (found.n, found.window, found.as_of) == (DAYS, DAYS, NOW)
    assert (found.exposure.by_sector, found.exposure.by_currency) == ({"energy": 11_000}, {"USD": 11_000})
    assert found.liquidity.days[held.desk.symbol] == pytest.approx(100 / (0.2 * 1_000_000))
    assert found.drawdown is not None
    assert not found.drawdown.actual


def test_the_drawdown_is_that_of_the_recorded_values() -> None:
    held = Held()
    for at, value in ((-4, "0.1"), (-3, "-0.2"), (-2, "0.05")):
        stamp = calendars.session_hours("XNYS", SESSIONS[at])[1]
        PortfolioValue.objects.create(
            portfolio_id=held.desk.portfolio.pk, ts=stamp, cash=1, invested=0, total=1, daily_return=float(value), last_entry_id=0, recorded_at=NOW
        )
    found = held.risk().drawdown
    assert found is not None
    assert found.actual
    assert (found.deepest, found.current) == (pytest.approx(-0.2), pytest.approx(0.8 * 1.05 - 1))


def test_a_missing_price_an_old_one_and_no_history_are_named() -> None:
    held = Held(sessions=50)
    assert held.risk().state is RiskState.INSUFFICIENT_DATA
    full = Held()
    full.desk.price("100", at=NOW - timedelta(days=2))  # a session has closed since
    assert (full.risk().state, full.risk().stale) == (RiskState.PRICE_STALE, (full.desk.symbol,))
    bare = Desk()
    found = portfolio_risk_now(portfolio_id=bare.portfolio.pk, now=NOW, days=DAYS)
    assert (found.state, found.without_history) == (RiskState.NO_HISTORY, (bare.symbol,))
    unpriced = InstrumentFactory(symbol=name())
    bare.trade(5, 10, instrument=unpriced)
    found = portfolio_risk_now(portfolio_id=bare.portfolio.pk, now=NOW, days=DAYS)
    assert (found.state, found.missing) == (RiskState.PRICE_MISSING, (unpriced.symbol,))
    assert all(one.value is None for one in (*found.var, *found.es))


def test_a_foreign_position_moves_with_its_currency() -> None:
    desk = Desk()
    foreign, rate = InstrumentFactory(symbol=name()), "ZZZUSD"
    foreign.currency = "ZZZ"
    foreign.save()
    store(foreign.symbol, closes(6))
    store(desk.symbol, closes(7))
    store(rate, closes(8) / 100)
    matrix = return_matrix([desk.symbol, foreign.symbol, rate], end=END, days=DAYS)
    own, fx = matrix.returns[:, 1], matrix.returns[:, 2]
    found = in_base_currency(matrix, {foreign.symbol: rate})
    np.testing.assert_allclose(found.returns[:, 1], (1 + own) * (1 + fx) - 1)
    np.testing.assert_array_equal(found.returns[:, 0], matrix.returns[:, 0])
    assert np.isnan(in_base_currency(matrix, {foreign.symbol: "XXXUSD"}).returns[:, 1]).all()
