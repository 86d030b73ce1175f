"""Watchlists over REST."""

import pytest
from rest_framework.test import APIClient

from apps.core.models import User
from apps.marketdata.tests.factories import InstrumentFactory

pytestmark = pytest.mark.django_db
URL = "/api/v1/watchlists/"


def client_of(name: str) -> APIClient:
    client = APIClient()
    client.force_authenticate(User.objects.get_or_create(username=name)[0])
    return client


@pytest.fixture
def ann() -> APIClient:
    for symbol in ("AAA", "BBB"):
        InstrumentFactory(symbol=symbol)
    return client_of("ann")


def test_a_list_is_made_changed_and_deleted(ann: APIClient) -> None:
    made = ann.post(URL, {"name": "mine", "symbols": ["BBB", "AAA"]}, format="json")
    assert (made.status_code, made["Location"]) == (201, f"{URL}{made.json()['id']}/")
    assert made.json()["symbols"] == ["BBB", "AAA"]
    changed = ann.patch(made["Location"], {"symbols": ["AAA"], "shared": True}, format="json").json()
    assert (changed["name"], changed["symbols"], changed["shared"], changed["own"]) == ("mine", ["AAA"], True, True)
    assert [row["name"] for row in ann.get(URL).json()] == ["mine"]
    assert ann.delete(made["Location"]).status_code == 204
    assert ann.get(made["Location"]).status_code == 404


def test_others_see_what_is_shared_and_change_nothing(ann: APIClient) -> None:
    own = ann.post(URL, {"name": "own"}, format="json")["Location"]
    shared = ann.post(URL, {"name": "shared", "shared": True}, format="json")["Location"]
    bob = client_of("bob")
    assert [(row["name"], row["own"], row["owner"]) for row in bob.get(URL).json()] == [("shared", False, "ann")]
    assert bob.get(own).status_code == bob.patch(own, {"name": "x"}, format="json").status_code == bob.delete(own).status_code == 404
    assert bob.patch(shared, {"name": "x"}, format="json").status_code == bob.delete(shared).status_code == 403
    assert APIClient().get(URL).status_code == 401


@pytest.mark.parametrize(
    ("body", "status", "name"),
    [
        ({}, 400, "name"),
        ({"name": "mine"}, 409, "mine"),
        ({"name": "x", "symbols": ["ZZZ"]}, 404, "ZZZ"),
        ({"name": "x", "symbols": ["AAA", "AAA"]}, 400, "symbols"),
        ({"name": "x", "symbls": []}, 400, "symbls"),
    ],
)
def test_bad_input_is_named(ann: APIClient, body: dict, status: int, name: str) -> None:
    ann.post(URL, {"name": "mine"}, format="json")
    answer = ann.post(URL, body, format="json")
    assert answer.status_code == status
    assert name in answer.content.decode()
    assert len(ann.get(URL).json()) == 1
