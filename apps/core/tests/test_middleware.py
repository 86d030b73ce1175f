import pytest
from rest_framework.test import APIClient

from apps.core.models import User


@pytest.fixture
def client(db: None) -> APIClient:
    user = User.objects.create_user("ann", password="a-test-password")
    client = APIClient()
    client.force_authenticate(user)
    return client


@pytest.mark.parametrize("path", ["/api/v1/measures/", "/api/v1/measures", "/api/measures/", "/api/measures"])
def test_an_address_works_with_and_without_its_last_slash_and_version(client: APIClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200


def test_a_post_without_the_slash_keeps_its_body(client: APIClient) -> None:
    answer = APIClient().post("/api/v1/token", {"username": "ann", "password": "a-test-password"}, format="json")
    assert answer.status_code == 200
    assert set(answer.json()) >= {"access", "refresh"}


def test_pages_keep_their_own_spelling(client: APIClient) -> None:
    assert client.get("/login/").status_code == 404
