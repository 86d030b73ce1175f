"""Factor scores, recommendations and the VIX over REST."""

from datetime import UTC, date, datetime

import numpy as np
import pytest
from rest_framework.test import APIClient

from apps.core.models import User
from apps.marketdata.domain.points import CloseKind
from apps.marketdata.domain.weights import Optimizer
from apps.marketdata.models import FeedState, Universe
from apps.marketdata.services.factors import factors_compute
from apps.marketdata.tests.factories import store_closes
from apps.marketdata.tests.services.test_factors import AT, SHORT, SYMBOLS, walks

pytestmark = pytest.mark.django_db


@pytest.fixture
def client() -> APIClient:
    client = APIClient()
    client.force_authenticate(User.objects.create_user("tim"))
    return client


@pytest.fixture
def last() -> date:
    store_closes(walks(120))
    return factors_compute(universe=Universe.ETF, settings=SHORT, recorded_at=AT).last


def stand_at(moment: datetime) -> None:
    FeedState.objects.create(name="replay", mode="replay", market_time=moment, session=moment.date(), updated_at=datetime.now(UTC))


def test_nobody_reads_without_signing_in() -> None:
    for path in ("factors/latest", "factors/AAA", "factors/recommendations", "vix/history"):
        assert APIClient().get(f"/api/v1/{path}").status_code == 401


class TestLatest:
    def test_is_a_list_with_the_best_rank_first(self, client, last) -> None:
        rows = client.get("/api/v1/factors/latest").json()
        assert [row["rank"] for row in rows] == [1, 2, 3, 4]
        assert rows[0].keys() >= {"ticker", "momentum", "quality", "value", "volatility", "composite", "rank"}
        assert {row["date"] for row in rows} == {last.isoformat()}
        assert rows == client.get("/api/factors/latest/").json()

    def test_filters(self, client, last) -> None:
        assert [row["ticker"] for row in client.get("/api/v1/factors/latest/?search=bbb").json()] == ["BBB"]
        assert client.get("/api/v1/factors/latest/?universe=stock").json() == []
        earlier = client.get("/api/v1/factors/latest/?date=2012-05-01").json()
        assert {row["date"] for row in earlier} == {"2012-05-01"}

    def test_the_markets_future_is_not_shown(self, client, last) -> None:
        stand_at(datetime(2012, 5, 2, 15, tzinfo=UTC))
        for query in ("", "?date=2012-06-01"):
            answer = client.get(f"/api/v1/factors/latest/{query}")
            assert {row["date"] for row in answer.json()} == {"2012-05-01"}
            assert "X-Desk-Note" not in answer

    def test_before_the_first_score_the_note_says_that_these_are_the_future(self, client, last) -> None:
        stand_at(datetime(2011, 9, 12, 15, tzinfo=UTC))
        answer = client.get("/api/v1/factors/latest/")
        assert {row["date"] for row in answer.json()} == {last.isoformat()}
        assert "9 Sep 2011" in answer["X-Desk-Note"]
        assert "cannot see" in answer["X-Desk-Note"]

    @pytest.mark.parametrize("market", [None, datetime(2011, 9, 12, 15, tzinfo=UTC)])
    def test_no_later_date_answers_for_a_wanted_one(self, client, last, market) -> None:
        if market:
            stand_at(market)
        answer = client.get("/api/v1/factors/latest/?date=2011-12-01")
        assert answer.json() == []
        assert "no scores before" in answer["X-Desk-Note"]
        assert client.get("/api/v1/factors/recommendations/?date=2011-12-01").json() == {"recommendations": [], "generation_date": None}

    def test_an_empty_desk_has_an_empty_list(self, client) -> None:
        assert client.get("/api/v1/factors/latest/").json() == []


class TestHistory:
    def test_is_the_newest_days_oldest_first(self, client, last) -> None:
        answer = client.get("/api/v1/factors/AAA?days=3").json()
        assert answer["ticker"] == "AAA"
        assert len(answer["history"]) == 3
        assert answer["history"][-1]["date"] == last.isoformat()
        assert "ticker" not in answer["history"][0]

    def test_unknown_ticker(self, client) -> None:
        assert client.get("/api/v1/factors/ZZZ/").status_code == 404


class TestRecommendations:
    @pytest.mark.parametrize("optimizer", list(Optimizer))
    def test_weights_sum_to_one(self, client, last, optimizer) -> None:
        answer = client.get(f"/api/v1/factors/recommendations?num_positions=3&optimizer={optimizer}").json()
        assert answer["generation_date"] == f"{last.isoformat()}T20:00:00Z"
        assert len(answer["recommendations"]) == 3
        assert sum(row["target_weight"] for row in answer["recommendations"]) == pytest.approx(1.0)
        assert answer["recommendations"][0].keys() == {"ticker", "composite_score", "target_weight"}
        scores = [row["composite_score"] for row in answer["recommendations"]]
        assert scores == sorted(scores, reverse=True)

    def test_all_of_fewer_than_asked_for(self, client, last) -> None:
        assert {row["ticker"] for row in client.get("/api/v1/factors/recommendations/").json()["recommendations"]} == set(SYMBOLS)

    @pytest.mark.parametrize(
        ("query", "named"), [("optimizer=magic", "optimizer"), ("num_positions=0", "num_positions"), ("positions=3", "positions")]
    )
    def test_bad_parameters_are_refused_and_named(self, client, query, named) -> None:
        answer = client.get(f"/api/v1/factors/recommendations/?{query}")
        assert answer.status_code == 400
        assert named in str(answer.json()["errors"])

    def test_an_unknown_optimiser_is_told_the_known_ones(self, client) -> None:
        detail = client.get("/api/v1/factors/recommendations/?optimizer=magic").json()["detail"]
        assert all(str(name) in detail for name in Optimizer)

    def test_too_few_returns_for_a_covariance_are_said(self, client) -> None:
        store_closes(walks(40))
        factors_compute(universe=Universe.ETF, settings=SHORT, recorded_at=AT)
        answer = client.get("/api/v1/factors/recommendations/?optimizer=mvo")
        assert (answer.status_code, answer.json()["code"]) == (422, "INSUFFICIENT_DATA")


class TestVix:
    def test_history_has_the_regime_of_each_close(self, client) -> None:
        levels = [14.999, 15.0, 19.99, 20.0, 29.99, 30.0]
        store_closes({"VIX": levels}, adjustment=CloseKind.NONE, asset_class="index")
        rows = client.get("/api/v1/vix/history").json()
        assert [row["value"] for row in rows] == levels
        assert [row["regime"].split()[0] for row in rows] == ["Low", "Normal", "Normal", "Elevated", "Elevated", "High"]
        assert [row["value"] for row in client.get("/api/v1/vix/history/?days=2").json()] == levels[-2:]
        stand_at(datetime(2012, 1, 5, 15, tzinfo=UTC))
        assert len(client.get("/api/v1/vix/history/").json()) == 2

    def test_before_the_first_close_a_note_says_that_it_is_the_future(self, client) -> None:
        store_closes({"VIX": np.full(5, 12.0)}, adjustment=CloseKind.NONE, asset_class="index")
        stand_at(datetime(2011, 9, 12, 15, tzinfo=UTC))
        answer = client.get("/api/v1/vix/history/")
        assert len(answer.json()) == 5
        assert "future" in answer["X-Desk-Note"]

    def test_a_desk_without_it_has_an_empty_list(self, client) -> None:
        assert client.get("/api/v1/vix/history/").json() == []
