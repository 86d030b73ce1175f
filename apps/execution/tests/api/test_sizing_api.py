"""How many shares a sizer would order: by REST, explained, and refused by name."""

from datetime import timedelta
from decimal import Decimal

import numpy as np
import pytest
from rest_framework.test import APIClient

from apps.core import clock
from apps.core.roles import Role
from apps.core.streams import redis_client
from apps.execution.api.sizing import SizeSerializer
from apps.execution.models import Order
from apps.execution.tests.factories import make_user, quote
from apps.marketdata.domain import calendars
from apps.marketdata.selectors.bars import visible_end
from apps.marketdata.selectors.quotes import prices_forget
from apps.marketdata.selectors.store import LATEST
from apps.marketdata.tests.factories import make_series, store_series
from apps.portfolios.tests.factories import InstrumentFactory

PERCENT = {"type": "percent", "pct": "0.1"}


@pytest.fixture
def client(desk):
    client = APIClient()
    client.force_authenticate(desk.trader)
    return client


@pytest.fixture
def size(desk, client):
    def send(sizer=PERCENT, **fields):
        body = {"portfolio_id": desk.portfolio.pk, "symbol": "AAPL", "side": "buy", "sizer": sizer, **fields}
        return client.post("/api/v1/orders/size/", body, format="json")

    return send


def pointers(response):
    return [error["pointer"] for error in response.json()["errors"]]


def test_the_answer_says_the_quantity_and_how_it_came_to_be(size):
    response = size({"type": "risk_based", "risk_pct": "0.01"}, stop_price="97")
    assert response.status_code == 200
    said = response.json()
    assert set(said) == set(SizeSerializer().fields)
    assert (said["state"], said["quantity"], said["price"], said["lot_size"]) == ("ok", "333", "100", "1")
    assert (said["value"], said["equity_share"], said["loss_at_stop"]) == ("33300", "0.333", "999")
    assert said["formula"] == "equity × risk ÷ distance to the stop"
    assert [(term["name"], term["value"], term["unit"]) for term in said["terms"]] == [
        ("Equity", "100000", "money"),
        ("Risk of the trade", "0.01", "fraction"),
        ("Price", "100", "price"),
        ("Stop price", "97", "price"),
        ("Distance", "3", "price"),
    ]
    assert said["message"] == "The formula gives 333.333 shares; rounded down to whole shares: 333"
    assert not Order.objects.exists()


def test_a_limit_price_takes_the_place_of_the_market(size):
    said = size(limit_price="50").json()
    assert (said["quantity"], said["price_source"]) == ("200", "limit price")


def test_a_buy_is_capped_by_the_cash_that_no_working_buy_may_spend_and_a_sale_is_not(desk, size):
    desk.submit(quantity="500", order_type="limit", limit_price="99")
    said = size({"type": "percent", "pct": "1"}).json()
    assert (said["wanted"], said["quantity"]) == ("1000", "504")  # (100,000 - 49,500 - 4) / 100.1
    assert said["caps"] == ["the cash pays for 504 shares"]
    assert size({"type": "percent", "pct": "1"}, side="sell").json()["quantity"] == "1000"


def test_what_is_capped_passes_the_gate(desk, size):
    quantity = size({"type": "percent", "pct": "1"}).json()["quantity"]
    assert desk.submit(quantity=quantity).status == "filled"


def sessions(*, closes=(100.0, 102.0)):
    """Bars of AAPL on the last sessions that the market has completed, whatever day it is: up 2 % and down again, in turns."""
    end = visible_end(clock.now())
    start = end - timedelta(days=30)
    days = calendars.calendar_of("XNYS").days
    count = int(np.searchsorted(days, np.datetime64(end), "right") - np.searchsorted(days, np.datetime64(start)))
    store_series(make_series("AAPL", [closes[n % 2] for n in range(count)], start=start), recorded_at=clock.now())


@pytest.mark.parametrize(
    ("sizer", "quantity"),
    [
        ({"type": "volatility", "risk_pct": 0.01, "multiplier": 2, "period": 3}, "124"),
        ({"type": "target_volatility", "target": 0.1, "window": 4}, "275"),
    ],
)
def test_history_is_that_of_completed_sessions(size, sizer, quantity):
    """Each bar spans 99 to 103.02: 1,000 / (2 x 4.02). Two returns of 2 % up and two down move 36.3 % a year."""
    sessions()
    assert size(sizer).json()["quantity"] == quantity
    longer = size({**sizer, "period" if "period" in sizer else "window": 30}).json()
    assert (longer["state"], longer["quantity"]) == ("history_missing", None)
    assert "fewer than 31 bars" in longer["message"]


def test_without_a_price_or_an_equity_nothing_is_said(desk, size):
    InstrumentFactory(symbol="LONE")
    lone = size(symbol="LONE").json()
    assert (lone["state"], lone["quantity"]) == ("price_missing", None)
    desk.submit(quantity="10")
    InstrumentFactory(symbol="IBM")
    quote("IBM", "50")
    redis_client().hdel(LATEST, "AAPL")
    prices_forget()
    said = size(symbol="IBM").json()
    assert (said["state"], "AAPL" in said["message"]) == ("equity_unknown", True)


def test_another_currency_needs_its_rate(desk, size):
    instrument = InstrumentFactory(symbol="SAP", currency="EUR")
    quote(instrument.symbol, "100")
    assert size(symbol="SAP").json()["state"] == "rate_missing"
    InstrumentFactory(symbol="EURUSD")
    quote("EURUSD", "1.25")
    said = size(symbol="SAP").json()
    assert (said["quantity"], said["price"], Decimal(said["value"])) == ("80", "100", Decimal(10000))


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"sizer": {"type": "guess"}}, "/sizer/type"),
        ({"sizer": {}}, "/sizer/type"),
        ({"sizer": {"type": "percent", "pct": "10"}}, "/sizer/pct"),
        ({"sizer": {"type": "percent", "pct": ""}}, "/sizer/pct"),
        ({"sizer": {"type": "kelly", "win_rate": "0.5"}}, "/sizer/win_loss_ratio"),
        ({"sizer": {"type": "volatility", "multiplier": "1e-320", "period": "3"}}, "/sizer"),
        ({"sizer": {"type": "risk_based"}, "stop_price": "100"}, "/stop_price"),
        ({"sizer": {"type": "risk_based"}, "stop_price": "99", "side": "sell"}, "/stop_price"),
        ({"sizer": {"type": "risk_based"}, "stop_price": "99.001"}, "/stop_price"),
        ({"limit_price": "-1"}, "/limit_price"),
        ({"side": "hold"}, "/side"),
        ({"quantity": "1"}, "/quantity"),
    ],
)
def test_a_wrong_number_is_named(size, change, pointer):
    if change.get("sizer", {}).get("type") == "volatility":
        sessions()
    response = size(**change)
    assert response.status_code == 400
    assert pointers(response) == [pointer]


def test_it_is_for_those_who_trade_in_the_portfolio(size, client):
    client.force_authenticate(make_user("stranger", Role.TRADER))
    assert size().status_code == 404
    client.force_authenticate(None)
    assert size().status_code == 401
