"""Round trips, the tree, settled cash and the lot method over REST."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from rest_framework.test import APIClient

from apps.marketdata.tests.factories import make_series, store_series
from apps.portfolios.models import Lot, Portfolio
from apps.portfolios.services.portfolios import membership_grant
from apps.portfolios.tests.factories import InstrumentFactory, LedgerEntryFactory, PortfolioFactory, UserFactory

pytestmark = pytest.mark.django_db


def at(day, hour=15):
    return datetime(2012, 1, day, hour, tzinfo=UTC)


@pytest.fixture
def user():
    return UserFactory()


@pytest.fixture
def client(user):
    client = APIClient()
    client.force_authenticate(user)
    return client


@pytest.fixture
def portfolio(user):
    """100 AAPL bought at 10 on the 3rd, 60 sold at 12 on the 5th; they close at 10, 8, 12, 13."""
    store_series(make_series("AAPL", [10, 8, 12, 13], start=date(2012, 1, 3)))
    portfolio = PortfolioFactory(owner=user, name="Alpha", effective_at=at(3), initial_capital=Decimal(10_000))
    where = {"portfolio_id": portfolio.pk, "instrument_id": InstrumentFactory(symbol="AAPL").pk}
    LedgerEntryFactory(**where, quantity=Decimal(100), price=Decimal(10), effective_at=at(3))
    LedgerEntryFactory(**where, quantity=Decimal(-60), price=Decimal(12), fee=Decimal(6), effective_at=at(5))
    return portfolio


class TestRoundTrips:
    def test_what_was_closed_with_its_excursions(self, client, portfolio):
        [trip] = client.get(f"/api/v1/portfolios/{portfolio.pk}/round-trips/").json()["results"]
        assert (trip["symbol"], trip["quantity"], trip["entry_price"], trip["exit_price"]) == ("AAPL", "60.000000", "10.000000", "11.900000")
        assert (trip["pnl"], trip["return"], trip["holding_days"], trip["lot_method"]) == ("114.0000", pytest.approx(0.19), 2.0, "fifo")
        bars = make_series("AAPL", [10, 8, 12], start=date(2012, 1, 3))
        assert trip["mae"] == pytest.approx(min(bars.low.min(), 10) / 10 - 1)
        assert trip["mfe"] == pytest.approx(max(bars.high.max(), 11.9) / 10 - 1)

    def test_those_of_others_do_not_exist(self, client):
        assert client.get(f"/api/v1/portfolios/{PortfolioFactory().pk}/round-trips/").status_code == 404


class TestLots:
    def test_what_is_open_by_the_number_that_an_order_names(self, client, portfolio):
        [lot] = client.get(f"/api/v1/portfolios/{portfolio.pk}/lots/").json()["results"]
        stored = Lot.objects.get(book__portfolio=portfolio)
        assert (lot["id"], lot["symbol"], lot["remaining"], lot["remaining_cost"]) == (stored.pk, "AAPL", "40.000000", "400.0000")
        assert client.get(f"/api/v1/portfolios/{PortfolioFactory().pk}/lots/").status_code == 404


class TestTree:
    def test_desk_portfolio_book_position(self, client, portfolio):
        PortfolioFactory(name="Not mine")
        desk = client.get("/api/v1/positions/tree/").json()
        [alpha] = desk["children"]
        [book] = alpha["children"]
        [position] = book["children"]
        assert [node["level"] for node in (desk, alpha, book, position)] == ["desk", "portfolio", "book", "position"]
        assert (position["name"], position["quantity"], position["market_value"]) == ("AAPL", "40.000000", "520.0000")
        assert (alpha["cash"], alpha["total"], desk["total"]) == ("9714.0000", "10234.0000", "10234.0000")
        assert alpha["realized_pnl"] == "114.0000"


class TestCash:
    def test_settled_and_not(self, client, portfolio):
        def cash(on):
            return client.get(f"/api/v1/portfolios/{portfolio.pk}/cash/?on={on}").json()

        assert cash("2012-01-05") == [{"currency": "USD", "traded": "9714.0000", "settled": "10000.0000", "unsettled": "-286.0000"}]
        assert cash("2012-01-06")[0]["settled"] == "9000.0000"  # the purchase: three sessions
        assert cash("2012-01-10")[0]["unsettled"] == "0.0000"

    def test_a_day_is_a_date(self, client, portfolio):
        assert client.get(f"/api/v1/portfolios/{portfolio.pk}/cash/?on=soon").status_code == 400


class TestLotMethod:
    def put(self, client, portfolio, **body):
        return client.put(f"/api/v1/portfolios/{portfolio.pk}/lot-method/", body, format="json")

    def test_a_manager_changes_it_with_a_reason(self, client, portfolio):
        assert self.put(client, portfolio, lot_method="hifo", reason="losses first").status_code == 200
        assert Portfolio.objects.get(pk=portfolio.pk).lot_method == "hifo"
        assert portfolio.history.first().history_change_reason == "losses first"

    @pytest.mark.parametrize("body", [{"lot_method": "random", "reason": "x"}, {"lot_method": "lifo"}])
    def test_what_is_not_complete_is_refused(self, client, portfolio, body):
        assert self.put(client, portfolio, **body).status_code == 400

    def test_a_trader_does_not(self, client, portfolio):
        trader = UserFactory()
        membership_grant(portfolio_id=portfolio.pk, user_id=trader.pk, role="trader")
        client.force_authenticate(trader)
        assert self.put(client, portfolio, lot_method="lifo", reason="x").status_code == 403
