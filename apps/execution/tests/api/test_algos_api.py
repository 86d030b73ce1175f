"""Parent orders, brackets, OCO pairs and routing decisions over REST."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from rest_framework.test import APIClient

from apps.core import clock
from apps.core.roles import Role
from apps.execution.api.algos import AlgoDetailSerializer, AlgoSerializer, GroupSerializer
from apps.execution.models import AlgoOrder, OrderGroup, Venue
from apps.execution.tests.factories import make_limits, make_user, quote
from apps.marketdata.models import FeedState
from apps.risk.services.state import trading_halt

OPEN = datetime(2024, 7, 2, 13, 30, tzinfo=UTC)


@pytest.fixture
def client(desk):
    FeedState.objects.create(name="test", mode="replay", market_time=OPEN, session=date(2024, 7, 2), updated_at=clock.now())
    quote("AAPL", "100", market_time=OPEN)
    client = APIClient()
    client.force_authenticate(desk.trader)
    return client


def post(client, path, data, key=None):
    return client.post(f"/api/v1/{path}", data, format="json", headers={"Idempotency-Key": key or str(uuid4())})


def twap(desk, **fields):
    return {
        "portfolio_id": desk.portfolio.pk,
        "symbol": "AAPL",
        "side": "buy",
        "quantity": "600",
        "algo": "twap",
        "parameters": {"slices": 6},
        **fields,
    }


def bracket(desk, **fields):
    body = {"portfolio_id": desk.portfolio.pk, "symbol": "AAPL", "side": "buy", "quantity": "10", "take_profit": "110", "stop_loss": "95"}
    return {**body, **fields}


def pointers(response):
    return [error["pointer"] for error in response.json()["errors"]]


class TestAlgos:
    def test_a_parent_is_made_listed_read_and_cancelled(self, desk, client):
        key = str(uuid4())
        made = post(client, "algos/", twap(desk, note="hello"), key)
        assert made.status_code == 201
        content = made.json()
        assert set(content) == set(AlgoSerializer().fields)
        assert (content["status"], content["filled_quantity"], content["progress"], content["note"]) == ("working", "100", "0.1667", "hello")
        assert post(client, "algos/", twap(desk, note="hello"), key)["Idempotent-Replayed"] == "true"
        listed = client.get("/api/v1/algos/", {"status": "working", "symbol": "AAPL"}).json()["results"]
        assert [row["id"] for row in listed] == [content["id"]]
        detail = client.get(made["Location"]).json()
        assert set(detail) == set(AlgoDetailSerializer().fields)
        assert (len(detail["schedule"]), len(detail["orders"]), detail["routing"]) == (6, 1, None)
        assert (detail["orders"][0]["algo_id"], detail["orders"][0]["slice"]) == (content["id"], 0)
        cancelled = post(client, f"algos/{content['id']}/cancel/", {"reason": "enough"})
        assert (cancelled.json()["status"], cancelled.json()["reason"]) == ("cancelled", "enough")
        assert post(client, f"algos/{content['id']}/cancel/", {}).status_code == 409

    @pytest.mark.parametrize(
        ("change", "pointer"),
        [
            ({"parameters": {"slices": 0}}, "/parameters/slices"),
            ({"algo": "magic"}, "/algo"),
            ({"algo": "iceberg", "parameters": {"display": "100"}}, "/limit_price"),
            ({"participation_cap": "0.9"}, "/participation_cap"),
            ({"end_at": "2024-07-02T12:00:00Z"}, "/end_at"),
            ({"order_type": "limit"}, "/order_type"),
        ],
    )
    def test_a_wrong_field_is_named_and_nothing_is_stored(self, desk, client, change, pointer):
        response = post(client, "algos/", twap(desk, **change))
        assert response.status_code == 400
        assert pointer in pointers(response)
        assert not AlgoOrder.objects.exists()

    def test_a_denied_parent_is_answered_with_its_checks(self, desk, client):
        make_limits(desk.portfolio, at=clock.now() + timedelta(seconds=59), position_size="500")
        response = post(client, "algos/", twap(desk))
        assert (response.status_code, response.json()["code"]) == (422, "ORDER_DENIED")
        assert response.json()["algo"]["status"] == "denied"
        trading_halt(portfolio_id=desk.portfolio.pk, user=desk.trader, reason="test", at=clock.now())
        assert post(client, "algos/", twap(desk)).status_code == 423

    def test_others_see_nothing(self, desk, client):
        made = post(client, "algos/", twap(desk)).json()
        client.force_authenticate(make_user("stranger", Role.TRADER))
        assert client.get(f"/api/v1/algos/{made['id']}/").status_code == 404
        assert client.get("/api/v1/algos/").json()["results"] == []
        assert post(client, f"algos/{made['id']}/cancel/", {}).status_code == 404


class TestBrackets:
    def test_a_bracket_is_made_read_and_cancelled(self, desk, client):
        made = post(client, "brackets/", bracket(desk))
        assert made.status_code == 201
        assert set(made.json()) == set(GroupSerializer().fields)
        assert [(one["group_role"], one["status"]) for one in made.json()["orders"]] == [
            ("entry", "filled"),
            ("stop_loss", "new"),
            ("take_profit", "new"),
        ]
        assert client.get(made["Location"]).json() == made.json()
        assert len(client.get("/api/v1/brackets/", {"kind": "bracket"}).json()["results"]) == 1
        cancelled = post(client, f"brackets/{made.json()['id']}/cancel/", {}).json()
        assert [one["status"] for one in cancelled["orders"]] == ["filled", "canceled", "canceled"]

    def test_an_oco_pair_of_what_is_held(self, desk, client):
        desk.submit()
        made = post(client, "brackets/", bracket(desk, kind="oco", side="sell"))
        assert [(one["group_role"], one["status"]) for one in made.json()["orders"]] == [("stop_loss", "new"), ("take_profit", "new")]

    def test_prices_on_the_wrong_side_are_named(self, desk, client):
        response = post(client, "brackets/", bracket(desk, take_profit="90"))
        assert (response.status_code, pointers(response)) == (400, ["/take_profit"])
        assert not OrderGroup.objects.exists()

    def test_others_see_nothing(self, desk, client):
        made = post(client, "brackets/", bracket(desk)).json()
        client.force_authenticate(make_user("stranger", Role.TRADER))
        assert client.get(f"/api/v1/brackets/{made['id']}/").status_code == 404
        assert post(client, f"brackets/{made['id']}/cancel/", {}).status_code == 404


def test_a_routed_child_says_what_was_displayed(desk, client):
    Venue.objects.get_or_create(name="SIM-A", defaults={"taker_fee": Decimal("0.003")})
    body = twap(desk, algo="smart", parameters={}, quantity="100")
    parent = post(client, "algos/", body).json()
    assert (parent["status"], parent["filled_quantity"]) == ("done", "100")
    detail = client.get(f"/api/v1/algos/{parent['id']}/").json()
    routing = client.get(f"/api/v1/orders/{detail['orders'][0]['id']}/routing/").json()
    assert routing == detail["routing"]
    assert {"venue", "price", "size", "fee", "source"} == set(routing["quotes"][0])
    plain = desk.submit()
    assert client.get(f"/api/v1/orders/{plain.pk}/routing/").status_code == 404
