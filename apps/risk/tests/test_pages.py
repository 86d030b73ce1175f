"""The risk page and the kill switch."""

import pytest
from django.test import Client

from apps.core.roles import Role
from apps.portfolios.models import Portfolio
from apps.portfolios.services.portfolios import membership_grant
from apps.portfolios.tests.factories import PortfolioFactory
from apps.risk.models import ReleaseRequest, TradingStateChange
from apps.risk.selectors.state import trading_state
from apps.risk.tests.factories import person


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


@pytest.mark.parametrize("whole_desk", [False, True])
def test_halt_stops_the_scope_and_every_page_says_so(portfolio: Portfolio, whole_desk: bool) -> None:
    client = client_of(Role.TRADER, portfolio)
    scope = "desk" if whole_desk else portfolio.pk
    response = client.post("/risk/halt", {"scope": scope, "reason": "prices look wrong", "next": "/alerts"})
    assert response["Location"] == "/alerts"
    assert trading_state(portfolio.pk).state == "halted"
    assert (trading_state(None).state == "halted") is whole_desk
    html = client.get("/settings").content.decode()
    assert "prices look wrong" in html
    assert 'id="halt-banner" role="alert">' in html


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"reason": ""}, "a reason is required"),
        ({"scope": "everything", "reason": "x"}, "say what to halt"),
        ({"scope": "999999", "reason": "x"}, "no portfolio"),
    ],
)
def test_a_halt_that_makes_no_sense_stops_nothing(portfolio: Portfolio, fields: dict[str, str], told: str) -> None:
    html = client_of(Role.TRADER, portfolio).post("/risk/halt", {"scope": portfolio.pk, **fields}, follow=True).content.decode()
    assert told in html
    assert not TradingStateChange.objects.exists()


def test_who_may_not_halt_is_told_so(portfolio: Portfolio) -> None:
    html = client_of(Role.QUANT, portfolio).post("/risk/halt", {"scope": portfolio.pk, "reason": "x"}, follow=True).content.decode()
    assert "may not halt trading" in html
    assert trading_state(portfolio.pk).state == "active"


def test_release_takes_two_people(portfolio: Portfolio) -> None:
    first, second = client_of(Role.RISK), client_of(Role.COMPLIANCE)
    first.post("/risk/halt", {"scope": portfolio.pk, "reason": "drill"})
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
    client.post("/risk/halt", {"scope": portfolio.pk, "reason": "drill"})
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
