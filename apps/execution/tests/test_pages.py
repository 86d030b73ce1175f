"""The ticket, the blotter and one order's page."""

import pytest
from django.test import Client

from apps.core.roles import Role
from apps.execution.models import Order
from apps.execution.tests.factories import Desk, make_user
from apps.portfolios.services.portfolios import membership_grant
from apps.portfolios.tests.factories import PortfolioFactory


@pytest.fixture
def client(desk: Desk) -> Client:
    client = Client()
    client.force_login(desk.trader)
    return client


def test_ticket_offers_the_portfolios_and_instruments_that_may_be_traded(client: Client, desk: Desk) -> None:
    others = PortfolioFactory(name="somebody else's")
    html = client.get("/trade?symbol=aapl").content.decode()
    assert desk.portfolio.name in html
    assert others.name not in html
    assert '<option value="AAPL"' in html
    assert 'name="symbol" list="symbols" value="AAPL"' in html


def test_ticket_is_for_those_who_may_order(desk: Desk) -> None:
    client = Client()
    client.force_login(make_user("looker", Role.QUANT))
    response = client.get("/trade")
    assert response.status_code == 403
    assert "does not place orders" in response.content.decode()


def test_ticket_without_a_portfolio_says_why(db: None) -> None:
    client = Client()
    client.force_login(make_user("newcomer", Role.TRADER))
    assert "No portfolio to trade in" in client.get("/trade").content.decode()


def test_blotter_sorts_orders_into_tabs(client: Client, desk: Desk) -> None:
    filled = desk.submit()
    working = desk.submit(order_type="limit", limit_price="90")
    refused = desk.submit(quantity="100000")
    found = {tab: [order["id"] for order in client.get(f"/trades?tab={tab}").context["orders"]] for tab in ("working", "filled", "refused", "all")}
    assert found == {"working": [working.pk], "filled": [filled.pk], "refused": [refused.pk], "all": [refused.pk, working.pk, filled.pk]}


def test_blotter_shows_no_orders_of_others(client: Client, desk: Desk) -> None:
    order = desk.submit()
    stranger = Client()
    stranger.force_login(make_user("stranger", Role.TRADER))
    assert [row["id"] for row in client.get("/trades?tab=all&portfolio=all").context["orders"]] == [order.pk]
    assert stranger.get("/trades?tab=all&portfolio=all").context["orders"] == []
    assert stranger.get(f"/trades/{order.pk}").status_code == 404


@pytest.mark.parametrize(("symbol", "number"), [("aapl", 1), ("MSFT", 0)])
def test_blotter_filters_by_symbol(client: Client, desk: Desk, symbol: str, number: int) -> None:
    desk.submit()
    assert len(client.get(f"/trades?tab=all&symbol={symbol}").context["orders"]) == number


def test_blotter_as_csv_has_raw_numbers(client: Client, desk: Desk) -> None:
    order = desk.submit(quantity="12")
    text = client.get("/trades?tab=all&format=csv").content.decode("utf-8-sig")
    head, row = text.splitlines()
    cells = dict(zip(head.split(","), row.split(","), strict=True))
    assert (cells["id"], cells["symbol"], cells["quantity"]) == (str(order.pk), "AAPL", "12")


def test_order_shows_every_check_with_its_numbers(client: Client, desk: Desk) -> None:
    order = desk.submit(quantity="100000")
    html = client.get(f"/trades/{order.pk}").content.decode()
    assert "INSUFFICIENT_CAPITAL" in html
    assert "$100,000.00" in html
    assert "Nothing has traded." in html


def test_order_as_a_part_has_no_frame(client: Client, desk: Desk) -> None:
    html = client.get(f"/trades/{desk.submit().pk}?part=1").content.decode()
    assert "Timeline" in html
    assert "<html" not in html


def test_cancel_ends_a_working_order_and_goes_back(client: Client, desk: Desk) -> None:
    order = desk.submit(order_type="limit", limit_price="90")
    response = client.post(f"/trades/{order.pk}/cancel", {"next": "/trades?tab=working"})
    assert response["Location"] == "/trades?tab=working"
    assert Order.objects.get(pk=order.pk).status == "canceled"


def test_cancel_of_an_order_that_has_ended_is_told(client: Client, desk: Desk) -> None:
    order = desk.submit()
    html = client.post(f"/trades/{order.pk}/cancel", follow=True).content.decode()
    assert f"Order {order.pk} was not cancelled" in html
    assert Order.objects.get(pk=order.pk).status == "filled"


def test_cancel_needs_the_right_to_trade(desk: Desk) -> None:
    order = desk.submit(order_type="limit", limit_price="90")
    viewer = make_user("viewer", Role.QUANT)
    membership_grant(portfolio_id=desk.portfolio.pk, user_id=viewer.pk, role="viewer")
    client = Client()
    client.force_login(viewer)
    assert "was not cancelled" in client.post(f"/trades/{order.pk}/cancel", follow=True).content.decode()
    assert Order.objects.get(pk=order.pk).status == "new"


def test_cancel_is_no_link(client: Client, desk: Desk) -> None:
    order = desk.submit(order_type="limit", limit_price="90")
    assert client.get(f"/trades/{order.pk}/cancel").status_code == 405
    assert Order.objects.get(pk=order.pk).status == "new"
