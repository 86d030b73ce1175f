"""REST of orders and trades."""

from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from rest_framework.test import APIClient

from apps.core import clock
from apps.core.roles import Role
from apps.execution.api.serializers import FillSerializer, OrderDetailSerializer, OrderSerializer, PreviewSerializer
from apps.execution.models import Order
from apps.execution.tests.factories import make_limits, make_user
from apps.portfolios.models import PortfolioRole
from apps.portfolios.selectors.holdings import holdings
from apps.portfolios.services.portfolios import membership_grant
from apps.risk.services.state import trading_halt


@pytest.fixture
def client(desk):
    client = APIClient()
    client.force_authenticate(desk.trader)
    return client


def body(desk, **fields):
    return {"portfolio_id": desk.portfolio.pk, "symbol": "AAPL", "side": "buy", "quantity": "10", **fields}


def post(client, path, data, key=None):
    return client.post(f"/api/v1/{path}", data, format="json", headers={"Idempotency-Key": key or str(uuid4())})


def fields(response):
    return [error["pointer"] for error in response.json()["errors"]]


class TestSubmit:
    @pytest.mark.parametrize("path", ["orders", "orders/"])
    def test_a_market_order_comes_back_filled(self, desk, client, path):
        response = post(client, path, body(desk, note="hello"))
        assert response.status_code == 201
        content = response.json()
        assert (content["status"], content["cumulative_quantity"], content["average_price"]) == ("filled", "10", "100.05")
        assert (content["note"], content["mode"], content["slippage_bps"]) == ("hello", "paper", "5.0")
        assert response["Location"] == f"/api/v1/orders/{content['id']}/"
        assert set(content) == set(OrderSerializer().fields)

    def test_the_same_key_is_the_same_order(self, desk, client):
        key = str(uuid4())
        first, second = (post(client, "orders/", body(desk), key) for _ in range(2))
        assert first.json() == second.json()
        assert second["Idempotent-Replayed"] == "true"
        assert post(client, "orders/", body(desk, quantity="11"), key).status_code == 422
        assert Order.objects.count() == 1

    def test_the_key_is_required(self, desk, client):
        response = client.post("/api/v1/orders/", body(desk), format="json")
        assert response.status_code == 400
        assert "Idempotency-Key" in response.json()["detail"]

    def test_a_denied_order_is_answered_with_its_checks(self, desk, client):
        make_limits(desk.portfolio, at=clock.now() + timedelta(seconds=59), position_size="5")
        response = post(client, "orders/", body(desk))
        assert response.status_code == 422
        assert response["Content-Type"] == "application/problem+json"
        content = response.json()
        assert content["code"] == "ORDER_DENIED"
        check = content["checks"][0]
        assert (check["authority"], check["code"], check["outcome"]) == ("risk", "POSITION_SIZE_LIMIT", "block")
        assert (Decimal(check["limit"]), Decimal(check["after"])) == (5, 10)
        assert Order.objects.get(pk=content["order_id"]).status == "denied"

    def test_while_trading_is_halted(self, desk, client):
        trading_halt(portfolio_id=desk.portfolio.pk, user=desk.trader, reason="test", at=clock.now())
        response = post(client, "orders/", body(desk))
        assert (response.status_code, response.json()["code"]) == (423, "HALTED")
        assert response.json()["checks"][0]["code"] == "TRADING_HALTED"

    @pytest.mark.parametrize(
        ("change", "pointer"),
        [
            ({"qty": "10"}, "/qty"),
            ({"status": "filled"}, "/status"),
            ({"quantity": "10.0000001"}, "/quantity"),
            ({"quantity": 10.5}, "/quantity"),
            ({"quantity": "-1"}, "/quantity"),
            ({"quantity": "1e2"}, "/quantity"),
            ({"side": "BUY"}, "/side"),
            ({"limit_price": "100"}, "/limit_price"),
            ({"order_type": "limit", "limit_price": "100.001"}, "/limit_price"),
            ({"client_order_id": "7"}, "/client_order_id"),
            ({"portfolio_id": "x"}, "/portfolio_id"),
        ],
    )
    def test_a_wrong_field_is_named_and_nothing_is_stored(self, desk, client, change, pointer):
        response = post(client, "orders/", body(desk, **change))
        assert response.status_code == 400
        assert pointer in fields(response)
        assert not Order.objects.exists()

    @pytest.mark.parametrize(("change", "pointer"), [({"symbol": "NONE"}, "/symbol"), ({"book": "none"}, "/book")])
    def test_what_does_not_exist(self, desk, client, change, pointer):
        response = post(client, "orders/", body(desk, **change))
        assert response.status_code == 404
        assert fields(response) == [pointer]

    def test_a_stranger_finds_no_portfolio_and_a_viewer_may_not_trade(self, desk, client):
        stranger = make_user("stranger", Role.TRADER)
        client.force_authenticate(stranger)
        assert post(client, "orders/", body(desk)).status_code == 404
        membership_grant(portfolio_id=desk.portfolio.pk, user_id=stranger.pk, role=PortfolioRole.VIEWER)
        assert post(client, "orders/", body(desk)).status_code == 403
        client.force_authenticate(None)
        assert post(client, "orders/", body(desk)).status_code == 401

    def test_few_statements(self, desk, client, django_assert_max_num_queries):
        post(client, "orders/", body(desk))
        with django_assert_max_num_queries(60):
            assert post(client, "orders/", body(desk)).status_code == 201


class TestPreview:
    def test_every_check_with_its_numbers(self, desk, client):
        response = client.post("/api/v1/orders/preview/", body(desk), format="json")
        assert response.status_code == 200
        content = response.json()
        assert set(content) == set(PreviewSerializer().fields)
        assert content["allowed"] is True
        assert (content["estimated_price"], content["position_after"]) == ("100.05", "10")
        assert {check["authority"] for check in content["checks"]} == {"risk", "compliance"}
        assert not Order.objects.exists()

    def test_unknown_fields_are_refused(self, desk, client):
        response = client.post("/api/v1/orders/preview/", body(desk, note="x"), format="json")
        assert (response.status_code, fields(response)) == (400, ["/note"])


class TestCancel:
    def test_a_working_order_is_cancelled_once(self, desk, client):
        order = desk.submit(order_type="limit", limit_price="99")
        response = post(client, f"orders/{order.pk}/cancel/", {"reason": "late"})
        assert (response.status_code, response.json()["status"], response.json()["reason"]) == (200, "canceled", "late")
        again = post(client, f"orders/{order.pk}/cancel/", {})
        assert (again.status_code, again.json()["code"]) == (409, "CONFLICT")

    def test_an_order_of_others_does_not_exist(self, desk, client):
        order = desk.submit(order_type="limit", limit_price="99")
        client.force_authenticate(make_user("stranger", Role.TRADER))
        assert post(client, f"orders/{order.pk}/cancel/", {}).status_code == 404
        assert client.get(f"/api/v1/orders/{order.pk}/").status_code == 404
        assert client.get("/api/v1/orders/").json()["results"] == []


class TestLists:
    def test_one_order_with_its_whole_life(self, desk, client):
        order = desk.submit()
        content = client.get(f"/api/v1/orders/{order.pk}/").json()
        assert set(content) == set(OrderDetailSerializer().fields)
        assert [event["kind"] for event in content["events"]] == ["pending_new", "sent", "new", "trade"]
        assert [decision["authority"] for decision in content["decisions"]] == ["risk", "compliance"]
        assert [fill["price"] for fill in content["fills"]] == ["100.05"]

    def test_filters_and_pages(self, desk, client):
        for _ in range(3):
            desk.submit(quantity="1")
        working = desk.submit(order_type="limit", limit_price="99", quantity="1")

        def ids(query):
            return [row["id"] for row in client.get(f"/api/v1/orders/?{query}").json()["results"]]

        assert ids("working=true") == [working.pk]
        assert ids("status=new") == [working.pk]
        assert len(ids("status__in=new,filled")) == 4
        assert ids("symbol=MSFT") == []
        assert len(ids(f"portfolio={desk.portfolio.pk}&symbol=AAPL")) == 4
        page = client.get("/api/v1/orders/?limit=3").json()
        assert [row["id"] for row in page["results"]] == sorted((row["id"] for row in page["results"]), reverse=True)
        assert len(client.get(page["next"]).json()["results"]) == 1

    def test_the_number_of_queries_does_not_grow_with_the_rows(self, desk, client, django_assert_max_num_queries):
        for _ in range(5):
            desk.submit(quantity="1")
        with django_assert_max_num_queries(4):
            client.get("/api/v1/orders/")
        with django_assert_max_num_queries(4):
            client.get("/api/v1/trades/")

    def test_trades(self, desk, client):
        order = desk.submit()
        (row,) = client.get(f"/api/v1/trades/?order={order.pk}&side=buy").json()["results"]
        assert set(row) == set(FillSerializer().fields)
        assert (row["symbol"], row["quantity"], row["price"], row["fee"]) == ("AAPL", "10", "100.05", "1")
        assert holdings(desk.portfolio.pk).cash == Decimal("98998.50")

    @pytest.mark.parametrize("query", ["colour=red", "status=open", "limit=501", "portfolio=x"])
    def test_a_wrong_parameter_is_refused(self, desk, client, query):
        assert client.get(f"/api/v1/orders/?{query}").status_code == 400


class TestChange:
    @pytest.fixture
    def order(self, desk, client):
        return post(client, "orders/", body(desk, order_type="limit", limit_price="90", time_in_force="gtc")).json()["id"]

    def change(self, client, order, tag, **changes):
        headers = {"Idempotency-Key": str(uuid4())} | ({} if tag is None else {"If-Match": tag})
        return client.post(f"/api/v1/orders/{order}/replace/", changes, format="json", headers=headers)

    @pytest.mark.parametrize("tag", [None, "*"])
    def test_whatever_it_is_now(self, client, order, tag):
        assert self.change(client, order, tag, limit_price="91").json()["limit_price"] == "91"

    def test_only_the_order_that_somebody_looked_at_is_changed(self, client, order):
        seen = client.get(f"/api/v1/orders/{order}/")["ETag"]
        assert self.change(client, order, seen, quantity="20").status_code == 200
        late = self.change(client, order, seen, quantity="30")
        assert (late.status_code, late.json()["code"]) == (412, "PRECONDITION_FAILED")
        assert "it is new, and 0 of 20 have traded" in late.json()["detail"]
        assert Order.objects.get(pk=order).quantity == 20
        now = client.get(f"/api/v1/orders/{order}/")["ETag"]
        assert self.change(client, order, now, quantity="30").json()["quantity"] == "30"

    def test_a_tag_of_nothing_matches_nothing(self, client, order):
        assert self.change(client, order, '"W/abc"', limit_price="91").status_code == 412
