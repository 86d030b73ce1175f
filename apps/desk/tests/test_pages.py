"""The desk's own pages, and rules that hold for all pages: who gets in, what they cost, what they may contain."""

import re
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.core import clock
from apps.core.roles import Role
from apps.execution.tests.factories import Desk, make_desk, make_user
from apps.marketdata.services.quarantine import quarantine_open
from apps.portfolios.tests.factories import PortfolioFactory
from apps.risk.models import RiskSnapshot
from apps.strategies.models import BacktestRun

INLINE = re.compile(r"<script(?![^>]*\bsrc=)|\son[a-z]+=|javascript:", re.IGNORECASE)
FOREIGN = re.compile(r"(?:src|href|action)=\"(?:https?:)?//", re.IGNORECASE)
PAGES = (
    "/",
    "/portfolios",
    "/portfolios/{portfolio}",
    "/trade",
    "/trades?tab=all",
    "/trades/history",
    "/trades/{order}",
    "/factors",
    "/risk",
    "/risk?tab=var",
    "/risk?tab=positions",
    "/risk?tab=stress",
    "/risk?tab=what-if",
    "/risk?tab=explain",
    "/risk?tab=history",
    "/alerts",
    "/alerts/delivery",
    "/settings",
    "/lab",
    "/lab/{run}",
    "/data",
    "/data/of/AAPL",
    "/instruments",
    "/instruments/AAPL",
    "/watchlists",
    "/screener?query=close+%3E+1",
)
#: Most queries of each page, the frame, the session and the permissions included.
BUDGETS = {
    "/": 25,
    "/portfolios": 18,
    "/portfolios/{portfolio}": 21,
    "/portfolios/{portfolio}?tab=lots": 23,
    "/portfolios/{portfolio}?tab=ledger": 23,
    "/trade": 13,
    "/trades?tab=all": 14,
    "/trades/{order}": 15,
    "/risk": 60,
    "/risk?tab=var": 56,
    "/risk?tab=positions": 38,
    "/risk?tab=stress": 75,  # the first time: prepared scenarios are kept until what they are made of is another
    "/risk?tab=explain": 38,
    "/risk?tab=history": 39,
    "/alerts": 14,
    "/alerts/delivery": 15,
    "/settings": 10,
    "/lab": 13,
    "/lab/{run}": 11,
    "/data": 17,
    "/data/of/AAPL": 16,
}


@pytest.fixture
def desk(db: None) -> Desk:
    return make_desk()


@pytest.fixture
def places(desk: Desk) -> dict[str, int]:
    """A filled order and a stored backtest, by the names that addresses use."""
    order = desk.submit()
    run = BacktestRun.objects.create(
        strategy="sma_cross",
        engine="event",
        symbols=["AAPL"],
        timeframe="1d",
        start=date(2007, 1, 2),
        end=date(2007, 1, 4),
        configuration={"cash": "1000"},
        dataset_fingerprint="a" * 64,
        code_version="b" * 64,
        initial_capital=Decimal(1000),
        final_value=Decimal(1010),
        results={"bar_count": 3, "total_trades": 0, "total_return_pct": 1.0, "sharpe": None, "max_drawdown": 0.0, "win_rate": None},
        equity=[["2007-01-02T00:00:00Z", 1000.0], ["2007-01-03T00:00:00Z", 990.0], ["2007-01-04T00:00:00Z", 1010.0]],
        trades=[],
        seconds=0.01,
        created_at=clock.now(),
    )
    return {"portfolio": desk.portfolio.pk, "order": order.pk, "run": run.pk}


def signed_in(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.mark.parametrize("path", PAGES)
def test_visitors_are_sent_to_the_login(db: None, path: str) -> None:
    address = path.format(portfolio=1, order=1, run=1)
    response = Client().get(address)
    assert response.status_code == 302
    assert response["Location"].startswith(reverse("login"))


@pytest.mark.parametrize("path", PAGES)
def test_every_page_obeys_the_content_security_policy(desk: Desk, places: dict[str, int], path: str) -> None:
    response = signed_in(desk.trader).get(path.format(**places))
    html = response.content.decode()
    assert response.status_code == 200
    assert "script-src 'self'" in response["Content-Security-Policy"]
    assert "unsafe-eval" not in response["Content-Security-Policy"]
    assert not INLINE.findall(html)
    assert not FOREIGN.findall(html)


@pytest.mark.parametrize("path", PAGES)
def test_every_page_has_the_frame(desk: Desk, places: dict[str, int], path: str) -> None:
    html = signed_in(desk.trader).get(path.format(**places)).content.decode()
    assert "[PAPER]" in html
    assert 'id="halt-dialog"' in html
    assert 'id="halt-banner"' in html
    assert 'class="skip"' in html
    assert desk.portfolio.name in html
    assert html.count("<h1") == 1
    assert "<th>" not in html  # each header cell says its scope


@pytest.mark.parametrize(("path", "budget"), BUDGETS.items())
def test_no_page_asks_the_database_too_often(desk: Desk, places: dict[str, int], path: str, budget: int, django_assert_max_num_queries: Any) -> None:
    client = signed_in(desk.trader)
    with django_assert_max_num_queries(budget):
        assert client.get(path.format(**places)).status_code == 200


def test_positions_say_that_their_data_is_in_quarantine(desk: Desk, places: dict[str, int]) -> None:
    client = signed_in(desk.trader)
    for path in ("/", f"/portfolios/{places['portfolio']}"):
        assert ">quarantined<" not in client.get(path).content.decode()
    quarantine_open(symbol="AAPL", reason="pence for pounds", user=None, at=clock.now())
    for path in ("/", f"/portfolios/{places['portfolio']}"):
        html = client.get(path).content.decode()
        assert ">quarantined<" in html
        assert "on all days: pence for pounds" in html


def test_queries_do_not_grow_with_orders_and_portfolios(desk: Desk, django_assert_num_queries: Any) -> None:
    client = signed_in(desk.trader)
    desk.submit()
    counts = {}
    for round_ in ("few", "many"):
        for path in ("/", "/portfolios", "/trades?tab=all&portfolio=all"):
            with django_assert_num_queries(counts.get(path, 0)) if round_ == "many" else _Counting() as counted:
                client.get(path)
            if round_ == "few":
                counts[path] = counted.number
        for _ in range(3):
            desk.submit()
            PortfolioFactory(owner=desk.trader)


class _Counting:
    """Counts the queries of a block."""

    number = 0

    def __enter__(self) -> "_Counting":
        from django.db import connection
        from django.test.utils import CaptureQueriesContext

        self.captured = CaptureQueriesContext(connection)
        self.captured.__enter__()
        return self

    def __exit__(self, *problem: Any) -> None:
        self.captured.__exit__(*problem)
        self.number = len(self.captured)


def test_dashboard_without_a_portfolio_says_why_it_is_empty(db: None) -> None:
    response = signed_in(make_user("newcomer", Role.TRADER)).get("/")
    assert "No portfolio yet" in response.content.decode()


def test_dashboard_shows_what_the_fill_has_changed(desk: Desk) -> None:
    client = signed_in(desk.trader)
    assert "No trades yet" in client.get("/").content.decode()
    desk.submit(quantity="100")
    html = client.get("/").content.decode()
    assert 'data-key="AAPL"' in html
    assert "No trades yet" not in html


def test_dashboard_shows_the_value_at_risk_that_was_measured_last(desk: Desk) -> None:
    client = signed_in(desk.trader)
    assert "Not measured yet" in client.get("/").content.decode()
    at = clock.now()
    RiskSnapshot.objects.create(
        portfolio_id=desk.portfolio.pk,
        ts=at,
        state="ok",
        window=500,
        n=499,
        fingerprint="a" * 64,
        equity=1_000_000.0,
        gross=900_000.0,
        net=900_000.0,
        var_95=12_345.0,
        hhi=0.5,
        numbers={},
        recorded_at=at,
    )
    html = client.get("/").content.decode()
    assert "$12,345" in html
    assert "1.2 % of equity" in html


def test_theme_is_kept_with_the_user(desk: Desk) -> None:
    client = signed_in(desk.trader)
    assert 'data-bs-theme="light"' in client.get("/settings").content.decode()
    assert client.post("/settings/theme", {"theme": "dark"}, headers={"Accept": "application/json"}).json() == {"theme": "dark"}
    assert 'data-theme="dark" data-bs-theme="dark"' in client.get("/settings").content.decode()


def test_a_theme_that_does_not_exist_is_refused(desk: Desk) -> None:
    answer = signed_in(desk.trader).post("/settings/theme", {"theme": "pink"}, headers={"Accept": "application/json"})
    assert answer.status_code == 400
    assert "pink" in answer.json()["detail"]
    desk.trader.refresh_from_db()
    assert desk.trader.theme == "auto"


def test_the_chosen_portfolio_stays_chosen(desk: Desk) -> None:
    other = PortfolioFactory(owner=desk.trader, name="zz second")
    client = signed_in(desk.trader)
    assert client.post("/settings/portfolio", {"portfolio": other.pk, "next": "/risk"})["Location"] == "/risk"
    assert "Risk of zz second" in client.get("/risk").content.decode()


def test_a_portfolio_of_others_cannot_be_chosen(desk: Desk) -> None:
    other = PortfolioFactory()
    client = signed_in(desk.trader)
    assert client.post("/settings/portfolio", {"portfolio": other.pk}).status_code == 404
    assert f"Risk of {desk.portfolio.name}" in client.get("/risk").content.decode()


@pytest.mark.parametrize("where", ["https://elsewhere.example/", "//elsewhere.example/", "javascript:alert(1)"])
def test_a_form_never_leads_to_another_host(desk: Desk, where: str) -> None:
    response = signed_in(desk.trader).post("/settings/theme", {"theme": "dark", "next": where})
    assert response["Location"] == reverse("settings")


def test_password_is_changed_and_the_session_stays(desk: Desk) -> None:
    desk.trader.set_password("before-before-1")
    desk.trader.save()
    client = signed_in(desk.trader)
    fields = {"old_password": "before-before-1", "new_password1": "after-after-22", "new_password2": "after-after-22"}
    assert "incorrectly" in client.post("/settings", fields | {"old_password": "wrong"}).content.decode()
    assert client.post("/settings", fields).status_code == 302
    desk.trader.refresh_from_db()
    assert desk.trader.check_password("after-after-22")
    assert client.get("/settings").status_code == 200


def test_an_address_that_does_not_exist_is_a_page_of_ours(desk: Desk) -> None:
    response = signed_in(desk.trader).get("/nothing-here")
    assert response.status_code == 404
    assert "Nothing here" in response.content.decode()
