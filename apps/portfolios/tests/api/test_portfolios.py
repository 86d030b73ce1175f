from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from apps.marketdata.tests.factories import make_series, store_series
from apps.portfolios.models import Portfolio
from apps.portfolios.services.portfolios import membership_grant
from apps.portfolios.tests.factories import InstrumentFactory, LedgerEntryFactory, PortfolioFactory, UserFactory

pytestmark = pytest.mark.django_db

BOUGHT = datetime(2012, 1, 4, 15, 0, tzinfo=UTC)


@pytest.fixture
def user():
    user = UserFactory()
    user.user_permissions.add(Permission.objects.get(codename="add_portfolio"))
    return user


@pytest.fixture
def client(user):
    client = APIClient()
    client.force_authenticate(user)
    return client


@pytest.fixture
def portfolio(user):
    """100 AAPL bought at 10 with a fee of 1; its last close is 12."""
    store_series(make_series("AAPL", [10, 11, 12], start=date(2012, 1, 3)))
    portfolio = PortfolioFactory(owner=user, name="Alpha", effective_at=BOUGHT, initial_capital=Decimal(10_000))
    LedgerEntryFactory(
        portfolio_id=portfolio.pk,
        instrument_id=InstrumentFactory(symbol="AAPL").pk,
        quantity=Decimal(100),
        price=Decimal(10),
        fee=Decimal(1),
        effective_at=BOUGHT,
    )
    return portfolio


class TestList:
    def test_it_values_what_the_user_sees(self, client, portfolio):
        PortfolioFactory(name="Not mine")
        body = client.get("/api/v1/portfolios/").json()
        [row] = body["results"]
        assert (row["id"], row["name"], row["status"]) == (portfolio.pk, "Alpha", "active")
        assert row["current_value"] == "10199.0000"
        assert row["cash"] == "8999.0000"
        assert row["unrealized_pnl"] == "199.0000"
        assert row["total_return"] == pytest.approx(0.0199)

    def test_the_first_designs_path_answers_too(self, client, portfolio):
        assert client.get("/api/portfolios/").json()["results"][0]["id"] == portfolio.pk

    def test_the_number_of_queries_does_not_grow(self, client, user, portfolio):
        def count():
            with CaptureQueriesContext(connection) as queries:
                client.get("/api/v1/portfolios/")
            return len(queries)

        count()  # a connection's first request says who is acting
        one = count()
        for _ in range(5):
            PortfolioFactory(owner=user)
        assert count() == one <= 14

    def test_an_unknown_parameter_is_400(self, client):
        assert client.get("/api/v1/portfolios/?stat=active").status_code == 400


class TestCreate:
    GOOD = {"name": "Beta", "initial_capital": "50000.50"}

    def test_it_opens_with_its_capital_in_cash(self, client, user):
        response = client.post("/api/v1/portfolios/", self.GOOD, format="json")
        assert response.status_code == 201
        body = response.json()
        assert (body["cash"], body["current_value"], body["positions"]) == ("50000.5000", "50000.5000", [])
        assert client.get(response.headers["Location"]).json()["id"] == body["id"]

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"initial_capital": "0"}, "initial_capital"),
            ({"initial_capital": "1.00001"}, "initial_capital"),
            ({"initial_capital": 0.1}, "initial_capital"),
            ({"initial_capital": "many"}, "initial_capital"),
            ({"benchmark_symbol": "NOSUCH"}, "benchmark_symbol"),
            ({"currency": "dollars"}, "currency"),
            ({"name": ""}, "name"),
            ({"leverage": 2}, "leverage"),
        ],
    )
    def test_bad_input_names_its_field_and_opens_nothing(self, client, change, field):
        response = client.post("/api/v1/portfolios/", {**self.GOOD, **change}, format="json")
        assert response.status_code == 400
        assert [error["pointer"] for error in response.json()["errors"]] == [f"/{field}"]
        assert not Portfolio.objects.exists()

    def test_a_name_is_given_once(self, client, portfolio):
        response = client.post("/api/v1/portfolios/", {**self.GOOD, "name": "Alpha"}, format="json")
        assert (response.status_code, response.json()["code"]) == (409, "CONFLICT")

    def test_it_needs_the_permission(self, client, user):
        user.user_permissions.clear()
        client.force_authenticate(type(user).objects.get(pk=user.pk))
        assert client.post("/api/v1/portfolios/", self.GOOD, format="json").status_code == 403


class TestDetail:
    def test_it_has_the_positions(self, client, portfolio):
        body = client.get(f"/api/v1/portfolios/{portfolio.pk}/").json()
        assert [position["ticker"] for position in body["positions"]] == ["AAPL"]

    def test_others_do_not_find_it(self, portfolio):
        stranger = APIClient()
        stranger.force_authenticate(UserFactory())
        for path in ("", "positions/", "ledger/"):
            assert stranger.get(f"/api/v1/portfolios/{portfolio.pk}/{path}").status_code == 404

    def test_positions_have_the_keys_of_the_first_design(self, client, portfolio):
        [position] = client.get(f"/api/v1/portfolios/{portfolio.pk}/positions/").json()
        assert position["ticker"] == "AAPL"
        assert position["shares"] == "100.000000"
        assert position["entry_price"] == "10.010000"
        assert position["current_price"] == "12.000000"
        assert position["unrealized_pnl"] == "199.0000"
        assert position["current_weight"] == pytest.approx(1200 / 10199)

    def test_a_missing_price_is_null_and_named(self, client, portfolio):
        LedgerEntryFactory(portfolio_id=portfolio.pk, instrument_id=InstrumentFactory(symbol="DARK").pk, effective_at=BOUGHT)
        body = client.get(f"/api/v1/portfolios/{portfolio.pk}/").json()
        assert body["missing_prices"] == ["DARK"]
        assert body["current_value"] is None
        dark = next(position for position in body["positions"] if position["ticker"] == "DARK")
        assert dark["current_price"] is dark["unrealized_pnl"] is dark["current_weight"] is None


class TestClose:
    def test_open_positions_are_a_conflict(self, client, portfolio):
        response = client.delete(f"/api/v1/portfolios/{portfolio.pk}/")
        assert response.status_code == 409
        assert Portfolio.objects.get().status == "active"

    def test_it_is_closed_and_the_reason_kept(self, client, user):
        portfolio = PortfolioFactory(owner=user)
        assert client.delete(f"/api/v1/portfolios/{portfolio.pk}/?reason=done").status_code == 204
        assert Portfolio.objects.get().status == "closed"
        assert portfolio.history.first().history_change_reason == "done"
        assert client.get("/api/v1/portfolios/?status=active").json()["results"] == []

    def test_only_a_manager_closes_it(self, portfolio):
        viewer = UserFactory()
        membership_grant(portfolio_id=portfolio.pk, user_id=viewer.pk, role="viewer")
        client = APIClient()
        client.force_authenticate(viewer)
        assert client.delete(f"/api/v1/portfolios/{portfolio.pk}/").status_code == 403


class TestLedger:
    def test_it_lists_entries_newest_first(self, client, portfolio):
        body = client.get(f"/api/v1/portfolios/{portfolio.pk}/ledger/").json()
        assert [(row["kind"], row["amount"], row["symbol"]) for row in body["results"]] == [
            ("trade", "-1001.0000", "AAPL"),
            ("deposit", "10000.0000", None),
        ]

    @pytest.mark.parametrize(("query", "found"), [("?kind=trade", 1), ("?symbol=MSFT", 0), ("?book=main&limit=1", 1)])
    def test_filters(self, client, portfolio, query, found):
        assert len(client.get(f"/api/v1/portfolios/{portfolio.pk}/ledger/{query}").json()["results"]) == found


class TestPositionList:
    def test_it_holds_the_positions_of_all_portfolios_that_the_user_sees(self, client, portfolio):
        LedgerEntryFactory(instrument_id=InstrumentFactory(symbol="AAPL").pk)  # somebody else's
        [row] = client.get("/api/v1/positions/").json()
        assert (row["portfolio_id"], row["ticker"], row["shares"]) == (portfolio.pk, "AAPL", "100.000000")

    @pytest.mark.parametrize(("query", "found"), [("symbol=AAPL", 1), ("symbol=IBM", 0), ("portfolio=999999", 0)])
    def test_it_is_narrowed(self, client, portfolio, query, found):
        assert len(client.get(f"/api/v1/positions/?{query}").json()) == found

    @pytest.mark.parametrize("query", ["portfolio=x", "color=red"])
    def test_it_refuses_what_it_does_not_know(self, client, portfolio, query):
        assert client.get(f"/api/v1/positions/?{query}").status_code == 400
