import pytest
from rest_framework.test import APIClient

from apps.alerts.models import AlertReceipt
from apps.alerts.tests.factories import AlertFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def user():
    return UserFactory()


@pytest.fixture
def client(user):
    client = APIClient()
    client.force_authenticate(user)
    return client


@pytest.fixture
def alert(user):
    return AlertFactory(recipients=[user.pk], data={"limit": "10"})


class TestList:
    def test_it_shows_the_users_own_newest_first(self, client, user, alert):
        newer = AlertFactory(recipients=[user.pk], severity="critical")
        AlertFactory(recipients=[UserFactory().pk])
        results = client.get("/api/v1/alerts/").json()["results"]
        assert [row["id"] for row in results] == [newer.pk, alert.pk]
        assert results[1]["data"] == {"limit": "10"}

    def test_it_says_which_portfolio_and_how_often(self, client, user):
        for _ in range(3):
            AlertFactory(recipients=[user.pk], subject="portfolio:3", key="drawdown")
        [row] = client.get("/api/v1/alerts/?portfolio=3").json()["results"]
        assert (row["portfolio"], row["repeats"]) == (3, 2)
        assert client.get("/api/v1/alerts/?portfolio=4").json()["results"] == []

    @pytest.mark.parametrize(("query", "found"), [("", 2), ("?state=open", 1), ("?state=all", 2), ("?severity=critical", 0), ("?code=OTHER", 0)])
    def test_filters(self, client, user, alert, query, found):
        AlertFactory(recipients=[user.pk])
        client.post(f"/api/v1/alerts/{alert.pk}/acknowledge/", {}, format="json")
        assert len(client.get(f"/api/v1/alerts/{query}").json()["results"]) == found

    @pytest.mark.parametrize("query", ["?state=closed", "?stat=open", "?severity=loud"])
    def test_a_bad_filter_is_400(self, client, query):
        response = client.get(f"/api/v1/alerts/{query}")
        assert response.status_code == 400
        assert response.json()["errors"][0]["pointer"] == "/" + query[1:].split("=")[0]

    def test_anonymous_is_401(self):
        assert APIClient().get("/api/v1/alerts/").status_code == 401


class TestAcknowledge:
    def test_it_keeps_the_note(self, client, alert):
        response = client.post(f"/api/v1/alerts/{alert.pk}/acknowledge/", {"note": "on it"}, format="json")
        assert response.status_code == 200
        assert response.json()["note"] == AlertReceipt.objects.get().note == "on it"

    def test_an_unknown_field_is_400_and_changes_nothing(self, client, alert):
        response = client.post(f"/api/v1/alerts/{alert.pk}/acknowledge/", {"notes": "on it"}, format="json")
        assert response.status_code == 400
        assert response.json()["errors"][0]["pointer"] == "/notes"
        assert AlertReceipt.objects.get().acknowledged_at is None

    def test_the_alert_of_others_is_404(self, client):
        alert = AlertFactory(recipients=[UserFactory().pk])
        assert client.post(f"/api/v1/alerts/{alert.pk}/acknowledge/", {}, format="json").status_code == 404
