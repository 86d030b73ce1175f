"""Live engines over REST: how they are, their cycles, start, stop, reset, and live trading by two people."""

from decimal import Decimal
from uuid import uuid4

import pytest
from django.test import Client
from rest_framework.test import APIClient

from apps.core import clock
from apps.core.roles import Role
from apps.execution.api.engines import EngineCycleSerializer, EngineSerializer
from apps.execution.domain.protection import StopLossConfig
from apps.execution.models import EngineState, Order
from apps.execution.services.engine_health import health_write
from apps.execution.services.engines import engine_want
from apps.execution.tests.factories import make_user
from apps.execution.tests.services.engines.trading import bought, price
from apps.execution.tests.services.test_live import CLOSES, START
from apps.marketdata.tests.factories import make_series, store_series


@pytest.fixture(autouse=True)
def own_folder(settings, tmp_path):
    settings.VAR = tmp_path


@pytest.fixture
def live(desk):
    series = make_series("AAPL", CLOSES, start=START)
    store_series(series)
    engine, n, _ = bought(desk, series, stop_loss=StopLossConfig(max_drawdown_pct=Decimal("0.005")))
    engine_want(engine.engine, user=desk.trader, at=clock.now())
    health_write(engine.engine, token=engine.token, at=clock.now())
    return engine, series, n


def client_of(user):
    client = APIClient()
    client.force_authenticate(user)
    return client


def post(client, path, data=None):
    return client.post(f"/api/v1/engines/{path}", data or {}, format="json", headers={"Idempotency-Key": str(uuid4())})


class TestReads:
    def test_an_engine_says_how_it_is(self, desk, live):
        client, engine = client_of(desk.trader), live[0].engine
        (row,) = client.get("/api/v1/engines/").json()["results"]
        assert set(row) == set(EngineSerializer().fields)
        assert (row["status"], row["mode"], row["strategy"], row["wanted"]) == ("running", "paper", "sma_cross", True)
        assert row["configuration"]["stop_loss"]["max_drawdown_pct"] == "0.005"
        (position,) = row["health"]["positions"]
        assert set(position) == {"symbol", "quantity", "average_cost", "current_price", "unrealized_pnl", "realized_pnl"}
        assert client.get(f"/api/v1/engines/{engine.pk}/").json()["id"] == engine.pk

    def test_a_cycle_explains_its_order(self, desk, live):
        client, engine = client_of(desk.trader), live[0].engine
        cycles = client.get(f"/api/v1/engines/{engine.pk}/cycles/").json()["results"]
        assert set(cycles[0]) == set(EngineCycleSerializer().fields)
        (order,) = client.get(f"/api/v1/engines/{engine.pk}/orders/").json()
        cycle = client.get(f"/api/v1/engines/{engine.pk}/cycles/{order['cycle']}/").json()
        assert [step["number"] for step in cycle["steps"]] == list(range(1, 12))
        assert cycle["decisions"][0]["client_order_id"] == order["client_order_id"]
        assert client.get(f"/api/v1/engines/{engine.pk}/cycles/999/").status_code == 404
        assert client.get(f"/api/v1/engines/{engine.pk}/events/").json()[0]["kind"] == "started"

    def test_health_is_503_when_nobody_is_heard_of(self, desk, live):
        client, engine = client_of(desk.trader), live[0].engine
        assert client.get(f"/api/v1/engines/{engine.pk}/health/").status_code == 200
        EngineState.objects.update(heartbeat_at=engine.created_at.replace(year=2000))
        answer = client.get(f"/api/v1/engines/{engine.pk}/health/")
        assert (answer.status_code, answer.json()["status"]) == (503, "silent")

    def test_health_is_503_while_the_strategy_fails_and_the_page_says_why(self, desk, live):
        client, engine = client_of(desk.trader), live[0].engine
        EngineState.objects.update(failure="ValueError: a price that the model does not know")
        answer = client.get(f"/api/v1/engines/{engine.pk}/health/")
        assert (answer.status_code, answer.json()["status"], answer.json()["failure"][:10]) == (503, "failing", "ValueError")
        browser = Client()
        browser.force_login(desk.trader)
        assert "failed at the last bar: ValueError: a price" in browser.get(f"/engines/{engine.pk}").content.decode()

    def test_engines_of_others_do_not_exist(self, live):
        client = client_of(make_user("stranger", Role.TRADER))
        assert client.get("/api/v1/engines/").json()["results"] == []
        for path in ("", "health/", "cycles/", "orders/", "events/"):
            assert client.get(f"/api/v1/engines/{live[0].engine.pk}/{path}").status_code == 404


class TestControl:
    def test_stop_and_start(self, desk, live):
        client, engine = client_of(desk.trader), live[0].engine
        answer = post(client, f"{engine.pk}/stop/", {"reason": "lunch"})
        assert (answer.status_code, answer.json()["status"]) == (200, "stopped")
        assert post(client, f"{engine.pk}/start/").json()["status"] == "waiting"

    def test_a_breaker_is_reset_by_risk_with_a_reason(self, desk, live):
        engine, series, n = live
        price(series, n, 0.9)
        engine.look(at=clock.now())
        assert Order.objects.filter(side="sell").count() == 1
        row = client_of(desk.trader).get(f"/api/v1/engines/{engine.engine.pk}/").json()
        assert (row["status"], row["circuit_breaker"]["active"]) == ("breaker_open", True)
        assert post(client_of(desk.trader), f"{engine.engine.pk}/reset/", {"reason": "x"}).status_code == 403
        risk = client_of(make_user("rita", Role.RISK))
        assert post(risk, f"{engine.engine.pk}/reset/", {}).status_code == 400
        assert post(risk, f"{engine.engine.pk}/reset/", {"reason": "looked at"}).json()["circuit_breaker"]["active"] is False
        assert post(risk, f"{engine.engine.pk}/reset/", {"reason": "again"}).status_code == 409

    def test_an_auditor_only_reads(self, live):
        client = client_of(make_user("ada", Role.AUDITOR))
        assert client.get(f"/api/v1/engines/{live[0].engine.pk}/").status_code == 200
        for path in ("start/", "stop/"):
            assert post(client, f"{live[0].engine.pk}/{path}").status_code == 403

    def test_an_engine_on_paper_needs_no_approval(self, desk, live):
        assert post(client_of(desk.trader), f"{live[0].engine.pk}/live/", {"reason": "why"}).status_code == 409
        assert post(client_of(desk.trader), f"{live[0].engine.pk}/live/approve/").status_code == 409


class TestPages:
    @pytest.fixture
    def browser(self, client, desk):
        client.force_login(desk.trader)
        return client

    def test_the_list_and_the_engine_and_a_cycle_are_shown(self, browser, live):
        engine = live[0].engine
        assert "sma_cross" in browser.get("/engines").content.decode()
        page = browser.get(f"/engines/{engine.pk}").content.decode()
        for text in ("running", "Max drawdown pct", "BUY AAPL", "Stop", "Positions and stops"):
            assert text in page
        cycle = engine.kept_cycles.order_by("-number").first()
        shown = browser.get(f"/engines/{engine.pk}/cycles/{cycle.number}").content.decode()
        assert "Write the health file" in shown
        rows = browser.get(f"/engines/{engine.pk}?format=csv").content.decode().splitlines()
        assert rows[0].lstrip("\ufeff").startswith("id,")
        assert len(rows) == 2

    def test_people_stop_and_start_it(self, browser, live):
        engine = live[0].engine
        assert "it is stopped" in browser.post(f"/engines/{engine.pk}/do", {"do": "stop"}, follow=True).content.decode()
        assert "it is wanted" in browser.post(f"/engines/{engine.pk}/do", {"do": "start"}, follow=True).content.decode()
        assert "nothing to decide" in browser.post(f"/engines/{engine.pk}/do", {"do": "approve"}, follow=True).content.decode()
        assert "does not reset" in browser.post(f"/engines/{engine.pk}/do", {"do": "reset", "reason": "x"}, follow=True).content.decode()

    def test_without_an_engine_the_page_says_how_one_comes(self, browser):
        assert "manage.py trade" in browser.get("/engines").content.decode()
