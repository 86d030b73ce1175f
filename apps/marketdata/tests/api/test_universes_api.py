"""Universes by day: over REST, in the screener, and in a backtest's request."""

from datetime import date
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from django.test import Client
from rest_framework.test import APIClient

from apps.core.models import JobRun, User
from apps.core.roles import Role
from apps.core.tests.factories import UserFactory
from apps.marketdata.services.listings import instrument_delist, symbol_change
from apps.marketdata.services.universes import universe_import
from apps.marketdata.tests.factories import make_series, store_series

pytestmark = pytest.mark.django_db
URL = "/api/v1/universes/"
RUN = "/api/v1/screens/run/"


@pytest.fixture
def user(tmp_path: Path) -> User:
    """Of the index: GONE was delisted in 2013, LEFT left in 2013, NEW came then; OLD is called NOW since. OUT was never in it."""
    store_series(*(make_series(symbol, np.linspace(50, 100, 60)) for symbol in ("GONE", "LEFT", "NEW", "OLD", "OUT")))
    (tmp_path / "index.csv").write_text("symbol,date_added,date_removed\nGONE,,\nLEFT,,2013-01-02\nNEW,2013-01-02,\nOLD,,\n")
    universe_import(name="index", file=tmp_path / "index.csv")
    instrument_delist(symbol="GONE", on=date(2013, 6, 3))
    symbol_change(symbol="OLD", to="NOW", on=date(2013, 6, 3))
    return UserFactory(role=Role.QUANT)


@pytest.fixture
def rest(user: User) -> APIClient:
    client = APIClient()
    client.force_authenticate(user)
    return client


def members(rest: APIClient, name: str, on: str) -> list[tuple[str, str]]:
    answer = rest.get(f"{URL}{name}/?on={on}").json()
    assert (answer["name"], answer["on"]) == (name, on)
    return [(one["symbol"], one["instrument"]) for one in answer["members"]]


def test_all_are_named(rest: APIClient) -> None:
    found = rest.get(URL).json()
    assert found[0] == {"name": "index", "kind": "imported"}
    assert {"name": "stock", "kind": "asset_class"} in found
    assert APIClient().get(URL).status_code == 401


def test_members_are_those_of_the_day(rest: APIClient) -> None:
    assert members(rest, "index", "2012-03-01") == [("GONE", "GONE"), ("LEFT", "LEFT"), ("OLD", "NOW")]
    assert members(rest, "index", "2013-06-03") == [("NEW", "NEW"), ("NOW", "NOW")]
    assert [symbol for symbol, _ in members(rest, "stock", "2012-03-01")] == ["GONE", "LEFT", "NEW", "OLD", "OUT"]
    assert [symbol for symbol, _ in members(rest, "stock", "2013-06-03")] == ["LEFT", "NEW", "NOW", "OUT"]
    assert "GONE" not in str(rest.get(f"{URL}index/").json())  # the market's day


@pytest.mark.parametrize(
    ("path", "status", "said"), [("nasdaq/", 404, "index"), ("index/?on=soon", 400, "on"), ("index/?day=2012-03-01", 400, "day")]
)
def test_bad_input_is_named(rest: APIClient, path: str, status: int, said: str) -> None:
    answer = rest.get(URL + path)
    assert (answer.status_code, said in answer.content.decode()) == (status, True)


def test_a_screen_looks_at_the_members_of_its_day(rest: APIClient, user: User) -> None:
    body = {"query": "close > 1", "date": "2012-03-01", "universe": "index"}
    found = rest.post(RUN, body, format="json").json()
    assert (found["universe"], [row["symbol"] for row in found["results"]]) == (3, ["GONE", "LEFT", "NOW"])
    assert rest.post(RUN, {**body, "universe": "stock"}, format="json").json()["universe"] == 5
    assert "index" in rest.post(RUN, {**body, "universe": "nasdaq"}, format="json").content.decode()
    page = Client()
    page.force_login(user)
    html = page.get("/screener", body).content.decode()
    assert '<option value="index" selected>index</option>' in html
    assert 'href="/instruments/GONE"' in html
    assert 'href="/instruments/NEW"' not in html


def test_a_backtest_runs_on_the_members_of_its_first_day(rest: APIClient) -> None:
    body = {"strategy": "sma_cross", "start": "2012-01-03", "end": "2012-03-01", "parameters": {"fast": 2, "slow": 5}}

    def post(**changes: object) -> tuple[int, str]:
        answer = rest.post("/api/v1/backtests/", {**body, **changes}, format="json", headers={"Idempotency-Key": str(uuid4())})
        return answer.status_code, answer.content.decode()

    assert post(universe="index")[0] == 202
    parameters = JobRun.objects.get().parameters
    assert (parameters["symbols"], parameters["universe"]) == (["GONE", "LEFT", "NOW"], "index")
    for changes, said in (({}, "/symbols"), ({"universe": "index", "symbols": ["NEW"]}, "/universe"), ({"universe": "nasdaq"}, "/universe")):
        status, text = post(**changes)
        assert (status, said in text) == (400, True), text
