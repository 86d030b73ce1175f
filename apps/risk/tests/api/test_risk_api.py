"""REST of risk: who sees what, and the two people of a release."""

from uuid import uuid4

import pytest
import time_machine
from rest_framework.test import APIClient

from apps.core.roles import Role
from apps.core.trading import TradingState
from apps.portfolios.tests.factories import PortfolioFactory
from apps.risk.selectors.state import trading_state
from apps.risk.services.snapshots import snapshots_record
from apps.risk.services.state import trading_halt
from apps.risk.tests.factories import NOW, Desk, person

pytestmark = pytest.mark.django_db


class Scene:
    def __init__(self) -> None:
        self.desk = Desk()
        self.first, self.second = person(Role.RISK), person(Role.RISK)

    def client(self, user) -> APIClient:
        client = APIClient()
        client.force_authenticate(user)
        return client

    def post(self, user, path: str, body: dict, *, key: str | None = None):
        headers = {"Idempotency-Key": key or uuid4().hex} if key != "" else {}
        return self.client(user).post(f"/api/v1/{path}", body, format="json", headers=headers)

    def get(self, user, path: str):
        return self.client(user).get(f"/api/v1/{path}")


@pytest.fixture
def scene():
    with time_machine.travel(NOW, tick=False):
        yield Scene()


def test_the_summary_has_money_as_text_and_the_keys_of_the_first_design(scene) -> None:
    scene.desk.price("95")
    body = scene.get(scene.desk.trader, f"portfolios/{scene.desk.portfolio.pk}/risk/").json()
    assert (body["equity"], body["gross"], body["daily_return"]) == ("99500.0000", "9500.0000", -0.005)
    assert body["trading"]["state"] == "active"
    assert {limit["kind"]: limit["state"] for limit in body["limits"]}["position_value"] == "ok"
    assert {"vix_current", "vix_regime", "stop_loss_threshold", "positions_at_risk"} <= body.keys()


def test_others_portfolios_do_not_exist(scene) -> None:
    other = PortfolioFactory()
    assert scene.get(scene.desk.trader, f"portfolios/{other.pk}/risk/").status_code == 404
    assert scene.get(scene.desk.trader, f"trading-state/?portfolio={other.pk}").status_code == 404
    assert scene.get(scene.first, f"portfolios/{other.pk}/risk/").status_code == 200
    seen = {limit["portfolio"] for limit in scene.get(scene.desk.trader, "limits/").json()["results"]}
    assert seen == {scene.desk.portfolio.pk}


@pytest.mark.parametrize("path", ["trading-state/?portfolio=x", "trading-state/?desk=1", "limits/?kinds=drawdown", "limits/?kind=luck"])
def test_a_wrong_parameter_is_refused(scene, path) -> None:
    answer = scene.get(scene.first, path)
    assert answer.status_code == 400
    assert answer.json()["errors"]


def test_a_halt_is_released_by_two(scene) -> None:
    portfolio = scene.desk.portfolio.pk
    trading_halt(portfolio_id=portfolio, user=scene.desk.trader, reason="Prices look wrong", at=NOW)
    state = scene.get(scene.desk.trader, f"trading-state/?portfolio={portfolio}").json()
    assert (state["state"], state["flatten"], state["scope"], state["by"]) == ("halted", False, "portfolio", scene.desk.trader.username)
    assert scene.post(scene.desk.trader, "release/", {"portfolio": portfolio, "reason": "x"}).status_code == 403
    asked = scene.post(scene.first, "release/", {"portfolio": portfolio, "reason": "Checked"})
    assert asked.status_code == 201
    path = f"release/{asked.json()['id']}/approve/"
    alone = scene.post(scene.first, path, {})
    assert (alone.status_code, alone.json()["code"]) == (403, "NOT_PERMITTED")
    assert trading_state(portfolio).state is TradingState.HALTED
    assert scene.post(scene.second, path, {}).status_code == 201
    assert trading_state(portfolio).state is TradingState.ACTIVE
    assert scene.post(scene.second, path, {}).status_code == 409


def test_nobody_unknown_gets_in(scene) -> None:
    assert APIClient().get("/api/v1/trading-state/").status_code == 401
    assert APIClient().post("/api/v1/release/", {"reason": "x"}, format="json").status_code == 401


CHANGE = {"kind": "position_value", "hard": "40000", "reason": "Less risk"}


def test_a_limit_is_changed_by_two_people_over_rest(scene) -> None:
    body = CHANGE | {"portfolio": scene.desk.portfolio.pk}
    assert scene.post(scene.desk.trader, "limit-changes/", body).status_code == 403
    asked = scene.post(scene.first, "limit-changes/", body)
    assert (asked.status_code, asked.json()["state"], asked.json()["hard"]) == (201, "pending", "40000.000000")
    path = f"limit-changes/{asked.json()['id']}/"
    assert scene.post(scene.first, f"{path}decide/", {"approve": True}).status_code == 403
    replay = scene.get(scene.second, f"{path}replay/?days=7").json()
    assert (replay["replayable"], replay["days"], replay["judged"], replay["orders"]) == (True, 7, 0, [])
    assert scene.get(scene.second, f"{path}replay/?days=0").status_code == 400
    assert scene.post(scene.second, f"{path}decide/", {"approve": False}).status_code == 400
    decided = scene.post(scene.second, f"{path}decide/", {"approve": True})
    assert (decided.status_code, decided.json()["state"]) == (200, "approved")
    assert scene.post(scene.second, f"{path}decide/", {"approve": True}).status_code == 409
    uses = {use["kind"]: use for use in scene.get(scene.desk.trader, f"portfolios/{scene.desk.portfolio.pk}/limits/").json()}
    assert (uses["position_value"]["hard"], uses["position_value"]["utilisation"]) == ("40000.000000", 0.25)
    assert (uses["position_value"]["scope"], uses["order_size"]["scope"]) == ("portfolio", "desk")


def test_changes_of_other_portfolios_do_not_exist_and_bad_ones_are_refused(scene) -> None:
    other = scene.post(scene.first, "limit-changes/", CHANGE | {"portfolio": PortfolioFactory().pk}).json()["id"]
    assert scene.get(scene.desk.trader, f"limit-changes/{other}/").status_code == 404
    assert scene.get(scene.desk.trader, "limit-changes/?state=pending").json()["results"] == []
    assert scene.post(scene.second, f"limit-changes/{other}/withdraw/", {}).status_code == 403
    assert scene.post(scene.first, f"limit-changes/{other}/withdraw/", {}).json()["state"] == "withdrawn"
    for wrong, status in (({"book": "no such"}, 404), ({"instrument": "NOSUCH"}, 404), ({"sector": "energy"}, 400), ({"kind": "luck"}, 400)):
        body = CHANGE | {"portfolio": scene.desk.portfolio.pk} | wrong
        assert scene.post(scene.first, "limit-changes/", body).status_code == status
    history = f"portfolios/{scene.desk.portfolio.pk}/limits/history/"
    assert scene.get(scene.desk.trader, f"{history}?kind=leverage").json() == []
    for days in ("x", "-1", "99999999999"):
        assert scene.get(scene.desk.trader, f"{history}?kind=leverage&days={days}").status_code == 400


def test_the_measures_say_why_there_is_no_number(scene) -> None:
    body = scene.get(scene.desk.trader, f"portfolios/{scene.desk.portfolio.pk}/risk/").json()["measures"]
    assert (body["state"], body["without_history"]) == ("no_history", [scene.desk.symbol])
    assert {number["value"] for number in body["var"] + body["es"]} == {None}
    assert (body["exposure"]["gross"], body["contributions"]) == (10_000, [])


def test_back_test_and_history_over_rest(scene) -> None:
    path = f"risk/{scene.desk.portfolio.pk}"
    tests = scene.get(scene.desk.trader, f"{path}/backtest/?method=normal").json()
    assert [(test["confidence"], test["state"], test["observations"]) for test in tests] == [
        (0.95, "insufficient_data", 0),
        (0.99, "insufficient_data", 0),
    ]
    assert scene.get(scene.desk.trader, f"{path}/backtest/?hypothetical=true").json() == []
    assert scene.get(scene.desk.trader, f"{path}/history/").json() == []
    snapshots_record(now=NOW)
    (row,) = scene.get(scene.desk.trader, f"{path}/history/?start=2026-11-20T15:00:00Z").json()
    assert (row["state"], row["ts"], row["var_99"], row["gross"]) == ("no_history", "2026-11-20T15:00:00Z", None, 10_000)
    assert scene.get(scene.desk.trader, f"{path}/history/?end=2026-11-20T14:00:00Z").json() == []
    for bad in ("backtest/?method=guess", "backtest/?hypothetical=maybe", "history/?start=today", "history/?page=2"):
        assert scene.get(scene.desk.trader, f"{path}/{bad}").status_code == 400
    assert scene.get(scene.desk.trader, f"risk/{PortfolioFactory().pk}/history/").status_code == 404
