"""Quotes, trades, depth and books over REST."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from rest_framework.test import APIClient

from apps.core.models import User
from apps.marketdata.domain.ticks import DepthSeries, TradeSeries
from apps.marketdata.domain.vendor import QuoteTick
from apps.marketdata.models import FeedState
from apps.marketdata.services.ticks import depth_store, quotes_store, trades_store
from apps.marketdata.tests.factories import RECORDED_AT, InstrumentFactory

pytestmark = pytest.mark.django_db

OPEN = datetime(2024, 1, 5, 14, 30, tzinfo=UTC)
FACTS = {"source": "venue", "recorded_at": RECORDED_AT}
RANGE = "symbol=AAA&start=2024-01-05T14:30:00Z&end=2024-01-05"


@pytest.fixture
def client() -> APIClient:
    client = APIClient()
    client.force_authenticate(User.objects.create_user("tim"))
    return client


@pytest.fixture(autouse=True)
def ticks() -> None:
    InstrumentFactory(symbol="AAA")
    seconds = np.array([0, 0, 0, 0, 1, 2])
    ts = np.datetime64(OPEN.replace(tzinfo=None), "us") + seconds.astype("timedelta64[s]")
    prices = {"price": np.array([10.0, 11, 12, 13, 14, 15]), "size": np.ones(6)}
    trades_store(trades=TradeSeries(symbol="AAA", ts=ts, sequence=np.arange(6), aggressor=np.ones(6, np.int16), **prices), **FACTS)
    quotes_store(quotes=[QuoteTick(symbol="AAA", ts=OPEN, bid=10, bid_size=1, ask=10.5, ask_size=2)], **FACTS)
    rows = slice(0, 3)
    depth_store(
        depth=DepthSeries(
            symbol="AAA",
            ts=ts[rows],
            sequence=np.array([5, 5, 6]),
            first_sequence=np.array([5, 5, 6]),
            snapshot=np.array([True, True, False]),
            side=np.array([1, -1, 1], np.int16),
            price=np.array([10.0, 10.5, 10.25]),
            size=np.array([1.0, 2.0, 3.0]),
        ),
        **FACTS,
    )


class TestTicks:
    def test_nobody_reads_without_signing_in(self) -> None:
        for path in ("quotes/", "market-trades/", "depth/", "instruments/AAA/book/"):
            assert APIClient().get(f"/api/v1/{path}?{RANGE}").status_code == 401

    def test_each_kind_has_its_columns(self, client) -> None:
        quote = client.get(f"/api/v1/quotes/?{RANGE}").json()
        assert quote["results"] == [{"ts": "2024-01-05T14:30:00Z", "sequence": 0, "bid": 10.0, "bid_size": 1.0, "ask": 10.5, "ask_size": 2.0}]
        assert quote["next"] is None
        assert client.get(f"/api/v1/depth/?{RANGE}").json()["results"][-1] == {
            "ts": "2024-01-05T14:30:00Z", "sequence": 6, "first_sequence": 6, "snapshot": False, "side": 1, "price": 10.25, "size": 3.0,
        }  # fmt: skip

    @pytest.mark.parametrize("limit", [1, 2, 3, 6])
    def test_pages_follow_one_another_also_inside_one_moment(self, client, limit) -> None:
        address, prices = f"/api/v1/market-trades/?{RANGE}&limit={limit}", []
        while address:
            page = client.get(address).json()
            prices += [row["price"] for row in page["results"]]
            address = page["next"]
        assert prices == [10, 11, 12, 13, 14, 15]

    def test_a_replay_hides_its_future(self, client) -> None:
        moment = OPEN + timedelta(seconds=1)
        FeedState.objects.create(name="replay", mode="replay", market_time=moment, session=moment.date(), updated_at=datetime.now(UTC))
        assert [row["price"] for row in client.get(f"/api/v1/market-trades/?{RANGE}").json()["results"]] == [10, 11, 12, 13, 14]
        refused = client.get("/api/v1/instruments/AAA/book/?at=2024-01-05T15:00:00Z")
        assert (refused.status_code, "in the market" in refused.json()["detail"]) == (400, True)

    @pytest.mark.parametrize(
        "query", ["symbol=AAA", f"{RANGE}&limit=5001", f"{RANGE}&cursor=-1", f"{RANGE}&sort=ts", "symbol=AAA&start=2024-01-05T14:30:00"]
    )
    def test_bad_parameters_are_refused(self, client, query) -> None:
        assert client.get(f"/api/v1/market-trades/?{query}").status_code == 400

    def test_unknown_symbols_and_sources(self, client) -> None:
        assert client.get("/api/v1/market-trades/?symbol=ZZZ&start=2024-01-05").status_code == 404
        assert client.get(f"/api/v1/market-trades/?{RANGE}&source=nobody").status_code == 404


class TestBook:
    def test_the_best_levels_at_a_moment(self, client) -> None:
        book = client.get("/api/v1/instruments/AAA/book/?at=2024-01-05T14:30:00Z&levels=1").json()
        assert (book["bids"], book["asks"]) == ([{"price": 10.25, "size": 3.0}], [{"price": 10.5, "size": 2.0}])
        assert (book["state"], book["kind"], book["source"], book["updated_at"]) == ("OK", "levels", "venue", "2024-01-05T14:30:00Z")

    def test_nothing_to_build_it_from(self, client) -> None:
        assert client.get("/api/v1/instruments/AAA/book/?at=2024-01-05T14:00:00Z").status_code == 404
        assert client.get("/api/v1/instruments/ZZZ/book/").status_code == 404
        assert client.get("/api/v1/instruments/AAA/book/?levels=0").status_code == 400
