"""The kill switch on every page, by REST and at the command line."""

import json
from io import StringIO
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from rest_framework.test import APIClient

from apps.core.roles import Role
from apps.execution.tests.factories import Desk, make_user
from apps.portfolios.services.portfolios import membership_grant
from apps.risk.models import TradingStateChange
from apps.risk.selectors.state import trading_state


@pytest.fixture
def client(desk: Desk) -> Client:
    client = Client()
    client.force_login(desk.trader)
    return client


def state_of(desk: Desk) -> tuple[str, bool]:
    view = trading_state(desk.portfolio.pk)
    return str(view.state), view.flatten


class TestPage:
    @pytest.mark.parametrize("whole_desk", [False, True])
    def test_a_halt_without_a_level_stops_the_scope_and_every_page_says_so(self, desk: Desk, client: Client, whole_desk: bool) -> None:
        scope = "desk" if whole_desk else desk.portfolio.pk
        response = client.post("/risk/halt", {"scope": scope, "reason": "prices look wrong", "next": "/alerts"})
        assert response["Location"] == "/alerts"
        assert state_of(desk) == ("halted", False)
        assert (trading_state(None).state == "halted") is whole_desk
        html = client.get("/settings").content.decode()
        assert "prices look wrong" in html
        assert 'id="halt-banner" role="alert">' in html
        assert 'data-state="halted"' in html

    @pytest.mark.parametrize(
        ("level", "state", "banner", "told"),
        [
            ("pause", ("reducing", False), "REDUCING ONLY", "reductions pass"),
            ("cancel", ("halted", False), "TRADING IS HALTED", "being cancelled"),
            ("flatten", ("reducing", True), "FLATTENING", "positions closed at the market"),
        ],
    )
    def test_three_levels(self, desk: Desk, client: Client, level: str, state: tuple[str, bool], banner: str, told: str) -> None:
        html = client.post("/risk/halt", {"scope": desk.portfolio.pk, "reason": "x", "level": level}, follow=True).content.decode()
        assert told in html
        assert banner in html
        assert state_of(desk) == state

    @pytest.mark.parametrize(
        ("fields", "told"),
        [
            ({"reason": ""}, "a reason is required"),
            ({"scope": "everything", "reason": "x"}, "say what to halt"),
            ({"scope": "999999", "reason": "x"}, "no portfolio"),
            ({"reason": "x", "level": "sell everything"}, "three levels"),
        ],
    )
    def test_a_halt_that_makes_no_sense_stops_nothing(self, desk: Desk, client: Client, fields: dict[str, str], told: str) -> None:
        assert told in client.post("/risk/halt", {"scope": desk.portfolio.pk, **fields}, follow=True).content.decode()
        assert not TradingStateChange.objects.exists()

    def test_who_may_not_halt_is_told_so(self, desk: Desk, client: Client) -> None:
        quant = make_user("quant", Role.QUANT)
        membership_grant(portfolio_id=desk.portfolio.pk, user_id=quant.pk, role="viewer")
        client.force_login(quant)
        assert "may not halt trading" in client.post("/risk/halt", {"scope": desk.portfolio.pk, "reason": "x"}, follow=True).content.decode()
        assert state_of(desk) == ("active", False)


class TestRest:
    @pytest.fixture
    def rest(self, desk: Desk) -> APIClient:
        rest = APIClient()
        rest.force_authenticate(desk.trader)
        return rest

    def post(self, rest: APIClient, body: dict, *, key: str | None = None):
        headers = {"Idempotency-Key": key or uuid4().hex} if key != "" else {}
        return rest.post("/api/v1/halt/", body, format="json", headers=headers)

    @pytest.mark.parametrize(
        ("body", "state"),
        [
            ({}, ("halted", False)),
            ({"reduce": True}, ("reducing", False)),
            ({"level": "pause"}, ("reducing", False)),
            ({"level": "cancel"}, ("halted", False)),
            ({"level": "flatten"}, ("reducing", True)),
        ],
    )
    def test_three_levels_and_the_older_name(self, desk: Desk, rest: APIClient, body: dict, state: tuple[str, bool]) -> None:
        answer = self.post(rest, {"portfolio": desk.portfolio.pk, "reason": "x", **body})
        assert (answer.status_code, (answer.json()["state"], answer.json()["flatten"])) == (201, state)
        assert state_of(desk) == state

    def test_a_repeated_halt_is_one_halt(self, desk: Desk, rest: APIClient) -> None:
        body, key = {"reason": "Fire drill"}, uuid4().hex
        first, second = (self.post(rest, body, key=key) for _ in range(2))
        assert (first.json(), second.headers["Idempotent-Replayed"]) == (second.json(), "true")
        assert TradingStateChange.objects.filter(portfolio=None).count() == 1
        assert trading_state(desk.portfolio.pk).desk

    @pytest.mark.parametrize(
        ("body", "key", "status"),
        [
            ({"reason": "x"}, "", 400),
            ({}, None, 400),
            ({"reason": ""}, None, 400),
            ({"reason": "x", "portfolios": 1}, None, 400),
            ({"reason": "x", "portfolio": 0}, None, 400),
            ({"reason": "x", "level": "stop"}, None, 400),
            ({"reason": "x", "level": "flatten", "reduce": True}, None, 400),
            ({"reason": "x", "portfolio": 999_999_999}, None, 404),
        ],
    )
    def test_a_bad_halt_halts_nothing(self, rest: APIClient, body: dict, key: str | None, status: int) -> None:
        assert self.post(rest, body, key=key).status_code == status
        assert not TradingStateChange.objects.exists()

    def test_the_preview_counts_and_is_of_one_s_own_portfolios(self, desk: Desk, rest: APIClient) -> None:
        desk.submit(quantity="10")
        body = rest.get(f"/api/v1/halt/preview/?portfolio={desk.portfolio.pk}").json()
        assert (body["positions"], body["gross"], body["working_orders"], body["flatten_refused"]) == (1, "1000.0000", 0, "")
        assert rest.get("/api/v1/halt/preview/").json()["portfolios"] == 1
        assert rest.get("/api/v1/halt/preview/?portfolio=x").status_code == 400
        rest.force_authenticate(make_user("stranger", Role.TRADER))
        assert rest.get(f"/api/v1/halt/preview/?portfolio={desk.portfolio.pk}").status_code == 404

    def test_nobody_unknown_gets_in(self, db: None) -> None:
        assert APIClient().post("/api/v1/halt/", {"reason": "x"}, format="json").status_code == 401
        assert APIClient().get("/api/v1/halt/preview/").status_code == 401


class TestCommand:
    def run(self, *args: str) -> dict:
        out = StringIO()
        call_command("halt", *args, "--json", stdout=out)
        return json.loads(out.getvalue())

    def test_the_desk_by_the_command_line(self, db: None) -> None:
        assert self.run("--reason", "Fire drill")["state"] == "halted"
        assert trading_state(None).by == "command line"

    @pytest.mark.parametrize("option", [("--reduce",), ("--level", "pause")])
    def test_one_portfolio_by_name(self, desk: Desk, option: tuple[str, ...]) -> None:
        found = self.run("--portfolio", desk.portfolio.name, "--reason", "x", "--user", desk.trader.username, *option)
        assert found["state"] == "reducing"
        assert trading_state(desk.portfolio.pk).by == desk.trader.username
        assert trading_state(None).state == "active"

    def test_flattening_in_somebody_s_name(self, desk: Desk) -> None:
        name = desk.portfolio.name
        assert self.run("--portfolio", name, "--reason", "out", "--user", desk.trader.username, "--level", "flatten")["flatten"] is True

    @pytest.mark.parametrize(
        ("args", "code", "text"),
        [
            (("--reason", "x", "--portfolio", "Nowhere"), 2, "no portfolio 'Nowhere'"),
            (("--reason", " "), 2, "reason"),
            (("--reason", "x", "--level", "flatten"), 4, "takes a person"),
        ],
    )
    def test_refusals_say_why(self, db: None, args: tuple[str, ...], code: int, text: str) -> None:
        with pytest.raises(CommandError) as caught:
            call_command("halt", *args, stdout=StringIO(), stderr=StringIO())
        assert (caught.value.returncode, text in str(caught.value)) == (code, True)
        assert not TradingStateChange.objects.exists()
