"""Who the journal says it was, for each way of proving it."""

import pytest
from django.urls import include, path
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIClient
from rest_framework.views import APIView

from apps.core.context import current_context
from apps.core.models import JournalEntry, User
from apps.core.tests.factories import PASSWORD


class Writing(APIView):
    permission_classes = [AllowAny]

    def post(self, request: Request) -> Response:
        User.objects.create(username=request.data["username"])
        return Response(status=204)


urlpatterns = [path("api/v1/", include("apps.core.api.urls")), path("api/v1/write/", Writing.as_view())]
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls(__name__)]


def written_by(client: APIClient, username: str) -> tuple[str, str]:
    assert client.post("/api/v1/write/", {"username": username}, format="json", HTTP_X_REQUEST_ID=f"request-{username}").status_code == 204
    entry = JournalEntry.objects.get(new__username=username)
    return entry.actor, entry.request_id


def test_a_bearer_of_a_token(user: User) -> None:
    client = APIClient()
    access = client.post("/api/v1/token/", {"username": user.username, "password": PASSWORD}, format="json").json()["access"]
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {access}")
    assert written_by(client, "by-token") == (f"user:{user.username}", "request-by-token")


def test_a_session(user: User) -> None:
    client = APIClient()
    client.force_login(user)
    assert written_by(client, "by-session") == (f"user:{user.username}", "request-by-session")


def test_nobody(user: User) -> None:
    assert written_by(APIClient(), "by-nobody") == ("anonymous", "request-by-nobody")


def test_one_request_does_not_lend_its_name_to_the_next(user: User) -> None:
    client = APIClient()
    client.force_login(user)
    written_by(client, "first")
    assert current_context().actor == ""
    assert written_by(APIClient(), "second")[0] == "anonymous"


def test_a_malformed_request_id_is_replaced(user: User) -> None:
    client = APIClient()
    answer = client.post("/api/v1/write/", {"username": "x"}, format="json", HTTP_X_REQUEST_ID="a b\n")
    assert len(answer["X-Request-ID"]) == 32
    assert JournalEntry.objects.get(new__username="x").request_id == answer["X-Request-ID"]
