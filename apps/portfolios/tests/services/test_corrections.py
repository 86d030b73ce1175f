"""Trades that were corrected after they had been booked."""

from datetime import timedelta
from decimal import Decimal

import pytest

from apps.core.errors import Conflict, InvalidInput, NotFound
from apps.portfolios.models import Book, CashBalance, LedgerEntry, Lot, Position
from apps.portfolios.services.corrections import trade_correct
from apps.portfolios.services.moves import split_post
from apps.portfolios.services.rebuild import positions_rebuild
from apps.portfolios.tests.factories import START, CashEntryFactory, InstrumentFactory, LedgerEntryFactory, PortfolioFactory

pytestmark = pytest.mark.django_db

LATER = START + timedelta(days=1)


@pytest.fixture
def given():
    """Where to post: the portfolio, its book, an instrument."""
    portfolio = PortfolioFactory()
    return {"portfolio_id": portfolio.pk, "book_id": Book.objects.get(portfolio=portfolio).pk, "instrument_id": InstrumentFactory().pk}


@pytest.fixture
def correct(given):
    """Corrects the trade "fill:1", ten shares at 100 with a fee of 1 unless a test books another."""

    def correct(version, quantity, price, *, fee=None, **more):
        facts = {"source": "fill", "source_ref": "1", "effective_at": LATER, "recorded_at": LATER} | more
        return trade_correct(version=version, quantity=Decimal(quantity), price=Decimal(price), fee=None if fee is None else Decimal(fee), **facts)

    return correct


def book(given, quantity="10", **more):
    return LedgerEntryFactory(**given, quantity=Decimal(quantity), price=Decimal(100), fee=Decimal(1), source="fill", source_ref="1", **more)


def stands(given):
    """Quantity, cost, realised, cash."""
    assert positions_rebuild(portfolio_id=given["portfolio_id"]).differences == ()
    return (*Position.objects.values_list("quantity", "cost", "realised").get(), CashBalance.objects.get().amount)


def test_the_trade_is_reversed_and_booked_anew(given, correct):
    first = book(given)
    reversal, correction = correct("2", "10", "99")
    assert [(entry.source, entry.quantity, entry.price, entry.effective_at) for entry in (reversal, correction)] == [
        ("reversal", -10, 100, first.effective_at),
        ("correction", 10, 99, LATER),
    ]
    assert stands(given) == (10, 990, -1, 100_000 - 990 - 1)


def test_the_lot_that_it_opened_is_closed_though_an_older_one_is_there(given, correct):
    LedgerEntryFactory(**given, quantity=Decimal(10), price=Decimal(50))
    book(given)
    correct("2", "10", "99")
    open_lots = Lot.objects.exclude(remaining=0).order_by("id")
    assert list(open_lots.values_list("remaining", "remaining_cost")) == [(10, 500), (10, 990)]


def test_a_lot_that_was_sold_from_is_closed_by_the_portfolios_method(given, correct):
    book(given)
    LedgerEntryFactory(**given, quantity=Decimal(-4), price=Decimal(110), fee=Decimal(0))
    correct("2", "10", "99")
    assert stands(given)[0] == 6
    assert stands(given)[3] == 100_000 - 990 - 1 + 440


def test_a_sale_is_corrected_too(given, correct):
    LedgerEntryFactory(**given, quantity=Decimal(10), price=Decimal(50), fee=Decimal(0))
    book(given, "-10")
    correct("2", "-10", "101")
    assert stands(given)[0] == 0
    assert stands(given)[3] == 100_000 - 500 + 1010 - 1


def test_a_version_is_booked_once_and_the_next_reverses_it(given, correct):
    book(given)
    assert len(correct("2", "10", "99")) == 2
    assert correct("2", "10", "99") == ()
    assert len(correct("3", "8", "98")) == 2
    assert stands(given)[:2] == (8, 784)
    assert LedgerEntry.objects.filter(source="reversal").order_by("id").last().price == 99


def test_a_trade_that_never_was_is_reversed_and_may_come_back(given, correct):
    book(given)
    assert len(correct("2", "0", "100")) == 1
    assert correct("2", "0", "100") == ()
    assert stands(given)[0] == 0
    assert [entry.source for entry in correct("3", "10", "99")] == ["correction"]
    assert stands(given)[0] == 10


@pytest.mark.parametrize(("fees", "booked"), [(["1"], "1"), (["1.75"], "1.75"), (["0.5"], "1"), (["1.5", "1.75"], "1.75"), ([None], "1")])
def test_only_what_a_fee_is_more_is_booked(given, correct, fees, booked):
    book(given)
    for number, fee in enumerate(fees, 2):
        correct(str(number), "10", "100", fee=fee)
    assert stands(given)[3] == 100_000 - 1000 - Decimal(booked)


def test_a_trade_in_another_currency_keeps_its_rate(given, correct):
    book(given, currency="EUR", fx_rate=Decimal("1.1"))
    reversal, correction = correct("2", "10", "99")
    assert (reversal.fx_rate, correction.fx_rate, correction.currency) == (Decimal("1.1"), Decimal("1.1"), "EUR")


def test_after_a_split_it_is_for_people(given, correct):
    book(given)
    split_post(**given, ratio=Decimal(2), source="test", source_ref="split", effective_at=LATER, recorded_at=LATER)
    with pytest.raises(Conflict):
        correct("2", "10", "99")
    assert stands(given)[0] == 20


def test_what_was_never_booked_or_is_no_trade_is_refused(given, correct):
    with pytest.raises(NotFound):
        correct("2", "10", "99")
    CashEntryFactory(portfolio_id=given["portfolio_id"], kind="fee", amount=Decimal(-1), source="fill", source_ref="1")
    with pytest.raises(InvalidInput):
        correct("2", "10", "99")
