"""Targets, drift, rebalances and trades over REST, with the keys of the first design."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission
from rest_framework.test import APIClient

from apps.core.roles import Role
from apps.execution.models import BrokerageAccount, Order
from apps.execution.tests.factories import Desk, make_user
from apps.execution.tests.services.rebalancing_desk import MARKET, make_fund, prices, targets
from apps.portfolios.tests.factories import PortfolioFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def desk(db: None) -> Desk:
    return make_fund()


@pytest.fixture
def client(desk: Desk) -> APIClient:
    client = APIClient()
    client.force_authenticate(desk.trader)
    return client


def post(client, path, data, key=None):
    return client.post(f"/api/v1/{path}", data, format="json", headers={"Idempotency-Key": key or str(uuid4())})


def of(desk, path=""):
    return f"portfolios/{desk.portfolio.pk}/{path}"


def pointers(response):
    return [error["pointer"] for error in response.json()["errors"]]


class TestTargets:
    GOOD = {"weights": {"AAPL": "0.5", "MSFT": "0.3"}, "reason": "new model", "stop_loss": "exit", "drift_threshold": "0.04"}

    def put(self, client, desk, **change):
        return client.put(f"/api/v1/{of(desk, 'targets/')}", {**self.GOOD, **change}, format="json")

    def test_they_are_set_and_kept(self, client, desk):
        first = self.put(client, desk)
        assert first.status_code == 200
        body = first.json()
        assert body["weights"] == {"AAPL": "0.500000", "MSFT": "0.300000"}
        assert (body["effective_on"], body["reason"], body["stop_loss"]) == ("2024-01-03", "new model", "exit")
        assert (body["drift_threshold"], body["band"], body["drift_check"], body["schedule"]) == ("0.04000000", "0.00500000", "weekly", "never")
        assert self.put(client, desk).json()["id"] == body["id"]
        self.put(client, desk, weights={"IBM": "1"}, reason="all in", effective_on="2024-02-01")
        history = client.get(f"/api/v1/{of(desk, 'targets/')}").json()
        assert [(one["effective_on"], one["reason"], one["created_by"]) for one in history] == [
            ("2024-02-01", "all in", desk.trader.username),
            ("2024-01-03", "new model", desk.trader.username),
        ]
        assert client.get(f"/api/v1/{of(desk, 'drift/')}").json()["targets_id"] == body["id"]

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"weights": {"AAPL": "0.6", "MSFT": "0.5"}}, "/weights"),
            ({"weights": {"NOPE": "0.1"}}, "/weights"),
            ({"weights": {"AAPL": "-0.1"}}, "/weights"),
            ({"reason": " "}, "/reason"),
            ({"effective_on": "2024-01-02"}, "/effective_on"),
            ({"drift_threshold": "0"}, "/drift_threshold"),
            ({"stop_loss": "panic"}, "/stop_loss"),
            ({"nothing": 1}, "/nothing"),
        ],
    )
    def test_bad_input_names_its_field_and_changes_nothing(self, client, desk, change, field):
        response = self.put(client, desk, **change)
        assert (response.status_code, pointers(response)) == (400, [field])
        assert client.get(f"/api/v1/{of(desk, 'targets/')}").json() == []

    def test_only_a_manager_sets_them(self, desk):
        stranger = APIClient()
        stranger.force_authenticate(make_user("stranger", Role.TRADER))
        assert self.put(stranger, desk).status_code == 404
        officer = APIClient()
        officer.force_authenticate(make_user("officer", Role.RISK))
        assert self.put(officer, desk).status_code == 403


class TestDrift:
    def test_it_has_the_keys_of_the_first_design(self, client, desk):
        desk.submit(quantity="100")
        targets(desk, AAPL="0.2", MSFT="0.3")
        body = client.get(f"/api/v1/{of(desk, 'drift/')}").json()
        assert body["max_drift"] == pytest.approx(0.3)
        assert body["total_drift"] == pytest.approx(0.4, abs=1e-4)
        assert body["exceeded"] is True
        assert [position["ticker"] for position in body["positions"]] == ["MSFT", "AAPL"]
        aapl = body["positions"][1]
        assert (aapl["target_weight"], aapl["shares"], aapl["stopped"]) == (0.2, "100.000000", False)
        assert aapl["drift"] == pytest.approx(-0.1, abs=1e-4)

    def test_without_targets_it_is_unknown(self, client, desk):
        body = client.get(f"/api/v1/{of(desk, 'drift/')}").json()
        assert (body["max_drift"], body["positions"], body["exceeded"]) == (None, [], False)

    def test_positions_have_their_targets(self, client, desk):
        desk.submit(quantity="100")
        [position] = client.get(f"/api/v1/{of(desk, 'positions/')}").json()
        assert position["target_weight"] is None
        targets(desk, AAPL="0.2")
        [position] = client.get(f"/api/v1/{of(desk, 'positions/')}").json()
        assert position["target_weight"] == 0.2
        assert {"ticker", "current_weight", "target_weight", "unrealized_pnl", "shares", "entry_price", "current_price"} <= position.keys()


class TestRebalance:
    def test_propose_execute_and_what_is_left_of_it(self, client, desk):
        targets(desk, AAPL="0.5", MSFT="0.3")
        proposed = post(client, of(desk, "rebalance/"), {"force": False})
        assert proposed.status_code == 201
        body = proposed.json()
        assert [(t["ticker"], t["side"], t["quantity"]) for t in body["trades"]] == [("AAPL", "buy", "500"), ("MSFT", "buy", "600")]
        assert (body["estimated_cost"], body["reason"], body["proposal"]["status"]) == ("42.0000", "drift_threshold", "pending")
        key = str(uuid4())
        wanted = {"proposal_id": body["proposal_id"], "trades": body["trades"]}
        done = post(client, of(desk, "execute-rebalance/"), wanted, key)
        assert done.status_code == 200
        answer = done.json()
        assert [(t["ticker"], t["quantity"], t["status"], t["price"]) for t in answer["executed_trades"]] == [
            ("AAPL", "500", "filled", "100.05"),
            ("MSFT", "600", "filled", "50.025"),
        ]
        assert (answer["status"], answer["total_cost"]) == ("executed", "42.0000")
        assert [(p["ticker"], p["shares"], p["target_weight"]) for p in answer["new_positions"]] == [
            ("AAPL", "500.000000", 0.5),
            ("MSFT", "600.000000", 0.3),
        ]
        again = post(client, of(desk, "execute-rebalance/"), wanted, key)
        assert (again.json(), again.headers["Idempotent-Replayed"]) == (answer, "true")
        twice = post(client, of(desk, "execute-rebalance/"), wanted)
        assert (twice.status_code, Order.objects.count()) == (409, 2)
        assert "executed once" in twice.json()["detail"]
        events = client.get(f"/api/v1/{of(desk, 'rebalance-events/')}").json()["results"]
        assert [(e["status"], e["num_trades"], e["total_cost"]) for e in events] == [
            ("executed", 2, "42.0000"),
            ("executing", 2, "42.0000"),
            ("pending", 2, "42.0000"),
        ]
        assert {"id", "portfolio_id", "date", "reason", "max_drift", "num_trades", "total_cost", "status", "created_at"} <= events[0].keys()
        [kept] = client.get(f"/api/v1/{of(desk, 'rebalances/')}").json()["results"]
        assert (kept["id"], kept["status"]) == (body["proposal_id"], "executed")

    def test_nothing_to_do_is_said(self, client, desk):
        targets(desk, AAPL="0.01")
        response = post(client, of(desk, "rebalance/"), {})
        assert response.status_code == 200
        body = response.json()
        assert (body["trades"], body["estimated_cost"], body["proposal_id"]) == ([], "0.0000", None)
        assert "not above the threshold" in body["detail"]

    def test_force_proposes_all_the_same(self, client, desk):
        targets(desk, AAPL="0.01")
        body = post(client, of(desk, "rebalance/"), {"force": True}).json()
        assert (body["reason"], [t["quantity"] for t in body["trades"]]) == ("forced", ["10"])

    def test_a_stale_one_is_a_conflict_that_says_why(self, client, desk):
        targets(desk, AAPL="0.5")
        post(client, of(desk, "rebalance/"), {})
        prices(AAPL="110")
        response = post(client, of(desk, "execute-rebalance/"), {})
        assert response.status_code == 409
        assert "the price of AAPL has moved by 10.00 %" in response.json()["detail"]

    def test_the_body_of_the_first_design_is_enough(self, client, desk):
        """`{trades: [...]}` alone is of the newest proposal."""
        targets(desk, AAPL="0.5", MSFT="0.3")
        trades = post(client, of(desk, "rebalance/"), {}).json()["trades"]
        answer = post(client, of(desk, "execute-rebalance/"), {"trades": trades[1:]}).json()
        assert [t["ticker"] for t in answer["executed_trades"]] == ["MSFT"]

    @pytest.mark.parametrize("path", ["rebalance/", "execute-rebalance/"])
    def test_others_do_not_find_it(self, desk, path):
        stranger = APIClient()
        stranger.force_authenticate(make_user("stranger", Role.TRADER))
        assert post(stranger, of(desk, path), {}).status_code == 404
        for path in ("drift/", "targets/", "rebalances/", "rebalance-events/", "trades/"):
            assert stranger.get(f"/api/v1/{of(desk, path)}").status_code == 404

    def test_the_key_is_required(self, client, desk):
        assert client.post(f"/api/v1/{of(desk, 'execute-rebalance/')}", {}, format="json").status_code == 400


class TestTrades:
    def test_a_portfolio_s_trades_by_market_date(self, client, desk):
        desk.submit(quantity="10")
        prices(at=MARKET + timedelta(days=1), AAPL="110")
        desk.submit(side="sell", quantity="4")
        path = f"/api/v1/{of(desk, 'trades/')}"
        rows = client.get(path).json()["results"]
        assert [(r["ticker"], r["side"], r["quantity"], r["price"], r["status"]) for r in rows] == [
            ("AAPL", "sell", "4", "109.945", "executed"),
            ("AAPL", "buy", "10", "100.05", "executed"),
        ]
        assert (rows[0]["total_value"], rows[0]["commission"], rows[0]["slippage"]) == ("439.78", "1", "0.22")
        assert {"id", "executed_at"} <= rows[0].keys()
        assert [r["side"] for r in client.get(f"{path}?start_date=2024-01-04").json()["results"]] == ["sell"]
        assert [r["side"] for r in client.get(f"{path}?start_date=2024-01-03&end_date=2024-01-03").json()["results"]] == ["buy"]
        assert client.get(f"{path}?since=2024-01-03").status_code == 400

    def test_a_trade_by_hand_goes_through_the_gate(self, client, desk):
        wanted = {"portfolio_id": desk.portfolio.pk, "ticker": "AAPL", "side": "buy", "quantity": "10"}
        body = post(client, "trades/", wanted).json()
        assert (body["status"], body["price"], body["total_value"], body["commission"]) == ("executed", "100.05", "1000.5", "1")
        assert Order.objects.get(pk=body["id"]).decisions.count() == 2
        waiting = post(client, "trades/", {**wanted, "price": "90"}).json()
        assert (waiting["status"], waiting["price"], waiting["executed_at"]) == ("pending", None, None)
        denied = post(client, "trades/", {**wanted, "quantity": "100000"})
        assert (denied.status_code, denied.json()["code"]) == (422, "ORDER_DENIED")

    @pytest.mark.parametrize(("change", "field"), [({"price": "90.001"}, "/price"), ({"quantity": "0.5"}, "/quantity"), ({"side": "hold"}, "/side")])
    def test_bad_input_names_the_trade_s_field(self, client, desk, change, field):
        wanted = {"portfolio_id": desk.portfolio.pk, "ticker": "AAPL", "side": "buy", "quantity": "10"}
        response = post(client, "trades/", {**wanted, **change})
        assert (response.status_code, pointers(response)) == (400, [field])


class TestPortfolios:
    def test_one_that_is_opened_can_trade_at_once(self, client, desk, django_capture_on_commit_callbacks):
        desk.trader.user_permissions.add(Permission.objects.get(codename="add_portfolio"))
        wanted = {"name": "New", "optimizer_type": "mvo", "num_positions": 12, "initial_capital": "50000", "is_paper_trading": True}
        with django_capture_on_commit_callbacks(execute=True):
            made = client.post("/api/v1/portfolios/", wanted, format="json")
        assert made.status_code == 201
        body = client.get(made.headers["Location"]).json()
        assert (body["name"], body["optimizer_type"], body["num_positions"], body["is_paper_trading"]) == ("New", "mvo", 12, True)
        assert (body["status"], body["positions"], body["performance"]["total_return"]) == ("active", [], 0.0)
        assert BrokerageAccount.objects.get(portfolio_id=body["id"]).mode == "paper"

    @pytest.mark.parametrize(
        ("change", "field"), [({"is_paper_trading": False}, "/is_paper_trading"), ({"optimizer_type": "best"}, "/optimizer_type")]
    )
    def test_a_live_one_is_not_opened_here(self, client, desk, change, field):
        desk.trader.user_permissions.add(Permission.objects.get(codename="add_portfolio"))
        response = client.post("/api/v1/portfolios/", {"name": "New", "initial_capital": "50000", **change}, format="json")
        assert (response.status_code, pointers(response)) == (400, [field])

    def test_one_without_account_says_so(self, client, desk):
        PortfolioFactory(owner=desk.trader, name="zz")
        rows = client.get("/api/v1/portfolios/").json()["results"]
        assert [row["is_paper_trading"] for row in rows] == [True, None]
