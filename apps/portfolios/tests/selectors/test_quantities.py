"""Quantities that a process remembers: always those of the database, whatever happened to it meanwhile."""

from decimal import Decimal
from random import Random

import pytest
from django.db import transaction

from apps.core.errors import NotFound
from apps.marketdata.models import Instrument
from apps.portfolios.models import Position
from apps.portfolios.selectors import quantities
from apps.portfolios.selectors.holdings import holdings
from apps.portfolios.selectors.quantities import Quantities, quantities_of
from apps.portfolios.services.rebuild import positions_rebuild
from apps.portfolios.tests.factories import BookFactory, InstrumentFactory, LedgerEntryFactory, PortfolioFactory

SEED = 20261126


@pytest.fixture
def portfolio(transactional_db: None):
    """What is read is kept when its transaction commits: here transactions do."""
    return PortfolioFactory()


def now(portfolio, *, book_id: int = 0, instrument_id: int = 0) -> Quantities:
    return quantities_of(portfolio.pk, book_id=book_id, instrument_id=instrument_id)


def stored(portfolio) -> dict[int, Decimal]:
    """The same from the full read that pages use."""
    sums: dict[int, Decimal] = {}
    for position in holdings(portfolio.pk).positions:
        sums[position.instrument_id] = sums.get(position.instrument_id, Decimal(0)) + position.quantity
    return {key: quantity for key, quantity in sums.items() if quantity}


def trade(portfolio, instrument, quantity: str, book=None) -> None:
    book = book or portfolio.books.get(name="main")
    LedgerEntryFactory(portfolio_id=portfolio.pk, book_id=book.pk, instrument_id=instrument.pk, quantity=Decimal(quantity))


def test_after_each_trade_they_are_those_of_the_database(portfolio) -> None:
    random = Random(SEED)
    books = [portfolio.books.get(), BookFactory(portfolio=portfolio)]
    instruments = [InstrumentFactory() for _ in range(3)]
    for _ in range(30):
        book, instrument = random.choice(books), random.choice(instruments)
        trade(portfolio, instrument, str(random.choice([-100, -50, 50, 100])), book)
        found = now(portfolio, book_id=book.pk, instrument_id=instrument.pk)
        assert found.held == stored(portfolio)
        assert found.symbols == {i.pk: i.symbol for i in instruments if i.pk in found.held}
        assert found.book_held == Position.objects.get(book=book, instrument=instrument).quantity
        assert found.of_book == dict(Position.objects.filter(book=book).exclude(quantity=0).values_list("instrument_id", "quantity"))
        assert found.cash == holdings(portfolio.pk).cash


def test_a_second_look_reads_only_what_has_changed(portfolio) -> None:
    first, second = InstrumentFactory(), InstrumentFactory()
    trade(portfolio, first, "100")
    now(portfolio)
    trade(portfolio, second, "5")
    row = quantities._read(portfolio.pk, quantities._memories.get(portfolio.pk).newest)
    assert [key for _, key, *_ in quantities._changed(row[5])] == [second.pk]
    assert now(portfolio).held == {first.pk: 100, second.pk: 5}


def test_what_has_not_changed_is_the_same_object(portfolio) -> None:
    trade(portfolio, InstrumentFactory(), "100")
    assert now(portfolio).held is now(portfolio).held


def test_a_transaction_that_is_taken_back_is_forgotten(portfolio) -> None:
    bought, sold = InstrumentFactory(), InstrumentFactory()
    trade(portfolio, bought, "100")
    trade(portfolio, sold, "100")
    with transaction.atomic():
        trade(portfolio, bought, "10")
        trade(portfolio, sold, "-10")
        assert now(portfolio).held == {bought.pk: 110, sold.pk: 90}
        transaction.set_rollback(True)
    assert now(portfolio).held == {bought.pk: 100, sold.pk: 100}
    trade(portfolio, sold, "1")
    assert now(portfolio).held == {bought.pk: 100, sold.pk: 101}


def test_a_projection_that_was_mended_is_read_again(portfolio) -> None:
    instrument, other = InstrumentFactory(), InstrumentFactory()
    trade(portfolio, instrument, "100.25")
    trade(portfolio, other, "100.25")
    Position.objects.filter(instrument_id=instrument.pk).update(quantity=90)
    assert now(portfolio).held == {instrument.pk: 90, other.pk: Decimal("100.25")}
    assert positions_rebuild(portfolio_id=portfolio.pk, check=False).corrected
    assert now(portfolio).held == {instrument.pk: Decimal("100.25"), other.pk: Decimal("100.25")}


def test_a_new_name_is_known_when_the_memory_is_old(portfolio, monkeypatch: pytest.MonkeyPatch) -> None:
    instrument = InstrumentFactory(symbol="OLD")
    trade(portfolio, instrument, "100")
    now(portfolio)
    Instrument.objects.filter(pk=instrument.pk).update(symbol="NEW", currency="EUR")
    monkeypatch.setattr(quantities, "KEPT_SECONDS", 0.0)
    found = now(portfolio)
    assert found.symbols == {instrument.pk: "NEW"}
    assert found.foreign


def test_unknown_portfolio(db: None) -> None:
    with pytest.raises(NotFound, match="no portfolio 0"):
        quantities_of(0, book_id=0, instrument_id=0)
