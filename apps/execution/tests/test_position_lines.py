"""Target, drift and stop of each position, on the portfolio's page and over REST: measured here because the stop comes from risk."""

import re
from decimal import Decimal

import pytest
from django.test import Client

from apps.core import clock
from apps.execution.tests.factories import Desk, quote
from apps.execution.tests.services.rebalancing_desk import MARKET, make_fund, prices, targets
from apps.marketdata.selectors.market import market_clock
from apps.portfolios.selectors.drift import portfolio_drift
from apps.portfolios.selectors.overviews import portfolio_overview
from apps.portfolios.selectors.position_lines import PositionLines, position_lines
from apps.portfolios.services.portfolios import book_get_or_create
from apps.portfolios.tests.factories import InstrumentFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def desk(db: None) -> Desk:
    """100 AAPL bought at 100 without costs."""
    desk = make_fund(slippage_bps="0", commission="0")
    desk.submit(quantity="100")
    return desk


@pytest.fixture
def client(desk: Desk) -> Client:
    client = Client()
    client.force_login(desk.trader)
    return client


def vix() -> None:
    InstrumentFactory(symbol="VIX", tradable=False)
    quote("VIX", "18", market_time=MARKET)


def lines(desk: Desk) -> PositionLines:
    market = market_clock(MARKET)
    return position_lines(portfolio_overview(desk.portfolio, market=market), market=market)


def test_a_position_says_where_it_stands(desk: Desk) -> None:
    vix()
    targets(desk, AAPL="0.2")
    desk.submit(quantity="1")
    prices(AAPL="95")
    found = lines(desk)
    line = found.by_symbol["AAPL"]
    assert found.stop == Decimal("0.12")
    assert (line.target_weight, line.steered) == (Decimal("0.2"), 1)
    assert line.stop_price == 88
    assert line.stop_distance == Decimal("0.07")
    [drift] = [one.drift for one in portfolio_drift(desk.portfolio, market=market_clock(MARKET)).positions]
    assert line.drift == drift < 0


def test_what_a_strategy_holds_counts_as_no_drift(desk: Desk) -> None:
    targets(desk, AAPL="0.1")
    book_get_or_create(portfolio_id=desk.portfolio.pk, name="sma", recorded_at=clock.now())
    desk.submit(quantity="300", book="sma")
    line = lines(desk).by_symbol["AAPL"]
    assert (line.steered, line.drift) == (Decimal("0.25"), 0)


def test_without_targets_and_vix_nothing_is_made_up(desk: Desk) -> None:
    line = lines(desk).by_symbol["AAPL"]
    assert (line.target_weight, line.drift, line.stop_price, line.stop_distance) == (None, None, None, None)


def test_a_winner_is_farther_from_its_stop(desk: Desk) -> None:
    vix()
    prices(AAPL="150")
    assert lines(desk).by_symbol["AAPL"].stop_distance == Decimal("0.62")


def test_the_page_shows_them_with_what_the_live_numbers_need(desk: Desk, client: Client) -> None:
    vix()
    targets(desk, AAPL="0.2")
    prices(AAPL="95")
    html = client.get(f"/portfolios/{desk.portfolio.pk}").content.decode()
    row = re.search(r'<tr data-key="AAPL">.*?</tr>', html, re.DOTALL)[0]
    assert "20.0 %" in row
    assert re.search(r'data-field="weight" data-format="percent" data-times="1" data-less="0\.20*" data-quiet>−10\.45 %', row)
    assert re.search(r'data-field="average_cost" data-format="price" data-times="0\.880*" data-quiet>88\.00<', row)
    assert re.search(r'data-field="from_cost" data-format="percent" data-less="-0\.120*" data-quiet>\+7\.00 %', row)
    assert 'href="?tab=lots&amp;symbol=AAPL"' in row
    assert f'data-refresh="orders:{desk.portfolio.pk}"' in html
    assert "To stop" not in client.get("/").content.decode()


def test_its_lots_are_listed_alone(desk: Desk, client: Client) -> None:
    desk.submit(symbol="MSFT", quantity="1")
    for symbol, other in (("AAPL", "MSFT"), ("MSFT", "AAPL")):
        html = client.get(f"/portfolios/{desk.portfolio.pk}?tab=lots&symbol={symbol}").content.decode()
        assert f"Open lots of {symbol}" in html
        assert f'<tr data-key="{other}">' not in html


def test_it_asks_as_often_however_many_positions_there_are(desk: Desk, client: Client, django_assert_max_num_queries) -> None:
    vix()
    targets(desk, AAPL="0.2", MSFT="0.1")
    desk.submit(symbol="MSFT", quantity="1")
    desk.submit(symbol="IBM", quantity="1")
    with django_assert_max_num_queries(25):
        client.get(f"/portfolios/{desk.portfolio.pk}")


def test_rest_has_the_price_of_the_stop(desk: Desk, client: Client) -> None:
    addresses = (f"/api/v1/portfolios/{desk.portfolio.pk}/positions/", "/api/v1/positions/")
    assert [client.get(url).json()[0]["stop_loss_price"] for url in addresses] == [None, None]
    vix()
    assert [Decimal(client.get(url).json()[0]["stop_loss_price"]) for url in addresses] == [88, 88]
