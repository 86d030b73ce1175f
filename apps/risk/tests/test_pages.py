"""The risk page and the end of a halt."""

import csv
import io
from datetime import date, timedelta

import pytest
from django.test import Client

from apps.alerts.services import alert_raise
from apps.core.clock import now
from apps.core.models import User
from apps.core.roles import Role
from apps.marketdata.tests.factories import make_series, store_series
from apps.portfolios.models import Portfolio
from apps.portfolios.services.portfolios import membership_grant
from apps.portfolios.tests.factories import InstrumentFactory, PortfolioFactory
from apps.risk.models import MonitorState, ReleaseRequest
from apps.risk.selectors.state import trading_state
from apps.risk.selectors.tables.registry import TABLES
from apps.risk.services.state import trading_halt
from apps.risk.tests.factories import NOW, Desk, person, show_prices


@pytest.fixture
def portfolio(db: None) -> Portfolio:
    return PortfolioFactory(name="fund")


def client_of(role: Role, portfolio: Portfolio | None = None) -> Client:
    user = person(role)
    if portfolio is not None:
        membership_grant(portfolio_id=portfolio.pk, user_id=user.pk, role="viewer")
    return signed_in(user)


def signed_in(user: User) -> Client:
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


def test_the_treemap_shows_what_is_held_by_its_size(db: None) -> None:
    desk = Desk()
    other = InstrumentFactory(symbol="SHORT")
    desk.trade(-200, 100, instrument=other)
    show_prices(SHORT="100")
    client = signed_in(desk.trader)
    assert 'id="chart-treemap"' in client.get("/risk?tab=positions").content.decode()
    found = client.get(f"/charts/risk/{desk.portfolio.pk}/treemap").json()
    assert found["item"]
    assert [row[:2] for row in found["table"]["rows"]] == [["SHORT", "−20,000.0000"], [desk.symbol, "10,000.0000"]]
    assert found["summary"] == "2 positions; the largest is SHORT with 67% of the gross value"


def test_the_volatility_index_stands_over_the_stops_of_its_regimes(db: None) -> None:
    desk = Desk()
    client = signed_in(desk.trader)
    assert client.get("/charts/risk/vix").json()["summary"] == "The desk has no history of the VIX."
    store_series(make_series("VIX", [14.0, 16.0, 31.0], start=date(2024, 1, 2)))
    assert 'id="chart-vix"' in client.get("/risk").content.decode()
    found = client.get("/charts/risk/vix").json()
    assert found["item"]
    assert [(row[2], row[3]) for row in found["table"]["rows"]] == [
        ("Low Volatility", "0.1000"),
        ("Normal Volatility", "0.1200"),
        ("High Volatility", "0.1800"),
    ]
    assert found["summary"].startswith("31.00 on 2024-01-04: High Volatility, positions stop 18% below their cost")


def test_a_breach_is_acknowledged_where_it_is_shown(db: None) -> None:
    desk = Desk()
    client = signed_in(desk.trader)
    alert = alert_raise(
        code="RISK_LIMIT_BREACH",
        severity="critical",
        title="Daily loss 4.2% breaks the limit",
        subject=f"portfolio:{desk.portfolio.pk}",
        recipients=[desk.trader.pk],
        occurred_at=NOW,
        recorded_at=NOW,
    )
    html = client.get("/risk").content.decode()
    assert f'id="breach-{alert.pk}"' in html
    answer = client.post(f"/alerts/{alert.pk}/acknowledge", {"note": "hedged", "next": "/risk?tab=overview"})
    assert answer["Location"] == "/risk?tab=overview"
    html = client.get("/risk").content.decode()
    assert ": hedged" in html
    assert f'id="note-{alert.pk}"' not in html


def test_every_part_leaves_as_json_and_as_csv(db: None) -> None:
    desk = Desk()
    desk.price("95")
    halted(desk.portfolio)
    client = signed_in(desk.trader)
    for name in TABLES:
        table = client.get(f"/risk/{desk.portfolio.pk}/{name}").json()
        keys = [column["key"] for column in table["columns"]]
        assert (table["name"], bool(table["rows"])) == (name, not table["empty"])
        assert all(list(row) == keys for row in table["rows"])
        lines = list(csv.reader(io.StringIO(client.get(f"/risk/{desk.portfolio.pk}/{name}?format=csv").content.decode("utf-8-sig"))))
        assert lines[0] == keys
        assert len(lines) == 1 + len(table["rows"])


def test_a_part_carries_raw_numbers_and_the_page_writes_them(db: None) -> None:
    desk = Desk()
    client = signed_in(desk.trader)
    row = next(row for row in client.get(f"/risk/{desk.portfolio.pk}/limits").json()["rows"] if row["kind"] == "position_value")
    assert (row["used"], row["hard"], row["unit"], row["state"]) == ("10000.0000", "50000.000000", "USD", "ok")
    trading_halt(portfolio_id=desk.portfolio.pk, user=desk.trader, reason="fire drill", at=NOW)
    html = client.get("/risk?tab=history").content.decode()
    assert "fire drill" in html
    assert '<span class="tag bad">halted</span>' in html
    assert f'href="/risk/{desk.portfolio.pk}/halts?tab=history&amp;format=csv"' in html


def test_a_trade_can_be_tried_and_a_wrong_one_says_what_is_wrong(db: None) -> None:
    desk = Desk()
    client = signed_in(desk.trader)
    asked = f"/risk?tab=what-if&symbol={desk.symbol}&side=buy&quantity="
    html = client.get(asked + "100").content.decode()
    assert f'href="/risk/{desk.portfolio.pk}/what-if?tab=what-if&amp;symbol={desk.symbol}&amp;side=buy&amp;quantity=100"' in html
    rows = {row["measure"]: row for row in client.get(f"/risk/{desk.portfolio.pk}/what-if?symbol={desk.symbol}&side=buy&quantity=100").json()["rows"]}
    assert (rows["Gross exposure"]["before"], rows["Gross exposure"]["after"]) == (10_000, 20_000)
    for quantity in ("", "-5", "many"):
        page = client.get(asked + quantity)
        assert (page.status_code, 'role="alert">' in page.content.decode()) == (200, True)
        assert client.get(f"/risk/{desk.portfolio.pk}/what-if?symbol={desk.symbol}&side=buy&quantity={quantity}").status_code == 400


def test_parts_that_do_not_exist_and_those_of_others_are_not_found(portfolio: Portfolio) -> None:
    assert client_of(Role.RISK).get(f"/risk/{portfolio.pk}/everything").status_code == 404
    assert client_of(Role.TRADER).get(f"/risk/{portfolio.pk}/limits").status_code == 404


def test_charts_of_others_do_not_exist(portfolio: Portfolio) -> None:
    answer = client_of(Role.TRADER).get(f"/charts/risk/{portfolio.pk}/drawdown", headers={"Accept": "application/json"})
    assert answer.status_code == 404
    assert answer.json()["code"] == "NOT_FOUND"


def test_the_page_says_since_when_risk_is_not_computed(portfolio: Portfolio, settings) -> None:
    page = client_of(Role.RISK)
    assert "Risk not computed" not in page.get("/risk").content.decode()  # a desk without a monitor
    settings.RISK_MONITOR_REQUIRED = True
    assert "Risk not computed yet" in page.get("/risk").content.decode()
    state = MonitorState.objects.create(holder="test", taken_at=now(), computed_at=now() - timedelta(seconds=20))
    assert "Risk not computed since" in page.get("/risk").content.decode()
    state.computed_at = now()
    state.save()
    assert "Risk not computed" not in page.get("/risk").content.decode()
