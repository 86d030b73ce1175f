"""Pages and charts of portfolios."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.test import Client

from apps.marketdata.tests.factories import make_series, store_series
from apps.portfolios.models import Portfolio, PortfolioValue
from apps.portfolios.services.moves import split_post
from apps.portfolios.tests.factories import START, InstrumentFactory, LedgerEntryFactory, PortfolioFactory, UserFactory

CLOSE = datetime(2024, 1, 3, 21, tzinfo=UTC)


@pytest.fixture
def portfolio(db: None) -> Portfolio:
    return PortfolioFactory(name="fund", initial_capital=Decimal(1000))


@pytest.fixture
def client(portfolio: Portfolio) -> Client:
    client = Client()
    client.force_login(portfolio.memberships.get().user)
    return client


def record(portfolio: Portfolio, *totals: int) -> None:
    PortfolioValue.objects.filter(portfolio_id=portfolio.pk).delete()
    for day, total in enumerate(totals):
        PortfolioValue.objects.create(
            portfolio_id=portfolio.pk,
            ts=CLOSE + timedelta(days=day),
            cash=total,
            invested=0,
            total=total,
            daily_return=None,
            last_entry_id=0,
            recorded_at=START,
        )


def test_list_shows_only_portfolios_of_the_user(client: Client) -> None:
    PortfolioFactory(name="not yours")
    html = client.get("/portfolios").content.decode()
    assert "fund" in html
    assert "not yours" not in html


def test_list_without_portfolios_says_why(db: None) -> None:
    client = Client()
    client.force_login(UserFactory())
    assert "You are a member of none" in client.get("/portfolios").content.decode()


@pytest.mark.parametrize("tab", ["positions", "lots", "trips", "cash", "actions", "rebalance", "ledger"])
def test_a_portfolio_of_others_does_not_exist(portfolio: Portfolio, tab: str) -> None:
    client = Client()
    client.force_login(UserFactory())
    assert client.get(f"/portfolios/{portfolio.pk}?tab={tab}").status_code == 404


@pytest.mark.parametrize(
    ("tab", "text"),
    [
        ("positions", "No positions"),
        ("lots", "No open lots"),
        ("trips", "No round trips"),
        ("cash", "Deposit"),
        ("actions", "No corporate actions"),
        ("rebalance", "No targets"),
        ("ledger", "Deposit"),
        ("nonsense", "No positions"),
    ],
)
def test_tabs(client: Client, portfolio: Portfolio, tab: str, text: str) -> None:
    assert text in client.get(f"/portfolios/{portfolio.pk}?tab={tab}").content.decode()


def test_tabs_show_what_the_ledger_holds(client: Client, portfolio: Portfolio) -> None:
    store_series(make_series("AAPL", [10, 8, 12], start=date(2024, 1, 2)))
    where = {"portfolio_id": portfolio.pk, "instrument_id": InstrumentFactory(symbol="AAPL").pk}
    LedgerEntryFactory(**where, quantity=Decimal(10), price=Decimal(10), effective_at=START)
    LedgerEntryFactory(**where, quantity=Decimal(-4), price=Decimal(12), effective_at=START + timedelta(days=2))
    split_post(
        **where, book_id=portfolio.books.get().pk, ratio=Decimal(2), source="test", source_ref="split",
        effective_at=START + timedelta(days=3), recorded_at=START,
    )  # fmt: skip

    def shown(tab: str) -> str:
        return client.get(f"/portfolios/{portfolio.pk}?tab={tab}").content.decode()

    lots, trips, cash, actions = (shown(tab) for tab in ("lots", "trips", "cash", "actions"))
    assert "the oldest lots first (FIFO)" in lots
    assert '<td class="num">12</td>' in lots  # six shares left, two for one
    assert "+20.00 %" in trips  # 12 for 10
    assert '<td class="num">948.00</td>' in cash  # without a sign of a currency, which is named beside it
    assert "test:split" in actions


def test_ledger_as_csv(client: Client, portfolio: Portfolio) -> None:
    head, row = client.get(f"/portfolios/{portfolio.pk}/ledger.csv").content.decode("utf-8-sig").splitlines()
    cells = dict(zip(head.split(","), row.split(","), strict=True))
    assert (cells["kind"], Decimal(cells["amount"])) == ("deposit", Decimal(1000))


def test_equity_chart_says_in_words_what_it_shows(client: Client, portfolio: Portfolio) -> None:
    record(portfolio, 1000, 1100, 990, 1210)
    answer = client.get(f"/charts/portfolios/{portfolio.pk}/equity?theme=dark").json()
    assert answer["summary"] == "Value 2024-01-03 to 2024-01-06: +21.0 %, largest fall −10.0 %"
    assert len(answer["table"]["rows"]) == 4
    assert answer["item"]["doc"]["roots"]


def test_equity_chart_follows_the_theme(client: Client, portfolio: Portfolio) -> None:
    record(portfolio, 1000, 1100)
    light, dark = (client.get(f"/charts/portfolios/{portfolio.pk}/equity?theme={theme}").content.decode() for theme in ("light", "dark"))
    assert "#141b25" in dark
    assert "#141b25" not in light


def test_equity_chart_without_values_says_why(client: Client, portfolio: Portfolio) -> None:
    record(portfolio)
    answer = client.get(f"/charts/portfolios/{portfolio.pk}/equity").json()
    assert answer["item"] is None
    assert "No value is recorded yet" in answer["summary"]


def test_allocation_of_cash_alone(client: Client, portfolio: Portfolio) -> None:
    answer = client.get(f"/charts/portfolios/{portfolio.pk}/allocation").json()
    assert answer["table"]["rows"] == [["Cash", "1000.0000", "1.0000"]]


def test_charts_of_others_do_not_exist(portfolio: Portfolio) -> None:
    client = Client()
    client.force_login(UserFactory(is_active=True))
    for name in ("equity", "allocation", "drift"):
        assert client.get(f"/charts/portfolios/{portfolio.pk}/{name}", headers={"Accept": "application/json"}).status_code == 404
