"""Signals are recorded once per bar, whoever says them again."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError, transaction

from apps.core.errors import Conflict, NotFound
from apps.core.models import JournalEntry
from apps.marketdata.tests.factories import InstrumentFactory
from apps.portfolios.tests.factories import BookFactory
from apps.strategies.domain.strategy import SignalAction, StrategySignal
from apps.strategies.models import Signal
from apps.strategies.selectors.signals import signals_last
from apps.strategies.services.signals import signals_record

pytestmark = pytest.mark.django_db
BAR = datetime(2012, 1, 3, tzinfo=UTC)
NOW = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.fixture
def book():
    for symbol in ("AAPL", "IBM"):
        InstrumentFactory(symbol=symbol)
    return BookFactory()


def signal(symbol="AAPL", action=SignalAction.BUY, price=10.5, bar=BAR):
    return StrategySignal(action=action, symbol=symbol, price=price, timestamp=bar)


def record(book, *signals, strategy="sma_cross"):
    return signals_record(strategy=strategy, parameters={"fast": 5}, book_id=book.pk, signals=signals, market_time=BAR, recorded_at=NOW)


class TestSignalsRecord:
    def test_writes_what_was_said(self, book):
        recorded = record(book, signal(), signal("IBM", SignalAction.HOLD))
        assert [(row.instrument.symbol, row.action, str(row.price), row.bar_ts, row.parameters) for row in recorded.new] == [
            ("AAPL", "buy", "10.500000", BAR, {"fast": 5}),
            ("IBM", "hold", "10.500000", BAR, {"fast": 5}),
        ]
        assert recorded.known == ()
        assert Signal.objects.count() == 2

    def test_writes_nothing_when_it_is_said_again(self, book):
        first = record(book, signal())
        again = record(book, signal(), signal("IBM"))
        assert again.known == first.new
        assert [row.instrument.symbol for row in again.new] == ["IBM"]
        assert record(book, signal(bar=BAR + timedelta(days=1))).new
        assert record(book, signal(), strategy="macd").new
        assert record(BookFactory(), signal()).new

    @pytest.mark.parametrize("changed", [{"action": SignalAction.SELL}, {"price": 10.6}])
    def test_refuses_another_word_for_the_same_bar(self, book, changed):
        record(book, signal())
        with pytest.raises(Conflict, match="AAPL"):
            record(book, signal("IBM"), signal(**changed))
        assert Signal.objects.count() == 1

    def test_refuses_unknown_symbols(self, book):
        with pytest.raises(NotFound, match="NOPE"):
            record(book, signal(), signal("NOPE"))
        assert not Signal.objects.exists()

    def test_is_journalled_and_cannot_be_changed(self, book):
        (row,) = record(book, signal()).new
        assert JournalEntry.objects.filter(table_name="strategies_signal").count() == 1
        for statement in (lambda: Signal.objects.filter(pk=row.pk).update(action="sell"), row.delete):
            with pytest.raises(IntegrityError), transaction.atomic():
                statement()


class TestSignalsLast:
    def test_is_the_last_word_before_a_bar_that_was_no_hold(self, book):
        for day, action in enumerate((SignalAction.BUY, SignalAction.SELL, SignalAction.HOLD, SignalAction.BUY)):
            record(book, signal(action=action, bar=BAR + timedelta(days=day)))
        assert signals_last(strategy="sma_cross", book_id=book.pk, before=BAR + timedelta(days=3)) == {"AAPL": "sell"}
        assert signals_last(strategy="sma_cross", book_id=book.pk, before=BAR) == {}
