"""A trade that nobody has made is judged as the same trade once it is made."""

from decimal import Decimal
from uuid import uuid4

import pytest

from apps.core.errors import InvalidInput, NotFound
from apps.marketdata.tests.factories import InstrumentFactory, make_series, store_series
from apps.portfolios.tests.factories import LedgerEntryFactory
from apps.risk.selectors.board import RiskBoard
from apps.risk.selectors.tables.what_if import what_if_stress_table, what_if_table
from apps.risk.selectors.what_if import trade_at_market, what_if
from apps.risk.tests.factories import NOW, Desk, show_prices
from apps.risk.tests.selectors.test_portfolio_risk import SESSIONS, closes

pytestmark = pytest.mark.django_db


@pytest.fixture
def desk() -> Desk:
    found = Desk()
    store_series(make_series("SPY", closes(3).tolist(), start=SESSIONS[0]))
    store_series(make_series(found.symbol, closes(1).tolist(), start=SESSIONS[0]))
    return found


def other_instrument(seed: int, price: str) -> str:
    symbol = f"W{uuid4().hex[:8].upper()}"
    store_series(make_series(symbol, closes(seed).tolist(), start=SESSIONS[0]))
    show_prices(**{symbol: price})
    return symbol


def board(desk: Desk) -> RiskBoard:
    return RiskBoard(portfolio_id=desk.portfolio.pk, now=NOW)


def numbers(table) -> dict[str, tuple[float | None, float | None]]:
    return {row[0]: (row[2], row[3]) for row in table.rows}


@pytest.mark.parametrize("quantity", ["40", "-30"])
def test_it_says_what_the_trade_will_have_done(desk: Desk, quantity: str) -> None:
    symbol = other_instrument(2, "50")
    asked = board(desk)
    asked.trade = trade_at_market(symbol=symbol, quantity=Decimal(quantity), base="USD", market_time=NOW)
    told = numbers(what_if_table(asked))
    LedgerEntryFactory(
        portfolio_id=desk.portfolio.pk,
        book_id=desk.book.pk,
        instrument_id=InstrumentFactory(symbol=symbol).pk,
        quantity=Decimal(quantity),
        price=Decimal(50),
        effective_at=NOW,
        source_ref=uuid4().hex,
    )
    made = board(desk)
    made.trade = trade_at_market(symbol=symbol, quantity=Decimal(1), base="USD", market_time=NOW)
    real = numbers(what_if_table(made))
    assert all(now is not None for now, _ in real.values())
    for measure, (now, _) in real.items():
        assert told[measure][1] == pytest.approx(now, rel=1e-9), measure
    assert told["Gross exposure"] == (10_000.0, 10_000.0 + abs(float(quantity)) * 50)


def test_closing_a_position_leaves_no_risk(desk: Desk) -> None:
    asked = board(desk)
    trade = trade_at_market(symbol=desk.symbol, quantity=Decimal(-100), base="USD", market_time=NOW)
    desk.price("101")  # the price moves between the two looks
    found = what_if(asked.view, trade, now=NOW)
    assert found.risk.values == {}
    assert found.risk.exposure.gross == 0


def test_scenarios_are_told_with_the_trade(desk: Desk) -> None:
    asked = board(desk)
    asked.trade = trade_at_market(symbol=desk.symbol, quantity=Decimal(100), base="USD", market_time=NOW)
    rows = {row[1]: row[2:5] for row in what_if_stress_table(asked).rows}
    before, after, change = rows["equity-20-down"]
    assert before < 0
    assert (after, change) == (pytest.approx(2 * before), pytest.approx(before))
    assert rows["reverse-10"] == (pytest.approx(-10_000), pytest.approx(-10_000), pytest.approx(0))  # a tenth of equity, however it is lost


def test_a_trade_needs_an_instrument_with_a_price(desk: Desk) -> None:
    nothing = InstrumentFactory(symbol=f"W{uuid4().hex[:8].upper()}").symbol
    with pytest.raises(InvalidInput, match="has no price"):
        trade_at_market(symbol=nothing, quantity=Decimal(1), base="USD", market_time=NOW)
    with pytest.raises(NotFound, match="NOBODY"):
        trade_at_market(symbol="NOBODY", quantity=Decimal(1), base="USD", market_time=NOW)
