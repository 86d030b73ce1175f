"""The same key never does the work twice: in turn, at once, after a crash, and through HTTP."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import override_settings
from django.urls import include, path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIClient
from rest_framework.views import APIView

from apps.core import clock
from apps.core.api.idempotency import IdempotentMixin, idempotent
from apps.core.errors import RuleRefused
from apps.core.locks import lock_key
from apps.core.models import IdempotentRequest, User
from apps.core.postgres.session import open_session
from apps.core.services.idempotency import Claim, ClaimState, request_claim, request_complete, request_release, requests_purge
from apps.core.tests.factories import UserFactory


class Work:
    """Counts what was done; `hook` runs in the middle of it."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.hook: Callable[[], None] = lambda: None


WORK = Work()


class Thing(IdempotentMixin, APIView):
    def post(self, request: Request) -> Response:
        WORK.hook()
        WORK.done.append(str(request.idempotency_uuid))
        return Response({"number": len(WORK.done), "got": request.data}, status=202, headers={"Location": f"/api/v1/jobs/{len(WORK.done)}/"})

    def get(self, request: Request) -> Response:
        return Response({})


class Refusing(APIView):
    @idempotent
    def post(self, request: Request) -> Response:
        WORK.done.append("refused")
        raise RuleRefused("too much", checks=[{"code": "X"}])


class Failing(APIView):
    @idempotent
    def post(self, request: Request) -> Response:
        WORK.done.append("tried")
        if len(WORK.done) == 1:
            raise ZeroDivisionError
        return Response({"fine": True})


class Unspeakable(APIView):
    @idempotent
    def post(self, request: Request) -> Response:
        return Response({"answer": object()})


class OnlyReading(IdempotentMixin, APIView):
    def get(self, request: Request) -> Response:
        return Response({})


endpoints = [
    path("thing/", Thing.as_view()),
    path("refusing/", Refusing.as_view()),
    path("failing/", Failing.as_view()),
    path("unspeakable/", Unspeakable.as_view()),
    path("reading/", OnlyReading.as_view()),
]
urlpatterns = [path("api/v1/", include(endpoints)), path("api/", include(endpoints))]

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls(__name__)]


@pytest.fixture(autouse=True)
def work(transactional_db: None) -> Iterator[Work]:
    WORK.done.clear()
    WORK.hook = lambda: None
    yield WORK
    with connection.cursor() as cursor:  # a claim that a test has left open would go on in the pool, with its connection
        cursor.execute("select pg_advisory_unlock_all()")


def post(client: APIClient, path: str, body: Any, key: str | None = "key-1") -> Any:
    return client.post(path, body, format="json", **({"HTTP_IDEMPOTENCY_KEY": key} if key is not None else {}))


class TestOneAfterAnother:
    def test_a_repeat_gets_the_stored_answer(self, api: APIClient, work: Work) -> None:
        first = post(api, "/api/v1/thing/", {"a": 1, "b": "2"})
        again = post(api, "/api/v1/thing/", {"b": "2", "a": 1})
        assert (first.status_code, again.status_code) == (202, 202)
        assert first.json() == again.json() == {"number": 1, "got": {"a": 1, "b": "2"}}
        assert "Idempotent-Replayed" not in first
        assert again["Idempotent-Replayed"] == "true"
        assert again["Location"] == first["Location"]
        assert len(work.done) == 1

    def test_both_prefixes_are_the_same_address(self, api: APIClient, work: Work) -> None:
        post(api, "/api/v1/thing/", {})
        assert post(api, "/api/thing/", {})["Idempotent-Replayed"] == "true"

    def test_another_key_or_another_user_is_another_request(self, api: APIClient, work: Work) -> None:
        other = APIClient()
        other.force_login(UserFactory())
        for client, key in ((api, "key-1"), (api, "key-2"), (other, "key-1")):
            assert "Idempotent-Replayed" not in post(client, "/api/v1/thing/", {}, key)
        assert len(set(work.done)) == 3

    def test_a_read_needs_no_key(self, api: APIClient) -> None:
        assert api.get("/api/v1/thing/").status_code == 200

    def test_a_refusal_is_an_answer_too(self, api: APIClient, work: Work) -> None:
        first, again = (post(api, "/api/v1/refusing/", {}) for _ in range(2))
        assert (first.status_code, again.status_code) == (422, 422)
        assert first.json() == again.json() | {"request_id": first.json()["request_id"]}
        assert again.json()["checks"] == [{"code": "X"}]
        assert again["Content-Type"] == "application/problem+json"
        assert work.done == ["refused"]

    def test_a_bug_leaves_the_key_free(self, api: APIClient, work: Work) -> None:
        api.raise_request_exception = False
        assert post(api, "/api/v1/failing/", {}).status_code == 500
        assert post(api, "/api/v1/failing/", {}).json() == {"fine": True}
        assert not IdempotentRequest.objects.filter(status=None).exists()

    def test_an_answer_that_cannot_be_stored_leaves_no_lock(self, api: APIClient) -> None:
        api.raise_request_exception = False
        assert post(api, "/api/v1/unspeakable/", {}).status_code == 500
        assert not IdempotentRequest.objects.exists()
        with connection.cursor() as cursor:
            cursor.execute("select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()")
            assert cursor.fetchone() == (0,)

    def test_what_takes_no_posts_says_so(self, api: APIClient) -> None:
        assert post(api, "/api/v1/reading/", {}).status_code == 405


class TestRefused:
    @pytest.mark.parametrize("key", [None, "", "two words", "x" * 129, "ümlaut"])
    def test_without_a_usable_key(self, api: APIClient, work: Work, key: str | None) -> None:
        answer = post(api, "/api/v1/thing/", {}, key)
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["pointer"] == "/Idempotency-Key"
        assert not work.done

    @pytest.mark.parametrize(("where", "body"), [("/api/v1/thing/", {"a": 2}), ("/api/v1/refusing/", {"a": 1})])
    def test_a_key_of_another_request(self, api: APIClient, work: Work, where: str, body: dict[str, int]) -> None:
        post(api, "/api/v1/thing/", {"a": 1})
        answer = post(api, where, body)
        assert answer.status_code == 422
        assert "already used" in answer.json()["detail"]
        assert len(work.done) == 1

    def test_without_a_login_nothing_is_claimed(self, work: Work) -> None:
        assert post(APIClient(), "/api/v1/thing/", {}).status_code == 401
        assert not IdempotentRequest.objects.exists()


class TestAtOnce:
    def test_while_the_first_is_at_work_a_repeat_is_told_to_wait(self, api: APIClient, user: User, work: Work) -> None:
        seen: list[Any] = []

        def repeat() -> None:
            client = APIClient()
            client.force_authenticate(user)
            thread = threading.Thread(target=lambda: (seen.append(post(client, "/api/v1/thing/", {})), connection.close()))
            thread.start()
            thread.join(60)

        work.hook = repeat
        assert post(api, "/api/v1/thing/", {}).status_code == 202
        assert seen[0].status_code == 409
        assert seen[0]["Retry-After"] == "1"
        assert len(work.done) == 1

    def test_twenty_at_once_do_it_once(self, user: User, work: Work) -> None:
        barrier = threading.Barrier(20, timeout=60)
        answers: list[int] = []

        def run() -> None:
            client = APIClient()
            client.force_authenticate(user)
            barrier.wait()
            answers.append(post(client, "/api/v1/thing/", {}).status_code)
            connection.close()

        threads = [threading.Thread(target=run) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        assert len(work.done) == 1
        assert set(answers) <= {202, 409}
        assert 202 in answers

    def test_who_comes_between_the_free_lock_and_the_commit_waits_for_the_answer(self, user: User) -> None:
        request = {"user_id": user.pk, "key": "k", "method": "POST", "path": "/api/thing/", "body_sha256": "0" * 64, "at": clock.now()}
        seen: list[Claim] = []
        thread = threading.Thread(target=lambda: (seen.append(request_claim(**request)), connection.close()))
        claim = request_claim(**request)
        with transaction.atomic():
            request_complete(claim, status=200, body='{"a": 1}')
            thread.start()
            wait_for_a_waiting_lock()
        thread.join(60)
        assert (seen[0].state, seen[0].body) == (ClaimState.DONE, {"a": 1})


def wait_for_a_waiting_lock() -> None:
    deadline = time.monotonic() + 60
    looking = open_session()
    try:
        while not looking.execute("select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'").rowcount:
            assert time.monotonic() < deadline, "nobody waits"
    finally:
        looking.close()


class TestAfterACrash:
    CLAIM = {"key": "k", "method": "POST", "path": "/api/thing/", "body_sha256": "0" * 64}

    def claim(self, user: User) -> ClaimState:
        return request_claim(user_id=user.pk, at=clock.now(), **self.CLAIM).state

    def test_a_row_whose_worker_died_is_taken_over(self, user: User) -> None:
        IdempotentRequest.objects.create(user=user, created_at=clock.now(), **self.CLAIM)
        assert self.claim(user) is ClaimState.OURS

    def test_a_row_whose_worker_lives_is_not(self, user: User) -> None:
        IdempotentRequest.objects.create(user=user, created_at=clock.now(), **self.CLAIM)
        worker = open_session()
        try:
            worker.execute("select pg_advisory_lock(%s)", [lock_key(f"idempotency:{user.pk}:k")])
            assert self.claim(user) is ClaimState.IN_FLIGHT
        finally:
            worker.close()
        deadline = time.monotonic() + 60
        while (state := self.claim(user)) is ClaimState.IN_FLIGHT:  # the server notices the closed connection in its own time
            assert time.monotonic() < deadline, "the dead worker's lock stays"
        assert state is ClaimState.OURS

    def test_no_lock_is_left_behind(self, user: User) -> None:
        for finish in (request_release, lambda claim: request_complete(claim, status=200, body="{}")):
            finish(request_claim(user_id=user.pk, at=clock.now(), **self.CLAIM))
        assert self.claim(user) is ClaimState.DONE
        with connection.cursor() as cursor:
            cursor.execute("select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()")
            assert cursor.fetchone() == (0,)

    def test_old_answers_are_forgotten_but_those_of_orders(self, user: User) -> None:
        from datetime import timedelta

        old = clock.now() - timedelta(hours=25)
        for number, (where, at) in enumerate([("/api/thing/", old), ("/api/orders/", old), ("/api/thing/", clock.now())]):
            IdempotentRequest.objects.create(user=user, created_at=at, status=200, **{**self.CLAIM, "key": str(number), "path": where})
        assert requests_purge(at=clock.now()) == 1
        assert set(IdempotentRequest.objects.values_list("key", flat=True)) == {"1", "2"}


@override_settings(ROOT_URLCONF="smarttrader.urls")
def test_the_schema_names_the_header_where_it_is_needed(api: APIClient) -> None:
    schema = api.get("/api/schema/?format=json").json()
    header = {"name": "Idempotency-Key", "in": "header", "required": True}
    orders = schema["paths"]["/api/v1/orders/"]["post"]
    assert any(header.items() <= parameter.items() for parameter in orders["parameters"])
    assert "application/problem+json" in orders["responses"]["default"]["content"]
    assert all("Idempotency-Key" not in str(operation) for operation in schema["paths"]["/api/v1/jobs/"].values())
