"""Data quality and quarantine over REST."""

from datetime import UTC, datetime
from uuid import uuid4

import numpy as np
import pytest
from django.contrib.auth.models import Group
from rest_framework.test import APIClient

from apps.core.models import JobRun, User
from apps.core.roles import Role
from apps.marketdata.models import Quarantine
from apps.marketdata.services.quality import CheckRequest, data_check
from apps.marketdata.tests.factories import make_series, store_series

pytestmark = pytest.mark.django_db

NOW = datetime(2012, 6, 22, 22, tzinfo=UTC)


def client_of(role: Role) -> APIClient:
    user = User.objects.create_user(f"user-{role}")
    user.groups.add(Group.objects.get(name=role))
    client = APIClient()
    client.force_authenticate(user)
    return client


@pytest.fixture
def operator() -> APIClient:
    return client_of(Role.OPERATOR)


@pytest.fixture(autouse=True)
def checked() -> None:
    closes = 100 * np.exp(0.005 * np.sin(np.arange(120) * 1.7))
    closes[60] *= 0.5
    store_series(make_series("AAA", closes.tolist()), make_series("BBB", closes[:100].tolist()))
    data_check(request=CheckRequest(), now=NOW, quarantine=False)


def post(client: APIClient, path: str, data: dict[str, object], key: str = ""):
    return client.post(f"/api/v1/data/{path}", data, format="json", headers={"Idempotency-Key": key or uuid4().hex})


class TestFindings:
    @pytest.mark.parametrize(
        ("query", "checks"),
        [
            ("", {"BAD_TICK", "INCOMPLETE", "LAST_BAR_OLD"}),
            ("?symbol=AAA", {"BAD_TICK"}),
            ("?check=LAST_BAR_OLD", {"LAST_BAR_OLD"}),
            ("?severity=warning", set()),
            ("?timeframe=1m", set()),
        ],
    )
    def test_of_the_newest_check(self, operator, query, checks) -> None:
        data_check(request=CheckRequest(), now=NOW, quarantine=False)
        answer = operator.get(f"/api/v1/data/quality/{query}").json()
        assert {row["check"] for row in answer["results"]} == checks
        assert len(answer["results"]) == len({(row["symbol"], row["check"]) for row in answer["results"]})

    def test_have_their_numbers(self, operator) -> None:
        (row,) = operator.get("/api/v1/data/quality/?symbol=AAA").json()["results"]
        assert (row["timeframe"], row["severity"], row["first"]) == ("1d", "error", "2012-03-29T00:00:00Z")
        assert row["numbers"]["move"] == pytest.approx(-0.5, abs=0.02)

    @pytest.mark.parametrize("query", ["?severty=error", "?severity=bad", "?timeframe=7d"])
    def test_bad_filters_are_refused(self, operator, query) -> None:
        assert operator.get(f"/api/v1/data/quality/{query}").status_code == 400

    def test_a_check_is_a_job(self, operator, django_capture_on_commit_callbacks) -> None:
        with django_capture_on_commit_callbacks():
            answer = post(operator, "quality/", {"symbols": ["AAA"], "timeframes": ["1d"], "end": "2012-03-01"})
        assert answer.status_code == 202
        job = JobRun.objects.get(pk=answer.json()["id"])
        assert job.parameters == {"symbols": ["AAA"], "timeframes": ["1d"], "start": None, "end": "2012-03-01"}
        assert post(operator, "quality/", {"symbols": ["XXX"]}).status_code == 404
        assert post(client_of(Role.TRADER), "quality/", {}).status_code == 403


class TestQuarantines:
    def test_open_list_release(self, operator) -> None:
        made = post(operator, "quarantines/", {"symbol": "AAA", "timeframe": "1d", "reason": "bad tick", "to_date": "2012-12-31"})
        assert made.status_code == 201
        body = made.json()
        assert (body["symbol"], body["timeframe"], body["from_date"], body["opened_by"]) == ("AAA", "1d", None, "user-operator")
        assert post(operator, "quarantines/", {"symbol": "AAA", "timeframe": "1d", "reason": "again"}).status_code == 409
        assert [row["id"] for row in operator.get("/api/v1/data/quarantines/?open=true").json()["results"]] == [body["id"]]
        done = post(operator, f"quarantines/{body['id']}/release/", {"reason": "corrected"})
        assert (done.status_code, done.json()["release_reason"]) == (200, "corrected")
        assert operator.get("/api/v1/data/quarantines/?open=true").json()["results"] == []
        assert post(operator, f"quarantines/{body['id']}/release/", {"reason": "corrected"}).status_code == 409

    def test_the_same_request_opens_one(self, operator) -> None:
        key = uuid4().hex
        first, second = (post(operator, "quarantines/", {"symbol": "AAA", "reason": "x"}, key) for _ in range(2))
        assert first.json()["id"] == second.json()["id"]
        assert Quarantine.objects.count() == 1

    @pytest.mark.parametrize(
        ("data", "status"),
        [
            ({"symbol": "AAA"}, 400),
            ({"symbol": "XXX", "reason": "x"}, 404),
            ({"symbol": "AAA", "reason": "x", "timeframe": "7d"}, 400),
            ({"symbol": "AAA", "reason": "x", "from_date": "2012-02-01", "to_date": "2012-01-01"}, 400),
            ({"symbol": "AAA", "reason": "x", "until": "2012-02-01"}, 400),
        ],
    )
    def test_bad_input_opens_nothing(self, operator, data, status) -> None:
        assert post(operator, "quarantines/", data).status_code == status
        assert not Quarantine.objects.exists()

    def test_who_may_not(self) -> None:
        trader = client_of(Role.TRADER)
        assert trader.get("/api/v1/data/quarantines/").status_code == 200
        assert post(trader, "quarantines/", {"symbol": "AAA", "reason": "x"}).status_code == 403
        assert post(trader, "quarantines/1/release/", {"reason": "x"}).status_code == 403
