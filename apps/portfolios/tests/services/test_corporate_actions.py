"""Corporate actions of the market data reach the ledger."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from apps.marketdata.domain.vendor import ActionKind, ActionRecord
from apps.marketdata.services.corporate_actions import actions_store
from apps.marketdata.tests.factories import make_series, store_series
from apps.portfolios.models import CashBalance, LedgerEntry, Position
from apps.portfolios.services.corporate_actions import actions_book
from apps.portfolios.services.rebuild import positions_rebuild
from apps.portfolios.tests.factories import BookFactory, InstrumentFactory, LedgerEntryFactory, PortfolioFactory

pytestmark = pytest.mark.django_db

EX = date(2012, 1, 5)
OPEN = datetime(2012, 1, 5, 14, 30, tzinfo=UTC)
RECORDED = datetime(2012, 1, 6, tzinfo=UTC)


@pytest.fixture
def instrument():
    """AAPL closes at 100, 101, and from the ex-date on at 50, 51: what a split of two for one looks like."""
    store_series(make_series("AAPL", [100, 101, 50, 51], start=date(2012, 1, 3)))
    return InstrumentFactory(symbol="AAPL")


@pytest.fixture
def portfolio():
    return PortfolioFactory(initial_capital=Decimal(10_000), effective_at=OPEN - timedelta(days=2))


def known(kind, value):
    report = actions_store(
        records=[ActionRecord(symbol="AAPL", kind=kind, ex_date=EX, value=Decimal(value), currency="USD")], source="test", recorded_at=RECORDED
    )
    assert not report.quarantined


def book(at=OPEN):
    return actions_book(market_time=at, recorded_at=RECORDED)


def hold(portfolio, instrument, quantity, at=OPEN - timedelta(days=1), **more):
    LedgerEntryFactory(portfolio_id=portfolio.pk, instrument_id=instrument.pk, quantity=Decimal(quantity), effective_at=at, **more)


class TestDividends:
    @pytest.fixture(autouse=True)
    def dividend(self, instrument):
        known(ActionKind.DIVIDEND, "0.24")

    def test_those_who_held_before_the_ex_date_get_it_and_shorts_pay_it(self, portfolio, instrument):
        short = BookFactory(portfolio=portfolio)
        hold(portfolio, instrument, 100)
        hold(portfolio, instrument, -50, book_id=short.pk)
        hold(portfolio, instrument, 1000, at=OPEN)  # bought on the ex-date: too late
        report = book()
        entries = LedgerEntry.objects.filter(pk__in=report.entries).order_by("id")
        assert [(entry.kind, entry.amount, entry.effective_at) for entry in entries] == [
            ("dividend", 24, OPEN),
            ("dividend_paid", -12, OPEN),
        ]
        assert report.refused == {}
        assert positions_rebuild(portfolio_id=portfolio.pk).differences == ()

    def test_once_however_often_it_runs(self, portfolio, instrument):
        hold(portfolio, instrument, 100)
        assert len(book().entries) == 1
        before = CashBalance.objects.get().amount
        again = book(OPEN + timedelta(days=30))
        assert (again.entries, again.refused) == ((), {})
        assert CashBalance.objects.get().amount == before

    def test_not_before_the_ex_date_begins(self, portfolio, instrument):
        hold(portfolio, instrument, 100)
        assert book(OPEN - timedelta(seconds=1)).entries == ()

    def test_a_value_corrected_after_it_was_booked_is_for_people(self, portfolio, instrument):
        hold(portfolio, instrument, 100)
        book()
        known(ActionKind.DIVIDEND, "0.25")
        report = book()
        assert report.entries == ()
        assert list(report.refused) == [f"dividend:{instrument.pk}:2012-01-05:{portfolio.books.get().pk}"]


class TestSplits:
    @pytest.fixture(autouse=True)
    def split(self, instrument):
        known(ActionKind.SPLIT, "2")

    def test_the_lots_from_before_are_multiplied(self, portfolio, instrument):
        hold(portfolio, instrument, 100)
        hold(portfolio, instrument, 7, at=OPEN + timedelta(hours=1))
        book(OPEN + timedelta(hours=2))
        assert Position.objects.get().quantity == 207
        assert book(OPEN + timedelta(hours=3)).entries == ()
        assert positions_rebuild(portfolio_id=portfolio.pk).differences == ()

    def test_what_was_sold_by_the_old_count_is_refused_by_name(self, portfolio, instrument):
        hold(portfolio, instrument, 100)
        hold(portfolio, instrument, -7, at=OPEN + timedelta(hours=1))
        report = book(OPEN + timedelta(hours=2))
        assert report.entries == ()
        assert "closed after it" in next(iter(report.refused.values()))
