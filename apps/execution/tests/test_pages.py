"""The ticket, the blotter and one order's page."""

import re
from datetime import UTC, date, datetime

import pytest
from django.test import Client

from apps.core import clock
from apps.core.roles import Role
from apps.execution.models import AlgoOrder, Order
from apps.execution.services.algo_engine import algo_advance
from apps.execution.services.algos import algo_submit
from apps.execution.tests.factories import Desk, make_user, quote
from apps.marketdata.models import FeedState
from apps.portfolios.services.portfolios import book_get_or_create, membership_grant
from apps.portfolios.tests.factories import PortfolioFactory


@pytest.fixture
def client(desk: Desk) -> Client:
    client = Client()
    client.force_login(desk.trader)
    return client


def test_ticket_offers_the_portfolios_and_instruments_that_may_be_traded(client: Client, desk: Desk) -> None:
    others = PortfolioFactory(name="somebody else's")
    html = client.get("/trade?symbol=aapl&order_type=limit&limit_price=99.5").content.decode()
    assert desk.portfolio.name in html
    assert others.name not in html
    assert '<option value="AAPL"' in html
    assert 'name="symbol" list="symbols" value="AAPL"' in html
    assert '<option value="limit" selected>' in html
    assert 'name="limit_price" inputmode="decimal" value="99.5"' in html


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


@pytest.mark.parametrize("query", ["", "&close=AAPL"])
def test_ticket_for_a_portfolio_of_others_is_none_for_another_one(client: Client, desk: Desk, query: str) -> None:
    others = PortfolioFactory(name="somebody else's")
    answer = client.get(f"/trade?portfolio={others.pk}{query}")
    assert answer.status_code == 403
    assert "do not trade in this portfolio" in answer.content.decode()


def test_an_unknown_order_is_asked_for_at_the_broker(client: Client, desk: Desk) -> None:
    order = desk.submit()
    answer = client.post(f"/trades/{order.pk}/reconcile", follow=True)
    assert f"Account {desk.account.number} was compared with its broker: clean" in answer.content.decode()
    stranger = Client()
    stranger.force_login(make_user("stranger", Role.TRADER))
    assert stranger.post(f"/trades/{order.pk}/reconcile").status_code == 404


def test_a_refused_order_says_what_would_let_it_pass(client: Client, desk: Desk) -> None:
    html = client.get(f"/trades/{desk.submit(quantity='100000').pk}").content.decode()
    assert "INSUFFICIENT_CAPITAL</span> Cash is freed by sales" in html


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


def headings(client: Client) -> set[str]:
    return set(re.findall(r'<th scope="col"[^>]*>([^<]+)</th>', client.get("/trades?tab=all").content.decode()))


def test_blotter_keeps_the_columns_that_were_chosen(client: Client, desk: Desk) -> None:
    desk.submit(limit_price="90", order_type="limit")
    Order.objects.update(note="for the close")
    at_first = headings(client)
    assert {"Symbol", "Side", "Qty", "Status", "Limit", "Reason"} < at_first
    assert not {"Note", "Account", "Arrival"} & at_first
    answer = client.post("/trades/columns", {"column": ["note", "limit", "nonsense"], "next": "/trades?tab=all"})
    assert (answer.status_code, answer["Location"]) == (302, "/trades?tab=all")
    assert answer.cookies["blotter_columns"].value == "limit.note"
    assert headings(client) == {"#", "Symbol", "Side", "Qty", "Status", "Limit", "Note"}
    assert "for the close" in client.get("/trades?tab=all").content.decode()
    forgotten = client.post("/trades/columns", {"reset": "1"})
    assert forgotten.cookies["blotter_columns"]["max-age"] == 0
    del client.cookies["blotter_columns"]  # as a browser does then
    assert headings(client) == at_first


def test_blotter_without_any_column_still_says_which_order(client: Client, desk: Desk) -> None:
    order = desk.submit()
    client.post("/trades/columns", {})
    assert headings(client) == {"#", "Symbol", "Side", "Qty", "Status"}
    assert f"/trades/{order.pk}" in client.get("/trades?tab=all").content.decode()


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


class TestParents:
    @pytest.fixture
    def parent(self, desk: Desk) -> AlgoOrder:
        opened = datetime(2024, 7, 2, 13, 30, tzinfo=UTC)
        FeedState.objects.create(name="test", mode="replay", market_time=opened, session=date(2024, 7, 2), updated_at=clock.now())
        quote("AAPL", "100", market_time=opened)
        fields = {"portfolio_id": desk.portfolio.pk, "symbol": "AAPL", "side": "buy", "quantity": "600", "parameters": {"slices": 6}}
        parent = algo_submit(user=desk.trader, algo="twap", at=clock.now(), **fields)
        algo_advance(algo_id=parent.pk, portfolio_id=parent.portfolio_id, at=clock.now())
        return parent

    def test_the_blotter_leads_from_a_child_to_its_parent(self, client: Client, parent: AlgoOrder) -> None:
        html = client.get("/trades?tab=all").content.decode()
        assert f'href="/algos/{parent.pk}"' in html
        assert 'value="0.1667"' in html

    def test_the_parents_page_shows_progress_children_and_the_schedule(self, client: Client, parent: AlgoOrder) -> None:
        html = client.get(f"/algos/{parent.pk}").content.decode()
        assert f"TWAP {parent.pk}" in html
        assert "equal slices" in html
        assert "bokeh/bokeh.min.js" in html
        assert "100 shares, its slice is due" in html
        assert f'href="/trades/{parent.children.get().pk}"' in html
        assert f'href="/algos/{parent.pk}"' in client.get("/algos").content.decode()

    def test_its_chart_says_what_has_traded_and_what_was_due(self, client: Client, parent: AlgoOrder) -> None:
        chart = client.get(f"/charts/algos/{parent.pk}").json()
        assert chart["summary"] == "100 of 600 shares have traded; by then the schedule had 100 due."
        assert chart["item"] is not None
        assert len(chart["table"]["rows"]) == 6 + 3

    def test_it_is_cancelled_with_its_children(self, client: Client, parent: AlgoOrder) -> None:
        assert client.post(f"/algos/{parent.pk}/cancel").status_code == 302
        parent.refresh_from_db()
        assert parent.status == "cancelled"

    def test_it_is_not_shown_to_others(self, parent: AlgoOrder) -> None:
        stranger = Client()
        stranger.force_login(make_user("stranger", Role.TRADER))
        for path in ("", "/cancel"):
            assert (stranger.post if path else stranger.get)(f"/algos/{parent.pk}{path}").status_code in (302, 404)
        assert stranger.get(f"/charts/algos/{parent.pk}").status_code == 404
        parent.refresh_from_db()
        assert parent.status == "working"


def test_the_blotter_filters_by_symbol_side_and_strategy(client: Client, desk: Desk) -> None:
    buy = desk.submit(order_type="limit", limit_price="90", strategy="hedge")
    desk.submit(quantity="10")
    sell = desk.submit(side="sell", order_type="limit", limit_price="120", quantity="5")
    found = {
        query: [order["id"] for order in client.get(f"/trades?{query}").context["orders"]] for query in ("side=sell", "strategy=hedge", "symbol=ibm")
    }
    assert found == {"side=sell": [sell.pk], "strategy=hedge": [buy.pk], "symbol=ibm": []}


class TestCancelMany:
    def test_the_list_counts_what_the_filter_lets_through(self, client: Client, desk: Desk) -> None:
        desk.submit(quantity="10")
        orders = [desk.submit(order_type="limit", limit_price="90", quantity="1") for _ in range(2)]
        desk.submit(side="sell", order_type="limit", limit_price="120", quantity="5")
        context = client.get("/trades/cancel?side=buy").context
        assert ([order["id"] for order in context["orders"]], context["buys"], context["sells"]) == ([orders[1].pk, orders[0].pk], 2, 0)

    def test_only_the_ticked_ones_end_and_an_order_that_has_ended_is_named(self, client: Client, desk: Desk) -> None:
        first, second = (desk.submit(order_type="limit", limit_price="90", quantity="1") for _ in range(2))
        filled = desk.submit()
        html = client.post("/trades/cancel", {"order": [first.pk, filled.pk, "x"]}, follow=True).content.decode()
        assert [Order.objects.get(pk=one.pk).status for one in (first, second, filled)] == ["canceled", "new", "filled"]
        assert "1 order cancelled" in html
        assert f"1 left as they are: {filled.pk}: order {filled.pk} is filled already" in html

    def test_without_a_tick_nothing_is_cancelled(self, client: Client, desk: Desk) -> None:
        order = desk.submit(order_type="limit", limit_price="90")
        assert "nothing was cancelled" in client.post("/trades/cancel", follow=True).content.decode()
        order.refresh_from_db()
        assert order.status == "new"

    def test_who_may_only_look_finds_nothing_to_cancel_and_cancels_nothing(self, desk: Desk) -> None:
        order = desk.submit(order_type="limit", limit_price="90")
        viewer = make_user("viewer", Role.TRADER)
        membership_grant(portfolio_id=desk.portfolio.pk, user_id=viewer.pk, role="viewer")
        looking = Client()
        looking.force_login(viewer)
        assert "Nothing to cancel" in looking.get("/trades/cancel").content.decode()
        assert "may not place orders" in looking.post("/trades/cancel", {"order": [order.pk]}, follow=True).content.decode()
        order.refresh_from_db()
        assert order.status == "new"


def test_an_order_s_page_says_how_long_each_hop_took_and_why_a_fill_has_its_price(client: Client, desk: Desk) -> None:
    order = desk.submit()
    response = client.get(f"/trades/{order.pk}")
    html = response.content.decode()
    assert "by gate after" in html
    assert "Matched against 100 (test" in html
    assert "5.0 bps worse than the arrival price 100" in html
    assert "/trade?symbol=AAPL&amp;side=buy&amp;quantity=10" in html


@pytest.mark.parametrize(
    ("bought", "side", "quantity", "book"),
    [
        ({"main": "12"}, "sell", "12", "main"),
        ({"swing": "7"}, "sell", "7", "swing"),
        ({"swing": "30", "main": "12"}, "sell", "12", "main"),
        ({}, "buy", "", "main"),
    ],
    ids=["a position", "a position of another book", "the main book's first", "nothing held"],
)
def test_a_ticket_that_closes_asks_for_what_is_held(client: Client, desk: Desk, bought: dict[str, str], side: str, quantity: str, book: str) -> None:
    book_get_or_create(portfolio_id=desk.portfolio.pk, name="swing", recorded_at=clock.now())
    for name, shares in bought.items():
        desk.submit(quantity=shares, book=name)
    response = client.get(f"/trade?portfolio={desk.portfolio.pk}&close=aapl")
    given = response.context["given"]
    assert (response.context["side"], given["symbol"], given["quantity"], given["book"]) == (side, "AAPL", quantity, book)
    assert f'<option value="{book}" data-portfolio="{desk.portfolio.pk}" selected>' in response.content.decode()


def test_lots_show_what_each_has_gained_at_the_last_price(client: Client, desk: Desk) -> None:
    desk.submit(quantity="10")
    quote("AAPL", "110")
    html = client.get(f"/portfolios/{desk.portfolio.pk}?tab=lots").content.decode()
    assert 'data-times="10.000000"' in html
    assert "+$98.50" in html  # bought at 100.05 with a fee of 1: 10 x (110 - 100.15)
