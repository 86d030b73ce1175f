"""Postings from several connections at once, with real commits."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from django.db import connection

from apps.core.errors import Conflict
from apps.portfolios.models import Book, CashBalance, LedgerEntry, Position
from apps.portfolios.services.rebuild import positions_rebuild
from apps.portfolios.tests.factories import START, InstrumentFactory, LedgerEntryFactory, PortfolioFactory

pytestmark = pytest.mark.django_db(transaction=True)

WORKERS = 4


def together(work, count):
    """Run work(0) ... work(count - 1) on several connections, and give their results in order."""

    def run(number):
        try:
            return work(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(run, range(count)))


@pytest.fixture
def given():
    portfolio = PortfolioFactory()
    book = Book.objects.get(portfolio=portfolio)
    return {"portfolio_id": portfolio.pk, "book_id": book.pk, "instrument_id": InstrumentFactory().pk}


class TestRaces:
    def test_trades_of_one_position_queue_up(self, given):
        together(lambda n: LedgerEntryFactory(**given, source_ref=f"race-{n}", quantity=Decimal(30 if n % 2 else -20)), 40)
        assert Position.objects.get().quantity == 20 * 10
        assert CashBalance.objects.get().amount == 100_000 - 200 * 10
        assert positions_rebuild(portfolio_id=given["portfolio_id"]).differences == ()

    def test_one_fact_posted_by_many_is_booked_once(self, given):
        entries = together(lambda _: LedgerEntryFactory(**given, source_ref="once", effective_at=START).pk, WORKERS)
        assert len(set(entries)) == 1
        assert Position.objects.get().quantity == 100

    def test_one_reference_in_two_portfolios_is_a_conflict_for_one(self, given):
        portfolio = PortfolioFactory()
        other = {**given, "portfolio_id": portfolio.pk, "book_id": Book.objects.get(portfolio=portfolio).pk}

        def post(number):
            try:
                return LedgerEntryFactory(**(given, other)[number % 2], source_ref="shared", effective_at=START).portfolio_id
            except Conflict:
                return None

        booked = set(together(post, 2 * WORKERS)) - {None}
        assert len(booked) == 1
        assert LedgerEntry.objects.filter(source_ref="shared").count() == 1
