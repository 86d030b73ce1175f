"""Instruments and bars over REST."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from rest_framework.test import APIClient

from apps.core.models import User
from apps.marketdata.domain.vendor import ActionKind, ActionRecord
from apps.marketdata.models import FeedState, Instrument
from apps.marketdata.services.corporate_actions import actions_store
from apps.marketdata.tests.factories import RECORDED_AT, InstrumentFactory, make_series, store_series

pytestmark = pytest.mark.django_db


@pytest.fixture
def client() -> APIClient:
    client = APIClient()
    client.force_authenticate(User.objects.create_user("tim"))
    return client


@pytest.fixture
def bars() -> None:
    store_series(make_series("AAA", [10.0, 11.0, 12.0, 13.0]))


def test_nobody_reads_without_signing_in() -> None:
    assert APIClient().get("/api/v1/instruments/").status_code == 401
    assert APIClient().get("/api/v1/bars/?symbol=AAA").status_code == 401


class TestInstruments:
    def test_list_is_a_page_of_all_by_symbol(self, client) -> None:
        InstrumentFactory(symbol="BBB")
        InstrumentFactory(symbol="AAA", tick_size="0.05")
        answer = client.get("/api/v1/instruments/").json()
        assert [row["symbol"] for row in answer["results"]] == ["AAA", "BBB"]
        assert answer["results"][0]["tick_size"] == "0.050000"

    def test_search_puts_the_symbol_itself_first(self, client) -> None:
        for symbol, name in (("AB", "Zeta"), ("B", "Beta"), ("BC", "Gamma"), ("X", "Albion")):
            InstrumentFactory(symbol=symbol, name=name)
        answer = client.get("/api/v1/instruments/?search=b").json()
        assert [row["symbol"] for row in answer["results"]] == ["B", "BC", "AB", "X"]

    def test_filters(self, client) -> None:
        InstrumentFactory(symbol="AAA", asset_class="etf")
        InstrumentFactory(symbol="BBB", tradable=False)
        assert [row["symbol"] for row in client.get("/api/v1/instruments/?asset_class=etf").json()["results"]] == ["AAA"]
        assert [row["symbol"] for row in client.get("/api/v1/instruments/?tradable=false").json()["results"]] == ["BBB"]

    @pytest.mark.parametrize("query", ["serch=x", "asset_class=bond", "limit=0"])
    def test_bad_parameters_are_refused_and_named(self, client, query) -> None:
        answer = client.get(f"/api/v1/instruments/?{query}")
        assert answer.status_code == 400
        assert query.split("=")[0] in str(answer.json()["errors"])

    def test_detail(self, client) -> None:
        InstrumentFactory(symbol="BRK.B")
        assert client.get("/api/v1/instruments/BRK.B/").json()["symbol"] == "BRK.B"
        answer = client.get("/api/v1/instruments/ZZZ/")
        assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")
        assert "ZZZ" in answer.json()["detail"]


class TestBars:
    def test_bars_are_objects_of_numbers_in_time_order(self, client, bars) -> None:
        answer = client.get("/api/v1/bars/?symbol=AAA&start=2012-01-04&end=2012-01-05").json()
        assert [(row["ts"], row["close"]) for row in answer["results"]] == [("2012-01-04T00:00:00Z", 11.0), ("2012-01-05T00:00:00Z", 12.0)]
        assert answer["next"] is None
        assert answer["timeframe"] == "1d"

    def test_limit_gives_the_newest_and_a_link_to_older_ones(self, client, bars) -> None:
        answer = client.get("/api/v1/bars/?symbol=AAA&limit=3").json()
        assert [row["close"] for row in answer["results"]] == [11.0, 12.0, 13.0]
        older = client.get(answer["next"]).json()
        assert [row["close"] for row in older["results"]] == [10.0]
        assert older["next"] is None

    def test_what_lies_in_the_replays_future_is_not_shown(self, client, bars) -> None:
        FeedState.objects.create(
            name="replay", mode="replay", market_time=datetime(2012, 1, 5, 20, 59, tzinfo=UTC), session=date(2012, 1, 5), updated_at=datetime.now(UTC)
        )
        for query in ("", "&end=2012-01-31", "&end=2012-01-31T00:00:00Z"):
            answer = client.get(f"/api/v1/bars/?symbol=AAA{query}").json()
            assert [row["close"] for row in answer["results"]] == [10.0, 11.0]
        assert [row["close"] for row in client.get("/api/v1/bars/?symbol=AAA&end=2012-01-03").json()["results"]] == [10.0]

    def test_adjusted_prices_and_their_pages_fit_together(self, client) -> None:
        store_series(make_series("AAA", [100.0, 102.0, 51.5, 52.0]))
        split = ActionRecord(symbol="AAA", kind=ActionKind.SPLIT, ex_date=date(2012, 1, 5), value=Decimal(2))
        actions_store(records=[split], source="test", recorded_at=RECORDED_AT)
        answer = client.get("/api/v1/bars/?symbol=AAA&adjustment=split&limit=2").json()
        assert [row["close"] for row in answer["results"]] == [51.5, 52.0]
        assert (answer["adjustment"], answer["adjusted_to"]) == ("split", "2012-01-06")
        assert [row["close"] for row in client.get(answer["next"]).json()["results"]] == [50.0, 51.0]
        alone = client.get("/api/v1/bars/?symbol=AAA&adjustment=split&end=2012-01-04").json()
        assert [row["close"] for row in alone["results"]] == [100.0, 102.0]

    def test_as_of_shows_what_was_known(self, client, bars) -> None:
        store_series(make_series("AAA", [10.0, 11.0, 12.0, 13.5]), recorded_at=datetime(2026, 2, 1, tzinfo=UTC))
        for query, last in (("", 13.5), ("&as_of=2026-01-31T00:00:00Z", 13.0)):
            assert client.get(f"/api/v1/bars/?symbol=AAA{query}").json()["results"][-1]["close"] == last

    @pytest.mark.parametrize(
        ("query", "name"),
        [
            ("", "symbol"),
            ("symbol=AAA&timeframe=2d", "timeframe"),
            ("symbol=AAA&start=yesterday", "start"),
            ("symbol=AAA&end=2012-01-03T10:00:00", "end"),
            ("symbol=AAA&limit=100000", "limit"),
            ("symbol=AAA&page=2", "page"),
            ("symbol=AAA&adjustment=full", "adjustment"),
            ("symbol=AAA&as_of=2026-01-01", "as_of"),
            ("symbol=AAA&as_of=2026-01-01T00:00:00", "as_of"),
            ("symbol=AAA&adjusted_to=soon", "adjusted_to"),
        ],
    )
    def test_bad_parameters_are_refused_and_named(self, client, bars, query, name) -> None:
        answer = client.get(f"/api/v1/bars/?{query}")
        assert answer.status_code == 400
        assert name in str(answer.json()["errors"])

    def test_unknown_symbol(self, client) -> None:
        assert client.get("/api/v1/bars/?symbol=ZZZ").status_code == 404
        assert not Instrument.objects.exists()


class TestActions:
    @pytest.fixture(autouse=True)
    def actions(self, bars) -> None:
        for value, recorded_at in (("0.5", RECORDED_AT), ("0.45", datetime(2026, 2, 1, tzinfo=UTC))):
            record = ActionRecord(symbol="AAA", kind=ActionKind.DIVIDEND, ex_date=date(2012, 1, 5), value=Decimal(value))
            actions_store(records=[record], source="test", recorded_at=recorded_at)

    def test_the_newest_revision_of_each(self, client) -> None:
        answer = client.get("/api/v1/instruments/AAA/actions/").json()
        assert [(row["kind"], row["ex_date"], row["value"], row["status"], row["revision"]) for row in answer["results"]] == [
            ("dividend", "2012-01-05", "0.4500000000", "applied", 1)
        ]
        earlier = client.get("/api/v1/instruments/AAA/actions/?as_of=2026-01-15T00:00:00Z").json()
        assert [row["value"] for row in earlier["results"]] == ["0.5000000000"]

    def test_bad_input(self, client) -> None:
        assert client.get("/api/v1/instruments/ZZZ/actions/").status_code == 404
        assert client.get("/api/v1/instruments/AAA/actions/?as_of=yesterday").status_code == 400
        assert APIClient().get("/api/v1/instruments/AAA/actions/").status_code == 401


def test_schema_describes_the_endpoints(client) -> None:
    paths = client.get("/api/schema/?format=json").json()["paths"]
    assert {item["name"] for item in paths["/api/v1/bars/"]["get"]["parameters"]} >= {"symbol", "timeframe", "start", "end", "limit"}
    assert {item["name"] for item in paths["/api/v1/instruments/"]["get"]["parameters"]} >= {"search", "asset_class", "tradable"}
