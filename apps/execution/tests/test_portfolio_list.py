"""The list of portfolios with drift and mode, opening one and closing one: here, because the account comes from this app."""

from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from rest_framework.test import APIClient

from apps.core import clock
from apps.core.roles import Role
from apps.execution.models import BrokerageAccount
from apps.execution.services.algos import algo_submit
from apps.execution.services.orders import order_cancel
from apps.execution.tests.factories import Desk, make_user
from apps.execution.tests.services.rebalancing_desk import make_fund, targets
from apps.portfolios.models import Portfolio
from apps.portfolios.services.portfolios import membership_grant

pytestmark = pytest.mark.django_db

GOOD = {"name": "Beta", "initial_capital": "50000.50", "benchmark_symbol": "", "optimizer_type": "equal", "num_positions": "12"}


@pytest.fixture
def desk(db: None) -> Desk:
    return make_fund()


@pytest.fixture
def client(desk: Desk) -> Client:
    return signed_in(desk.trader)


def signed_in(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def told(response: Any) -> list[str]:
    return [str(message) for message in get_messages(response.wsgi_request)]


class TestList:
    def test_it_shows_drift_and_mode(self, desk, client):
        html = client.get("/portfolios").content.decode()
        assert "There are no targets" in html
        assert "<td>paper</td>" in html
        targets(desk, AAPL="0.25")
        BrokerageAccount.objects.update(broker="ib", mode="live", number="U1234567")
        html = client.get("/portfolios").content.decode()
        assert 'title="Above the threshold of 5.0 %">25.0 %</a>' in html
        assert ">live</span>" in html

    def test_several_are_asked_for_together(self, desk, client, django_assert_max_num_queries):
        targets(desk, AAPL="0.25")
        for name in ("one", "two", "three"):
            client.post("/portfolios/new", {**GOOD, "name": name})
            targets(
                Desk(trader=desk.trader, portfolio=Portfolio.objects.get(name=name), account=desk.account, instrument=desk.instrument), MSFT="0.5"
            )
        with django_assert_max_num_queries(22):
            html = client.get("/portfolios").content.decode()
        assert html.count(">50.0 %</a>") == 3


class TestOpen:
    def test_it_opens_on_paper(self, desk, client, django_capture_on_commit_callbacks):
        with django_capture_on_commit_callbacks(execute=True):
            answer = client.post("/portfolios/new", GOOD)
        found = Portfolio.objects.get(name="Beta")
        assert answer["Location"] == f"/portfolios/{found.pk}"
        assert (found.optimizer_type, found.num_positions) == ("equal", 12)
        assert BrokerageAccount.objects.get(portfolio=found).mode == "paper"
        assert found.memberships.get().user == desk.trader

    @pytest.mark.parametrize(
        ("change", "why"),
        [
            ({"name": " "}, "has a name"),
            ({"name": "x" * 101}, "has a name"),
            ({"initial_capital": "lots"}, "is no number"),
            ({"initial_capital": "NaN"}, "not a finite number"),
            ({"initial_capital": "-5"}, "must be positive"),
            ({"benchmark_symbol": "NOSUCH"}, "NOSUCH"),
            ({"optimizer_type": "magic"}, "magic"),
            ({"num_positions": "many"}, "no whole number"),
            ({"num_positions": "201"}, "1 to 200 positions"),
        ],
    )
    def test_what_is_refused_stays_in_the_form(self, client, change, why):
        answer = client.post("/portfolios/new", GOOD | change)
        html = answer.content.decode()
        assert answer.status_code == 400
        assert "The portfolio was not opened" in html
        assert why in html
        assert 'value="50000.50"' in html or "initial_capital" in change
        assert Portfolio.objects.count() == 1

    def test_a_name_is_taken_once(self, desk, client):
        answer = client.post("/portfolios/new", GOOD | {"name": desk.portfolio.name})
        assert answer.status_code == 409
        assert "already" in answer.content.decode()

    def test_who_may_not_open_any_sees_no_form(self, desk):
        officer = signed_in(make_user("officer", Role.COMPLIANCE))
        assert "new-portfolio" not in officer.get("/portfolios").content.decode()
        assert officer.post("/portfolios/new", GOOD).status_code == 403
        assert Portfolio.objects.count() == 1


class TestClose:
    def test_it_is_closed_and_the_reason_kept(self, desk, client):
        assert "Close…" in client.get("/portfolios").content.decode()
        assert told(client.post(f"/portfolios/{desk.portfolio.pk}/close", {"reason": "merged"})) == [
            f"{desk.portfolio.name} is closed. Its numbers stay."
        ]
        assert Portfolio.objects.get().status == "closed"
        assert Portfolio.objects.get().history.first().history_change_reason == "merged"
        assert "Close…" not in client.get("/portfolios").content.decode()

    def test_without_a_reason_or_with_positions_it_stays_open(self, desk, client):
        assert "with a reason" in told(client.post(f"/portfolios/{desk.portfolio.pk}/close", {"reason": " "}))[0]
        desk.submit()
        assert "open positions" in told(client.post(f"/portfolios/{desk.portfolio.pk}/close", {"reason": "done"}))[-1]
        assert Portfolio.objects.get().status == "active"

    def test_over_a_working_order_it_stays_open_and_says_so(self, desk, client):
        """It would fill after the close, and nobody may sell in a closed portfolio."""
        url = f"/portfolios/{desk.portfolio.pk}/close"
        order = desk.submit(order_type="limit", limit_price="90", time_in_force="gtc")
        answer = client.post(url, {"reason": "done"}, follow=True)
        why = f"{desk.portfolio.name} still has working orders of AAPL: cancel them first"
        assert f"The portfolio stays open: {why}" in answer.content.decode()
        api = APIClient()
        api.force_authenticate(desk.trader)
        refused = api.delete(f"/api/v1/portfolios/{desk.portfolio.pk}/")
        assert (refused.status_code, refused.json()["detail"]) == (409, why)
        assert Portfolio.objects.get().status == "active"
        order_cancel(user=desk.trader, order_id=order.pk, at=clock.now())
        assert api.delete(f"/api/v1/portfolios/{desk.portfolio.pk}/").status_code == 204

    def test_over_a_parent_that_has_sent_nothing_yet_it_stays_open(self, desk, client):
        parent = {"portfolio_id": desk.portfolio.pk, "symbol": "AAPL", "side": "buy", "quantity": "600"}
        algo_submit(user=desk.trader, algo="twap", at=clock.now(), parameters={"slices": 6}, **parent)
        assert "working orders of AAPL" in told(client.post(f"/portfolios/{desk.portfolio.pk}/close", {"reason": "done"}))[0]

    def test_only_a_manager_closes_it(self, desk):
        other = make_user("other", Role.TRADER)
        membership_grant(portfolio_id=desk.portfolio.pk, user_id=other.pk, role="trader")
        client = signed_in(other)
        assert "Close…" not in client.get("/portfolios").content.decode()
        assert "only a manager" in told(client.post(f"/portfolios/{desk.portfolio.pk}/close", {"reason": "mine now"}))[0]
        assert Portfolio.objects.get().status == "active"
