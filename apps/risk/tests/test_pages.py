"""The risk page and the end of a halt."""

import pytest
from django.test import Client

from apps.core.roles import Role
from apps.portfolios.models import Portfolio
from apps.portfolios.services.portfolios import membership_grant
from apps.portfolios.tests.factories import PortfolioFactory
from apps.risk.models import ReleaseRequest
from apps.risk.selectors.state import trading_state
from apps.risk.services.state import trading_halt
from apps.risk.tests.factories import NOW, person


@pytest.fixture
def portfolio(db: None) -> Portfolio:
    return PortfolioFactory(name="fund")


def client_of(role: Role, portfolio: Portfolio | None = None) -> Client:
    user = person(role)
    if portfolio is not None:
        membership_grant(portfolio_id=portfolio.pk, user_id=user.pk, role="viewer")
    client = Client()
    client.force_login(user)
    return client


def test_without_limits_the_page_says_what_follows(portfolio: Portfolio) -> None:
    assert "Without limits every order is denied" in client_of(Role.RISK).get("/risk").content.decode()


def test_without_a_portfolio_the_page_says_why_it_is_empty(db: None) -> None:
    assert "You are a member of none" in client_of(Role.TRADER).get("/risk").content.decode()


def halted(portfolio: Portfolio) -> None:
    trading_halt(portfolio_id=portfolio.pk, user=None, reason="drill", at=NOW)


def test_release_takes_two_people(portfolio: Portfolio) -> None:
    first, second = client_of(Role.RISK), client_of(Role.COMPLIANCE)
    halted(portfolio)
    first.post("/risk/release", {"scope": portfolio.pk, "reason": "drill over"})
    request = ReleaseRequest.objects.get()
    assert "Approve release" not in first.get("/risk").content.decode()
    assert "needs two different people" in first.post(f"/risk/release/{request.pk}/approve", follow=True).content.decode()
    assert trading_state(portfolio.pk).state == "halted"
    assert "Approve release" in second.get("/risk").content.decode()
    assert "Trading is released" in second.post(f"/risk/release/{request.pk}/approve", follow=True).content.decode()
    assert trading_state(portfolio.pk).state == "active"


def test_a_request_can_be_withdrawn(portfolio: Portfolio) -> None:
    client = client_of(Role.RISK)
    halted(portfolio)
    client.post("/risk/release", {"scope": portfolio.pk, "reason": "drill over"})
    client.post(f"/risk/release/{ReleaseRequest.objects.get().pk}/withdraw")
    assert ReleaseRequest.objects.get().state == "withdrawn"
    assert trading_state(portfolio.pk).state == "halted"


def test_drawdown_chart_without_values_says_why(portfolio: Portfolio) -> None:
    portfolio_values = client_of(Role.RISK).get(f"/charts/risk/{portfolio.pk}/drawdown").json()
    assert portfolio_values["summary"]


def test_charts_of_others_do_not_exist(portfolio: Portfolio) -> None:
    answer = client_of(Role.TRADER).get(f"/charts/risk/{portfolio.pk}/drawdown", headers={"Accept": "application/json"})
    assert answer.status_code == 404
    assert answer.json()["code"] == "NOT_FOUND"
