from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from rest_framework.test import APIClient

from apps.marketdata.domain import calendars
from apps.marketdata.tests.factories import make_series, store_series
from apps.portfolios.services.values import portfolio_values_catch_up
from apps.portfolios.tests.factories import InstrumentFactory, LedgerEntryFactory, PortfolioFactory, UserFactory

pytestmark = pytest.mark.django_db

DAYS = calendars.sessions("XNYS", date(2012, 1, 3), date(2012, 1, 9))


@pytest.fixture
def client():
    return APIClient()


@pytest.fixture
def portfolio(client):
    """1,000 AAPL in a portfolio of 10,000: 10, 11, 12, 13, 14 at the closes."""
    store_series(make_series("AAPL", [10, 11, 12, 13, 14], start=DAYS[0]))
    user = UserFactory()
    client.force_authenticate(user)
    opened, _ = calendars.session_hours("XNYS", DAYS[0])
    portfolio = PortfolioFactory(owner=user, initial_capital=Decimal(10_000), effective_at=opened)
    LedgerEntryFactory(
        portfolio_id=portfolio.pk,
        instrument_id=InstrumentFactory(symbol="AAPL").pk,
        quantity=Decimal(1000),
        effective_at=opened + timedelta(hours=1),
    )
    _, closed = calendars.session_hours("XNYS", DAYS[-1])
    portfolio_values_catch_up(market_time=closed, recorded_at=datetime(2026, 1, 2, tzinfo=UTC))
    return portfolio


class TestPerformance:
    def test_it_has_the_keys_of_the_first_design(self, client, portfolio):
        body = client.get(f"/api/v1/portfolios/{portfolio.pk}/performance/?period=ALL").json()
        assert body["total_return"] == pytest.approx(0.4)
        assert body["max_drawdown"] == 0
        assert body["win_rate"] == 0.8  # nothing was earned in the first session
        assert body["sharpe_ratio"] > 0
        assert body["annualized_return"] > 0
        assert body["chart_data"][0] == {"date": "2012-01-03", "value": 10000.0, "return": 0.0}
        assert body["chart_data"][-1] == {"date": "2012-01-09", "value": 14000.0, "return": pytest.approx(0.4)}

    def test_a_period_is_cut_out(self, client, portfolio):
        body = client.get(f"/api/v1/portfolios/{portfolio.pk}/performance/?period=YTD").json()
        assert (body["period"], body["observations"]) == ("YTD", 5)

    def test_what_cannot_be_known_is_null(self, client):
        user = UserFactory()
        client.force_authenticate(user)
        body = client.get(f"/api/v1/portfolios/{PortfolioFactory(owner=user).pk}/performance/").json()
        assert body["total_return"] is body["sharpe_ratio"] is body["win_rate"] is None
        assert len(body["chart_data"]) == 1

    @pytest.mark.parametrize(("query", "field"), [("period=2M", "period"), ("perod=1M", "perod")])
    def test_a_bad_parameter_is_400_and_named(self, client, portfolio, query, field):
        response = client.get(f"/api/v1/portfolios/{portfolio.pk}/performance/?{query}")
        assert response.status_code == 400
        assert response.json()["errors"][0]["pointer"] == f"/{field}"

    def test_others_do_not_find_it(self, client, portfolio):
        client.force_authenticate(UserFactory())
        assert client.get(f"/api/v1/portfolios/{portfolio.pk}/performance/").status_code == 404
