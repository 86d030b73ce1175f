import pytest
from django.contrib.auth.models import Permission
from rest_framework.test import APIClient

from apps.core import clock
from apps.core.jobs import job_create
from apps.core.models import JobRun, User
from apps.core.models.jobs import JobState
from apps.core.roles import Role
from apps.core.tests.factories import PASSWORD, UserFactory

pytestmark = pytest.mark.django_db


def token(user: User, password: str = PASSWORD) -> APIClient:
    client = APIClient()
    answer = client.post("/api/v1/token/", {"username": user.username, "password": password}, format="json")
    assert answer.status_code == 200, answer.content
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {answer.json()['access']}")
    client.refresh = answer.json()["refresh"]
    return client


class TestTokens:
    def test_a_password_buys_tokens_that_open_the_api(self, user: User) -> None:
        assert token(user).get("/api/v1/jobs/").status_code == 200

    @pytest.mark.parametrize(("body", "status"), [({"password": "wrong"}, 401), ({"is_staff": True}, 400)])
    def test_a_wrong_password_or_an_unknown_field_is_refused(self, user: User, body: dict[str, object], status: int) -> None:
        answer = APIClient().post("/api/v1/token/", {"username": user.username, "password": PASSWORD, **body}, format="json")
        assert answer.status_code == status
        assert answer["Content-Type"] == "application/problem+json"

    def test_an_inactive_user_gets_none(self) -> None:
        user = UserFactory(is_active=False)
        assert APIClient().post("/api/v1/token/", {"username": user.username, "password": PASSWORD}, format="json").status_code == 401

    def test_a_refresh_token_is_spent_once(self, user: User) -> None:
        client = token(user)
        first = client.post("/api/v1/token/refresh/", {"refresh": client.refresh}, format="json")
        again = client.post("/api/v1/token/refresh/", {"refresh": client.refresh}, format="json")
        assert (first.status_code, again.status_code) == (200, 401)
        assert set(first.json()) == {"access", "refresh"}

    def test_guessing_is_slowed_down(self, user: User) -> None:
        client = APIClient()
        statuses = [client.post("/api/v1/token/", {"username": user.username, "password": "x"}, format="json").status_code for _ in range(31)]
        assert (statuses[0], statuses[-1]) == (401, 429)


class TestJobs:
    @pytest.fixture
    def run(self, user: User) -> JobRun:
        return job_create(job="backtest", at=clock.now(), requested_by=user, parameters={"strategy": "macd"})

    def test_whoever_asked_sees_it(self, api: APIClient, run: JobRun) -> None:
        body = api.get(f"/api/v1/jobs/{run.pk}/").json()
        assert (body["state"], body["progress"], body["parameters"]) == ("queued", None, {"strategy": "macd"})
        assert [job["id"] for job in api.get("/api/v1/jobs/?state=queued").json()["results"]] == [run.pk]

    def test_for_others_it_does_not_exist(self, run: JobRun) -> None:
        other = APIClient()
        other.force_login(UserFactory())
        assert other.get(f"/api/v1/jobs/{run.pk}/").status_code == 404
        assert other.post(f"/api/v1/jobs/{run.pk}/cancel/").status_code == 404
        assert other.get("/api/v1/jobs/").json()["results"] == []

    def test_operators_see_all(self, run: JobRun) -> None:
        operator = APIClient()
        operator.force_login(UserFactory(role=Role.OPERATOR))
        assert operator.get(f"/api/v1/jobs/{run.pk}/").status_code == 200

    def test_a_queued_run_is_cancelled_at_once_and_only_once(self, api: APIClient, run: JobRun) -> None:
        assert api.post(f"/api/v1/jobs/{run.pk}/cancel/").json()["state"] == JobState.CANCELLED
        assert api.post(f"/api/v1/jobs/{run.pk}/cancel/").status_code == 409

    @pytest.mark.parametrize("query", ["limit=0", "limit=501", "limit=x", "stat=queued", "state__in=queued"])
    def test_bad_queries_are_refused(self, api: APIClient, query: str) -> None:
        answer = api.get(f"/api/v1/jobs/?{query}")
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["pointer"] == f"/{query.split('=')[0]}"

    def test_pages_follow_each_other(self, api: APIClient, user: User) -> None:
        made = [job_create(job=f"j{n}", at=clock.now(), requested_by=user).pk for n in range(5)]
        seen, address = [], "/api/v1/jobs/?limit=2"
        while address:
            page = api.get(address).json()
            seen += [job["id"] for job in page["results"]]
            address = page["next"]
        assert seen == made[::-1]


def test_measures_say_how_they_are_computed(api: APIClient) -> None:
    found = {measure["name"]: measure for measure in api.get("/api/v1/measures/").json()}
    chain = found["core.journal.chain"]
    assert chain["parameters"] == [{"name": "events", "required": True, "default": None}]
    assert chain["units"]
    assert "17a-4" in chain["source"]
    assert api.get("/api/v1/measures/?x=1").status_code == 400


def test_a_problems_type_leads_to_its_meaning() -> None:
    client = APIClient()
    body = client.get("/api/v1/jobs/").json()
    assert client.get(body["type"]).json()["code"] == body["code"] == "NOT_AUTHENTICATED"
    assert client.get("/api/v1/problems/NO_SUCH/").status_code == 404


def test_a_permission_opens_the_door_and_its_lack_closes_it(user: User) -> None:
    from apps.core.api.permissions import HasPermission

    class Asking:
        method = "POST"

    guard = HasPermission("core.view_jobrun", methods=("POST",))()
    Asking.user = user
    assert not guard.has_permission(Asking, None)
    user.user_permissions.add(Permission.objects.get(codename="view_jobrun"))
    Asking.user = User.objects.get(pk=user.pk)
    assert guard.has_permission(Asking, None)
