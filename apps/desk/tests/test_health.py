"""The addresses that tell whether the desk is up, and whether it can serve."""

import pytest
from django.test import Client, override_settings
from django.urls import reverse


class TestHealthz:
    def test_answers_without_login_and_without_servers(self, client: Client) -> None:
        response = client.get(reverse("healthz"))
        assert (response.status_code, response.json()) == (200, {"status": "ok"})
        assert "no-cache" in response["Cache-Control"]

    def test_refuses_to_be_written_to(self, client: Client) -> None:
        assert client.post(reverse("healthz")).status_code == 405


@pytest.mark.django_db
class TestReadyz:
    def test_says_ok_when_all_is_there(self, client: Client) -> None:
        response = client.get(reverse("readyz"))
        assert (response.status_code, response.json()["checks"]) == (200, {"database": "ok", "migrations": "ok", "redis": "ok"})

    @override_settings(REDIS_URL="unix:///nowhere/redis.sock?db=0")
    def test_names_what_is_away(self, client: Client) -> None:
        response = client.get(reverse("readyz"))
        assert response.status_code == 503
        assert response.json()["checks"]["redis"] == "away"
