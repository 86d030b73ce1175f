import pytest
from rest_framework.test import APIClient

from apps.alerts.models import AlertDelivery, AlertRoute, DeliveryState
from apps.alerts.services.delivery import delivery_attempt
from apps.alerts.tests.factories import AlertFactory, UserFactory
from apps.core.clock import now

pytestmark = pytest.mark.django_db
WEBHOOK = {"channel": "webhook", "target": "https://hooks.example.org/desk"}


@pytest.fixture
def user():
    return UserFactory()


@pytest.fixture
def client(user):
    client = APIClient()
    client.force_authenticate(user)
    return client


@pytest.fixture
def route(client):
    return client.post("/api/v1/alerts/routes/", WEBHOOK, format="json").json()


class TestRoutes:
    def test_a_route_is_made_shown_changed_and_removed(self, client, route):
        address = f"/api/v1/alerts/routes/{route['id']}/"
        assert (route["minimum"], route["digest_minutes"], len(route["secret"])) == ("warning", 0, 64)
        changed = client.patch(address, {"kinds": ["risk_"], "quiet_from": "22:00", "quiet_to": "07:00"}, format="json").json()
        assert (changed["kinds"], changed["quiet_from"], changed["target"]) == (["RISK_"], "22:00:00", WEBHOOK["target"])
        assert client.get("/api/v1/alerts/routes/").json() == [changed]
        assert client.delete(address).status_code == 204
        assert client.get(address).status_code == 404
        assert AlertRoute.objects.get().ended_at is not None

    @pytest.mark.parametrize(
        ("given", "pointer"),
        [
            (WEBHOOK | {"target": "http://hooks.example.org/"}, "/target"),
            (WEBHOOK | {"channel": "pigeon"}, "/channel"),
            ({"channel": "email", "target": "nobody"}, "/target"),
            (WEBHOOK | {"quiet_from": "22:00"}, "/quiet_to"),
            (WEBHOOK | {"time_zone": "Mars"}, "/time_zone"),
            (WEBHOOK | {"digest": 5}, "/digest"),
        ],
    )
    def test_bad_input_names_its_field_and_makes_nothing(self, client, given, pointer):
        response = client.post("/api/v1/alerts/routes/", given, format="json")
        assert response.status_code == 400
        assert response.json()["errors"][0]["pointer"] == pointer
        assert not AlertRoute.objects.exists()

    def test_the_eleventh_is_refused(self, client):
        answers = [client.post("/api/v1/alerts/routes/", WEBHOOK, format="json").status_code for _ in range(11)]
        assert answers == [201] * 10 + [409]

    def test_those_of_others_are_not_found(self, route):
        other = APIClient()
        other.force_authenticate(UserFactory())
        address = f"/api/v1/alerts/routes/{route['id']}/"
        for answer in (other.get(address), other.patch(address, {}, format="json"), other.delete(address), other.post(f"{address}test/")):
            assert answer.status_code == 404
        assert other.get("/api/v1/alerts/routes/").json() == []

    def test_another_secret(self, client, route):
        assert client.post(f"/api/v1/alerts/routes/{route['id']}/secret/").json()["secret"] != route["secret"]

    def test_anonymous_is_401(self):
        assert APIClient().get("/api/v1/alerts/routes/").status_code == 401


class TestDeliveries:
    @pytest.fixture
    def dead(self, client, user):
        client.post("/api/v1/alerts/routes/", {"channel": "email", "target": "a@desk.example"}, format="json")
        AlertFactory(recipients=[user.pk])
        delivery = AlertDelivery.objects.get()
        assert delivery_attempt(delivery_id=delivery.pk, clock=now) == DeliveryState.DEAD  # no mail server
        return delivery

    def test_what_went_wrong_is_told_with_its_attempts(self, client, dead):
        [shown] = client.get("/api/v1/alerts/deliveries/?state=dead").json()["results"]
        assert (shown["key"], shown["target"], len(shown["alerts"])) == (str(dead.key), "a@desk.example", 1)
        assert [(one["number"], one["outcome"]) for one in shown["attempts"]] == [(1, "refused")]
        assert client.get("/api/v1/alerts/deliveries/?state=sent").json()["results"] == []
        assert client.get("/api/v1/alerts/deliveries/?state=lost").status_code == 400

    def test_a_dead_one_is_tried_again_once(self, client, dead):
        answers = [client.post(f"/api/v1/alerts/deliveries/{dead.pk}/retry/").status_code for _ in range(2)]
        assert answers == [202, 409]

    def test_a_trial_is_a_delivery(self, client, route):
        answer = client.post(f"/api/v1/alerts/routes/{route['id']}/test/")
        assert answer.status_code == 202
        assert answer.json()["state"] == "waiting"
        assert client.get(f"/api/v1/alerts/deliveries/?route={route['id']}").json()["results"][0]["id"] == answer.json()["id"]
