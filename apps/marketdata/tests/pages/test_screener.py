"""The screener's page and endpoints."""

from datetime import date

import numpy as np
import pytest
from django.test import Client
from rest_framework.test import APIClient

from apps.core.models import User
from apps.core.roles import Role
from apps.core.tests.factories import UserFactory
from apps.marketdata.models import Screen
from apps.marketdata.tests.factories import make_series, store_series

pytestmark = pytest.mark.django_db
WHEN = {"date": "2012-05-24"}


@pytest.fixture
def user() -> User:
    store_series(
        make_series("UP", np.linspace(50, 100, 100)),
        make_series("DOWN", np.linspace(100, 50, 100)),
        make_series("NEW", [10.0] * 5, start=date(2012, 5, 18)),
    )
    return UserFactory(role=Role.TRADER)


@pytest.fixture
def client(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def rest(user: User) -> APIClient:
    client = APIClient()
    client.force_authenticate(user)
    return client


class TestPage:
    def test_it_begins_with_examples(self, client: Client, user: User) -> None:
        html = client.get("/screener").content.decode()
        assert "Nothing asked yet" in html
        assert "rsi(14) &lt; 30 and close &gt; sma(200)" in html

    def test_a_result_says_date_and_coverage_and_links(self, client: Client) -> None:
        html = client.get("/screener", {"query": "close > sma(20)", **WHEN}).content.decode()
        assert "1 match<" in html
        assert "2012-05-24" in html
        assert "scored 2 of 3; 1 without enough bars: NEW" in html
        assert 'href="/instruments/UP"' in html

    @pytest.mark.parametrize(
        ("order", "first"), [({"sort": "close"}, "NEW"), ({"sort": "close", "order": "desc"}, "UP"), ({}, "DOWN"), ({"order": "desc"}, "UP")]
    )
    def test_it_is_sorted_by_the_column_asked_for(self, client: Client, order: dict, first: str) -> None:
        html = client.get("/screener", {"query": "close > 0", **WHEN, **order}).content.decode()
        assert html.index(f'data-key="{first}"') == min(html.index(f'data-key="{one}"') for one in ("UP", "DOWN", "NEW"))
        assert html.count("aria-sort") == 1

    def test_csv(self, client: Client) -> None:
        text = client.get("/screener", {"query": "close > 0", "format": "csv", **WHEN}).content.decode("utf-8-sig")
        assert text.splitlines() == ["symbol,name,close", "DOWN,DOWN Incorporated,50.0", "NEW,NEW Incorporated,10.0", "UP,UP Incorporated,100.0"]

    @pytest.mark.parametrize(
        ("fields", "said"),
        [
            ({"query": "close > smaa(3)"}, "position 9"),
            ({"query": "close > 1", "date": "yesterday"}, "no date"),
            ({"query": "close > 1", "universe": "bonds"}, "bonds"),
        ],
    )
    def test_a_fault_is_shown_at_the_query(self, client: Client, fields: dict, said: str) -> None:
        answer = client.get("/screener", fields)
        assert answer.status_code == 400
        assert said in answer.content.decode()
        assert 'id="q-error"' in answer.content.decode()

    def test_a_query_is_saved_shared_and_deleted(self, client: Client) -> None:
        html = client.post("/screener", {"action": "save", "name": "mine", "query": "close > 1"}, follow=True).content.decode()
        assert "mine is saved" in html
        made = Screen.objects.get()
        client.post("/screener", {"action": "share", "screen": made.pk})
        made.refresh_from_db()
        assert made.shared
        assert "Nothing was changed" in client.post("/screener", {"action": "save", "name": "mine", "query": "close >"}, follow=True).content.decode()
        client.post("/screener", {"action": "delete", "screen": made.pk})
        assert not Screen.objects.exists()

    def test_it_does_not_ask_the_database_too_often(self, client: Client, django_assert_max_num_queries) -> None:
        address = {"query": "close > sma(20) and factor.momentum > 0", **WHEN}
        client.get("/screener", address)
        with django_assert_max_num_queries(24):
            assert client.get("/screener", address).status_code == 200


class TestRest:
    def test_run(self, rest: APIClient) -> None:
        answer = rest.post("/api/v1/screens/run/", {"query": "Close > SMA(20)", **WHEN}, format="json").json()
        assert (answer["query"], answer["date"], answer["universe"], answer["scored"], answer["matched"]) == (
            "close > sma(20)",
            "2012-05-24",
            3,
            2,
            1,
        )
        assert answer["results"][0]["symbol"] == "UP"
        assert set(answer["results"][0]["values"]) == set(answer["columns"]) == {"close", "sma(20)"}
        assert answer["missing"] == [{"reason": "without enough bars", "symbols": ["NEW"]}]

    @pytest.mark.parametrize(
        ("body", "said"),
        [({"query": "close >"}, "position 8"), ({"query": "close > 1", "universe": "x"}, "universe"), ({}, "query"), ({"q": 1}, "q")],
    )
    def test_bad_input_is_named(self, rest: APIClient, body: dict, said: str) -> None:
        answer = rest.post("/api/v1/screens/run/", body, format="json")
        assert answer.status_code == 400
        assert said in answer.content.decode()

    def test_saved_queries(self, rest: APIClient) -> None:
        made = rest.post("/api/v1/screens/", {"name": "mine", "query": "close > 1"}, format="json")
        assert made.status_code == 201
        assert rest.patch(made["Location"], {"shared": True}, format="json").json()["shared"]
        other = APIClient()
        other.force_authenticate(UserFactory())
        assert [row["own"] for row in other.get("/api/v1/screens/").json()] == [False]
        assert other.delete(made["Location"]).status_code == 403
        assert rest.patch(made["Location"], {"query": "close"}, format="json").status_code == 400
        assert rest.delete(made["Location"]).status_code == 204
        assert rest.get(made["Location"]).status_code == 404
        assert APIClient().get("/api/v1/screens/").status_code == 401
