import pytest
import redis
from django.core.exceptions import PermissionDenied
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import OperationalError
from django.http import Http404
from django.urls import path
from rest_framework import serializers
from rest_framework.exceptions import Throttled
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIClient
from rest_framework.views import APIView

from apps.core.api import DecimalString, StrictSerializer
from apps.core.api.problems import flatten, problem_codes
from apps.core.errors import Conflict, InvalidInput, NotFound, NotPermitted, RuleRefused, TradingHalted, Unavailable

RAISED: dict[str, Exception] = {
    "invalid": InvalidInput("no such symbol", field="symbol"),
    "missing": NotFound("no portfolio 7"),
    "forbidden": NotPermitted("not yours"),
    "conflict": Conflict("too late"),
    "refused": RuleRefused("refused", checks=[{"code": "PRICE_STALE"}], status=7),
    "halted": TradingHalted("halted"),
    "unavailable": Unavailable("no broker"),
    "http404": Http404("nothing"),
    "denied": PermissionDenied(),
    "django": DjangoValidationError({"name": ["too long"]}),
    "database": OperationalError("server closed the connection"),
    "redis": redis.ConnectionError("refused"),
    "throttled": Throttled(wait=3),
    "bug": ZeroDivisionError("1/0"),
}


class Raising(APIView):
    permission_classes = [AllowAny]

    def get(self, request: Request, name: str) -> Response:
        raise RAISED[name]


class LineSerializer(StrictSerializer):
    price = DecimalString(max_digits=18, decimal_places=6)


class BodySerializer(StrictSerializer):
    quantity = DecimalString(max_digits=18, decimal_places=6)
    lines = LineSerializer(many=True, required=False)
    note = serializers.CharField(read_only=True)


class Strict(APIView):
    permission_classes = [AllowAny]

    def post(self, request: Request) -> Response:
        body = BodySerializer(data=request.data)
        body.is_valid(raise_exception=True)
        return Response(BodySerializer(body.validated_data).data)


urlpatterns = [path("api/v1/raise/<str:name>/", Raising.as_view()), path("api/v1/strict/", Strict.as_view())]
pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


@pytest.fixture
def client() -> APIClient:
    return APIClient(raise_request_exception=False)


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("invalid", 400, "INVALID_INPUT"),
        ("missing", 404, "NOT_FOUND"),
        ("forbidden", 403, "NOT_PERMITTED"),
        ("conflict", 409, "CONFLICT"),
        ("refused", 422, "RULE_REFUSED"),
        ("halted", 423, "HALTED"),
        ("unavailable", 503, "UNAVAILABLE"),
        ("http404", 404, "NOT_FOUND"),
        ("denied", 403, "NOT_PERMITTED"),
        ("django", 400, "INVALID_INPUT"),
        ("database", 503, "UNAVAILABLE"),
        ("redis", 503, "UNAVAILABLE"),
        ("throttled", 429, "TOO_MANY_REQUESTS"),
        ("bug", 500, "INTERNAL"),
    ],
)
def test_every_error_is_one_kind_of_problem(client: APIClient, name: str, status: int, code: str) -> None:
    answer = client.get(f"/api/v1/raise/{name}/", HTTP_X_REQUEST_ID="request-12345")
    body = answer.json()
    assert answer.status_code == body["status"] == status
    assert answer["Content-Type"] == "application/problem+json"
    assert answer["X-Request-ID"] == body["request_id"] == "request-12345"
    assert body["code"] == code
    assert body["instance"] == f"/api/v1/raise/{name}/"
    assert {"type", "title", "status", "detail", "instance", "code", "request_id", "errors"} <= set(body)
    assert code in problem_codes()
    assert "1/0" not in answer.content.decode()


def test_a_field_of_an_error_is_pointed_at(client: APIClient) -> None:
    assert client.get("/api/v1/raise/invalid/").json()["errors"] == [{"pointer": "/symbol", "code": "invalid_input", "detail": "no such symbol"}]


def test_extra_members_are_added_but_never_replace_ours(client: APIClient) -> None:
    body = client.get("/api/v1/raise/refused/").json()
    assert body["checks"] == [{"code": "PRICE_STALE"}]
    assert body["status"] == 422


@pytest.mark.parametrize("name", ["unavailable", "database", "redis"])
def test_what_may_be_tried_again_says_so(client: APIClient, name: str) -> None:
    answer = client.get(f"/api/v1/raise/{name}/")
    assert answer.json()["retryable"] is True
    assert answer["Retry-After"] == "1"


def test_an_unknown_address_is_a_problem_too(client: APIClient) -> None:
    answer = client.get("/api/v1/nothing/here/")
    assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")
    assert answer.json()["code"] == "NOT_FOUND"


def test_pages_keep_their_own_errors(client: APIClient) -> None:
    assert "text/html" in client.get("/nothing/here/")["Content-Type"]


def test_malformed_json_says_where(client: APIClient) -> None:
    answer = client.post("/api/v1/strict/", '{"quantity": ', content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (400, "MALFORMED")
    assert "line 1" in answer.json()["detail"]


class TestStrictInput:
    @pytest.mark.parametrize("quantity", ["100", "0.000001", 100, "-5", "123456789012.123456"])
    def test_exact_numbers_pass_and_come_back_as_strings(self, client: APIClient, quantity: str | int) -> None:
        answer = client.post("/api/v1/strict/", {"quantity": quantity}, format="json")
        assert answer.status_code == 200
        assert isinstance(answer.json()["quantity"], str)

    @pytest.mark.parametrize(
        "quantity", [0.1, "0.0000001", "1e2", "NaN", "Infinity", "", " 1", "1_000", "١٢", "1,000", True, None, [], {}, "1234567890123.1"]
    )
    def test_inexact_or_unclear_numbers_are_refused(self, client: APIClient, quantity: object) -> None:
        answer = client.post("/api/v1/strict/", {"quantity": quantity}, format="json")
        assert answer.status_code == 400
        assert [error["pointer"] for error in answer.json()["errors"]] == ["/quantity"]

    def test_all_faults_are_named_in_one_answer(self, client: APIClient) -> None:
        body = {"quantity": 0.5, "quantitty": "1", "note": "x", "lines": [{"price": "1"}, {"price": "x", "prize": "1"}]}
        errors = client.post("/api/v1/strict/", body, format="json").json()["errors"]
        found = {error["pointer"]: error["code"] for error in errors}
        assert found == {
            "/quantity": "float",
            "/quantitty": "unknown_field",
            "/note": "read_only",
            "/lines/1/price": "text",
            "/lines/1/prize": "unknown_field",
        }

    def test_a_body_that_is_no_object_is_refused(self, client: APIClient) -> None:
        assert client.post("/api/v1/strict/", [1], format="json").status_code == 400


def test_pointers_are_escaped() -> None:
    assert flatten({"a/b~c": ["no"]})[0]["pointer"] == "/a~1b~0c"
