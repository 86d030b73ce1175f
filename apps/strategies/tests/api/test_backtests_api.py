"""REST of strategies and backtests."""

from uuid import uuid4

import pytest
from django.contrib.auth.models import AnonymousUser
from rest_framework.test import APIClient

from apps.core.models import JobRun
from apps.core.roles import Role
from apps.strategies.models import BacktestRun
from apps.strategies.tasks import backtest_job
from apps.strategies.tests.factories import make_run, person, store_bars

pytestmark = pytest.mark.django_db
BODY = {"strategy": "sma_cross", "symbols": ["AAPL", "IBM"], "start": "2012-01-03", "end": "2013-12-31", "parameters": {"fast": 5}, "commission": "1"}


@pytest.fixture
def bars():
    store_bars("AAPL", "IBM")


def client_of(user):
    client = APIClient()
    if not isinstance(user, AnonymousUser):
        client.force_authenticate(user)
    return client


def post(client, body, key=None, path="/api/v1/backtests/"):
    return client.post(path, body, format="json", headers={"Idempotency-Key": key or str(uuid4())})


class TestList:
    def test_shows_runs_newest_first_without_their_series(self, bars):
        user = person(Role.QUANT)
        older, newer = make_run(user=user), make_run(symbols=["IBM"], strategy="momentum")
        for path in ("/api/v1/backtests/", "/api/v1/backtests", "/api/backtests"):
            results = client_of(person(Role.TRADER)).get(path).json()["results"]
            assert [row["id"] for row in results] == [newer.pk, older.pk]
        first = results[1]
        assert {"id", "name", "period", "status", "results", "dataset_fingerprint", "code_version"} <= set(first)
        assert (first["name"], first["period"], first["requested_by"]) == ("sma_cross", "2012-01-03 to 2013-12-31", user.username)
        assert not {"equity", "equity_curve", "trades"} & set(first)

    def test_filters_and_refuses_filters_that_it_does_not_know(self, bars):
        make_run()
        client = client_of(person(Role.QUANT))
        assert client.get("/api/v1/backtests/?strategy=macd").json()["results"] == []
        assert len(client.get("/api/v1/backtests/?strategy=sma_cross&engine=event").json()["results"]) == 1
        assert client.get("/api/v1/backtests/?strat=macd").status_code == 400

    def test_asks_the_same_number_of_questions_for_many_runs(self, bars, django_assert_max_num_queries):
        client = client_of(person(Role.QUANT))
        for _ in range(3):
            make_run()
        with django_assert_max_num_queries(4):
            client.get("/api/v1/backtests/")


class TestDetail:
    def test_shows_everything_of_one_run(self, bars):
        run = make_run()
        body = client_of(person(Role.QUANT)).get(f"/api/v1/backtests/{run.pk}/").json()
        assert body["results"]["bar_count"] == len(body["equity_curve"]) == 400
        assert body["final_value"] == str(run.final_value)
        assert set(body["trades"][0]) >= {"entry_time", "exit_time", "entry_price", "exit_price", "quantity", "pnl", "return", "holding_period"}

    def test_is_404_for_no_run(self):
        assert client_of(person(Role.QUANT)).get("/api/v1/backtests/77/").status_code == 404


class TestPost:
    def test_starts_a_job_that_makes_the_run(self, bars):
        client = client_of(person(Role.QUANT))
        response = post(client, BODY)
        assert response.status_code == 202
        assert response["Location"] == f"/api/v1/jobs/{response.json()['id']}/"
        assert response.json()["state"] == "queued"
        backtest_job(job_run_id=response.json()["id"])
        job = client.get(response["Location"]).json()
        assert job["state"] == "succeeded"
        run = client.get(f"/api/v1/backtests/{job['result']['backtest_id']}/").json()
        assert (run["parameters"], run["configuration"]["commission"]) == ({"fast": 5, "slow": 30}, "1.0000")

    def test_with_the_same_key_is_the_same_job(self, bars):
        client, key = client_of(person(Role.QUANT)), str(uuid4())
        first, second = post(client, BODY, key), post(client, BODY, key)
        assert first.json() == second.json()
        assert second["Idempotent-Replayed"] == "true"
        assert second["Location"] == first["Location"]
        assert post(client, {**BODY, "cash": "5000"}, key).status_code == 422
        assert JobRun.objects.count() == 1

    @pytest.mark.parametrize(
        ("changes", "pointer"),
        [
            ({"strategy": "nothing"}, "/strategy"),
            ({"strategy": "apps.strategies.tests.domain.test_strategy.BuyTheDip"}, "/strategy"),  # a path would import what it names
            ({"symbols": []}, "/symbols"),
            ({"symbols": ["NOPE"]}, "/symbols"),
            ({"start": "2014-01-01"}, "/start"),
            ({"start": "soon"}, "/start"),
            ({"timeframe": "2d"}, "/timeframe"),
            ({"cash": 1000.5}, "/cash"),
            ({"cash": "1.00001"}, "/cash"),
            ({"cash": "0"}, "/cash"),
            ({"fill_at": "noon"}, "/fill_at"),
            ({"max_volume_pct": 2}, "/max_volume_pct"),
            ({"engine": "magic"}, "/engine"),
            ({"parameters": {"fats": 1}}, "/parameters.fats"),
            ({"colour": "red"}, "/colour"),
        ],
    )
    def test_names_what_it_refuses(self, bars, changes, pointer):
        response = post(client_of(person(Role.QUANT)), {**BODY, **changes})
        assert response.status_code == 400
        pointers = [error["pointer"] for error in response.json()["errors"]]
        assert [found.replace("/0", "") for found in pointers] in ([pointer], [pointer.replace(".", "/")])
        assert not JobRun.objects.exists()

    def test_needs_the_header(self, bars):
        response = client_of(person(Role.QUANT)).post("/api/v1/backtests/", BODY, format="json")
        assert response.status_code == 400
        assert "Idempotency-Key" in response.content.decode()

    def test_is_for_those_who_may(self, bars):
        assert post(client_of(person(Role.TRADER)), BODY).status_code == 403
        assert post(client_of(AnonymousUser()), BODY).status_code == 401
        assert client_of(AnonymousUser()).get("/api/v1/backtests/").status_code == 401
        assert client_of(person(Role.OPERATOR)).get("/api/v1/backtests/").status_code == 403
        assert not BacktestRun.objects.exists()


def test_strategies_are_listed_with_their_parameters():
    rows = client_of(person(Role.QUANT)).get("/api/v1/strategies/").json()
    assert [row["name"] for row in rows] == ["sma_cross", "macd", "momentum"]
    assert rows[0]["parameters"] == [{"name": "fast", "type": "int", "default": 10}, {"name": "slow", "type": "int", "default": 30}]
    assert all(row["description"] and row["warmup"] > 0 for row in rows)
