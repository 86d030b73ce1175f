"""REST of stress and of the explained result, on a portfolio whose session was recorded by the desk itself."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
import time_machine
from django.test import Client

from apps.marketdata.tests.factories import make_series, store_series
from apps.portfolios.models import PortfolioRole
from apps.portfolios.services.values import portfolio_values_record
from apps.portfolios.tests.factories import InstrumentFactory, LedgerEntryFactory, PortfolioFactory, PortfolioMembershipFactory, UserFactory
from apps.risk.selectors.pnl_explain import session_explained

pytestmark = pytest.mark.django_db

EVENING = datetime(2026, 11, 20, 22, tzinfo=UTC)


@pytest.fixture
def owner():
    return UserFactory()


@pytest.fixture
def portfolio(owner):
    """Opened on Wednesday with 10,000; buys 10 at 100 on Thursday (close 102) and 10 more at 103 on Friday (close 105), with fees."""
    one = PortfolioFactory(initial_capital=Decimal(10_000), effective_at=datetime(2026, 11, 18, 15, tzinfo=UTC))
    PortfolioMembershipFactory(portfolio=one, user=owner, role=PortfolioRole.TRADER)
    store_series(make_series("KO", [101.0, 102.0, 105.0], start=date(2026, 11, 18)))
    stock = InstrumentFactory(symbol="KO").pk
    for day, price in ((19, 100), (20, 103)):
        LedgerEntryFactory(
            portfolio_id=one.pk,
            instrument_id=stock,
            quantity=Decimal(10),
            price=Decimal(price),
            fee=Decimal("1.25"),
            effective_at=datetime(2026, 11, day, 16, tzinfo=UTC),
        )
        portfolio_values_record(session=date(2026, 11, day), market_time=EVENING, recorded_at=EVENING)
    return one


@pytest.fixture
def get(owner, portfolio):
    client = Client()
    client.force_login(owner)

    def ask(path: str, status: int = 200):
        with time_machine.travel(EVENING, tick=False):
            answer = client.get(f"/api/v1/{path.format(id=portfolio.pk)}")
        assert answer.status_code == status, answer.content
        return answer.json()

    return ask


def test_the_result_of_the_last_session_is_explained_to_the_cent(get) -> None:
    told = get("portfolios/{id}/pnl-explain/")
    assert (told["session"], told["state"], told["explain"]["residual"]) == ("2026-11-20", "ok", "0.0000")
    assert {name: told["explain"][name] for name in ("result", "price", "trading", "fees", "income", "fx")} == {
        "result": "48.7500",
        "price": "30.0000",
        "trading": "20.0000",
        "fees": "-1.2500",
        "income": "0.0000",
        "fx": "0.0000",
    }
    assert told["explain"]["by_symbol"]["KO"]["price"] == "30.0000"
    first = get("portfolios/{id}/pnl-explain/?session=2026-11-19")
    assert (first["explain"]["result"], first["explain"]["trading"], first["explain"]["price"]) == ("18.7500", "20.0000", "0.0000")


def test_what_cannot_be_explained_says_why(get, portfolio) -> None:
    assert get("portfolios/{id}/pnl-explain/?session=2026-11-17")["state"] == "not_recorded"
    assert get("portfolios/{id}/pnl-explain/?session=2026-11-21", 400)["code"] == "INVALID_INPUT"
    assert "session" in str(get("portfolios/{id}/pnl-explain/?session=yesterday", 400)["errors"])
    get("portfolios/{id}/pnl-explain/?day=2026-11-20", 400)
    get("portfolios/999999/pnl-explain/", 404)
    revised = make_series("KO", [101.0, 102.5, 105.0], start=date(2026, 11, 18))
    store_series(revised, recorded_at=EVENING)
    found = session_explained(portfolio_id=portfolio.pk, now=EVENING, session=date(2026, 11, 20))
    assert (found.state.value, found.explain.residual) == ("residual", Decimal("5.0000"))


def test_stress_answers_with_each_scenario_and_an_unknown_one_is_not_found(get) -> None:
    known = [one["name"] for one in get("scenarios/")]
    told = get("portfolios/{id}/stress/")
    assert [one["name"] for one in told["outcomes"]] == known
    one = get("portfolios/{id}/stress/?scenario=euro-10-down&scenario=2020-covid")
    assert [(out["name"], out["state"], out["pnl"]) for out in one["outcomes"]] == [
        ("2020-covid", "insufficient_data", None),
        ("euro-10-down", "ok", 0.0),
    ]
    assert one["outcomes"][0]["excluded"] == ["KO"]
    assert "2020-covid" in get("portfolios/{id}/stress/?scenario=nope", 404)["detail"]
    get("portfolios/999999/stress/", 404)
