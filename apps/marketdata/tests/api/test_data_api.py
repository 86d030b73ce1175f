"""POST data/update and GET data/status."""

from datetime import UTC, date, datetime
from uuid import uuid4

import pytest
from rest_framework.test import APIClient

from apps.core.models import JobRun, User
from apps.core.roles import Role
from apps.core.tests.factories import UserFactory
from apps.marketdata.models import Bar, FactorScore, FeedHealth, FeedState, Universe
from apps.marketdata.services.updates import UpdateRequest, data_update
from apps.marketdata.services.vendors import vendors_synchronise
from apps.marketdata.tasks import update
from apps.marketdata.tests.factories import RECORDED_AT, InstrumentFactory, make_series, store_series
from apps.marketdata.tests.vendors import vendor_server

pytestmark = pytest.mark.django_db
BODY = {"provider": "alpaca", "symbols": ["AAPL"], "start": "2020-08-03", "end": "2020-09-15"}


@pytest.fixture(autouse=True)
def vendors() -> None:
    vendors_synchronise()
    InstrumentFactory(symbol="AAPL")


def client_of(role: Role) -> APIClient:
    client = APIClient()
    client.force_authenticate(UserFactory(role=role))
    return client


def post(client: APIClient, body: dict, key: str = ""):
    return client.post("/api/v1/data/update/", body, format="json", headers={"Idempotency-Key": key or str(uuid4())})


class TestUpdate:
    @pytest.mark.django_db(transaction=True)
    def test_starts_a_job_that_fetches_the_bars_and_scores_the_factors(self, settings) -> None:
        client = client_of(Role.OPERATOR)
        with vendor_server("alpaca") as server:
            settings.VENDORS = server.settings
            answer = post(client, BODY)
            job_id = answer.json()["job_id"]
            assert (answer.status_code, answer.json()) == (202, {"status": "started", "job_id": job_id})
            assert answer["Location"] == f"/api/v1/jobs/{job_id}/"
            update.apply(kwargs={"job_run_id": int(job_id)})
            update.apply(kwargs={"job_run_id": int(job_id)})
        job = client.get(answer["Location"]).json()
        assert (job["state"], job["result"]["inserted"], job["error"]) == ("succeeded", 31, "")
        assert [(item["universe"], item["members"]) for item in job["result"]["factors"]] == [("stock", 1)]
        assert Bar.objects.count() == 31

    def test_the_same_key_is_the_same_job(self) -> None:
        client, key = client_of(Role.QUANT), str(uuid4())
        first, again = post(client, BODY, key), post(client, BODY, key)
        assert (again.json(), again["Idempotent-Replayed"], again["Location"]) == (first.json(), "true", first["Location"])
        assert JobRun.objects.count() == 1

    def test_an_empty_body_means_all_that_is_missing(self) -> None:
        assert post(client_of(Role.OPERATOR), {}).status_code == 202
        assert {name: JobRun.objects.get().parameters[name] for name in ("provider", "symbols", "timeframe", "start")} == {
            "provider": "auto",
            "symbols": [],
            "timeframe": "1d",
            "start": None,
        }

    def test_without_symbols_everything_that_is_traded_or_scored_is_fetched(self, settings) -> None:
        InstrumentFactory(symbol="SPY", asset_class="etf", tradable=False)
        InstrumentFactory(symbol="BTC-USD", asset_class="crypto", calendar="24/7")
        InstrumentFactory(symbol="^VIX", asset_class="index", tradable=False)
        InstrumentFactory(symbol="GONE", asset_class="etf", tradable=False, delisted_on=date(2020, 9, 1))
        InstrumentFactory(symbol="NEXT", listed_on=date(2021, 1, 4))
        with vendor_server("alpaca") as server:
            settings.VENDORS = server.settings
            report = data_update(request=UpdateRequest(provider="alpaca"), clock=lambda: datetime(2020, 9, 16, tzinfo=UTC))
        assert [item.symbol for item in report.bars.symbols] == ["AAPL", "BTC-USD", "SPY"]

    @pytest.mark.parametrize(
        ("body", "status", "pointer"),
        [
            ({**BODY, "provider": "acme"}, 404, "/provider"),
            ({**BODY, "symbols": ["ZZZ"]}, 404, "/symbols"),
            ({**BODY, "timeframe": "2d"}, 400, "/timeframe"),
            ({**BODY, "end": "2020-08-01"}, 400, "/start"),
            ({**BODY, "start": "2999-01-01", "end": None}, 400, "/start"),
            ({**BODY, "symbol": "AAPL"}, 400, "/symbol"),
        ],
    )
    def test_bad_input_is_named_and_starts_nothing(self, body: dict, status: int, pointer: str) -> None:
        answer = post(client_of(Role.OPERATOR), body)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (status, pointer)
        assert not JobRun.objects.exists()

    def test_only_for_operators_and_quants_and_with_a_key(self) -> None:
        assert post(APIClient(), BODY).status_code == 401
        assert post(client_of(Role.TRADER), BODY).status_code == 403
        assert client_of(Role.OPERATOR).post("/api/v1/data/update/", BODY, format="json").status_code == 400
        assert not JobRun.objects.exists()


class TestStatus:
    def test_of_a_desk_without_data(self) -> None:
        answer = client_of(Role.TRADER).get("/api/v1/data/status/").json()
        assert (answer["latest_price_date"], answer["days_old"], answer["num_etfs"], answer["latest_factor_date"]) == (None, None, 0, None)
        assert (answer["stale"], answer["stale_symbols"], answer["feed"]) == (1, ["AAPL"], "none")
        assert answer["live_feeds"] == []

    def test_live_feeds_are_told(self) -> None:
        at = datetime.now(UTC)
        FeedHealth.objects.create(
            instance="a", feed="live", provider="coinbase", host="h", process=7, started_at=at, updated_at=at, counters={"accepted": 5}, shards=[0, 1]
        )
        (feed,) = client_of(Role.TRADER).get("/api/v1/data/status/").json()["live_feeds"]
        assert (feed["feed"], feed["state"], feed["shards"], feed["counters"]) == ("live", "running", [0, 1], {"accepted": 5})
        assert feed["last_tick_age_seconds"] is None

    def test_by_the_markets_time(self) -> None:
        InstrumentFactory(symbol="SPY", asset_class="etf")
        store_series(make_series("AAPL", [1.0, 2.0, 3.0, 4.0]), make_series("SPY", [1.0, 2.0]))
        FeedState.objects.create(
            name="replay", mode="replay", market_time=datetime(2012, 1, 5, 22, tzinfo=UTC), session=date(2012, 1, 5), updated_at=datetime.now(UTC)
        )
        for day in (4, 6):
            scores = dict.fromkeys(("momentum", "quality", "value", "volatility", "composite"), 0.5)
            others = {"rank": 1, "proxies": 0, "missing": 0, "run_id": 1, "recorded_at": RECORDED_AT}
            FactorScore.objects.create(universe=Universe.ETF, instrument_id=1, ts=datetime(2012, 1, day, tzinfo=UTC), **scores, **others)
        answer = client_of(Role.TRADER).get("/api/v1/data/status/").json()
        assert (answer["latest_price_date"], answer["days_old"], answer["num_etfs"]) == ("2012-01-05", 0, 1)  # not what the replay has yet to show
        assert (answer["num_instruments"], answer["stale_symbols"], answer["feed"], answer["feed_stopped"]) == (2, ["SPY"], "replay", False)
        assert answer["market_time"] == "2012-01-05T22:00:00Z"
        assert answer["latest_factor_date"] == "2012-01-04"

    def test_bad_parameters_and_strangers(self) -> None:
        assert client_of(Role.TRADER).get("/api/v1/data/status/?when=now").status_code == 400
        assert APIClient().get("/api/v1/data/status/").status_code == 401


def test_schema_describes_the_endpoints() -> None:
    client = APIClient()
    client.force_authenticate(User.objects.create_user("tim"))
    paths = client.get("/api/schema/?format=json").json()["paths"]
    assert {"/api/v1/data/update/", "/api/v1/data/status/", "/api/v1/data/vendors/"} <= set(paths)
    assert "Idempotency-Key" in [item["name"] for item in paths["/api/v1/data/update/"]["post"]["parameters"]]
