"""Storing quotes, trades, depth and order events, and reading them again."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from apps.core.errors import InvalidInput, NotFound
from apps.marketdata.domain.ticks import UNNUMBERED, DepthSeries, OrderEventSeries, QuoteSeries, TradeSeries
from apps.marketdata.domain.vendor import QuoteTick, TradeTick
from apps.marketdata.models import OrderEvent, Quote, Trade
from apps.marketdata.selectors import ticks as stored
from apps.marketdata.services.ticks import TickResult, depth_store, quotes_store, trades_store
from apps.marketdata.tests.factories import RECORDED_AT, InstrumentFactory

pytestmark = pytest.mark.django_db

OPEN = datetime(2026, 1, 5, 14, 30, tzinfo=UTC)
CLOSE = OPEN + timedelta(hours=7)
STORED = {"source": "venue", "recorded_at": RECORDED_AT}
RANGE = {"symbol": "AAA", "start": OPEN, "end": CLOSE}


@pytest.fixture(autouse=True)
def instrument() -> None:
    InstrumentFactory(symbol="AAA")
    InstrumentFactory(symbol="BBB")


def times(*seconds: float) -> np.ndarray:
    return np.array([np.datetime64(OPEN.replace(tzinfo=None), "us") + np.timedelta64(round(s * 1e6), "us") for s in seconds])


def quote_series(*rows: tuple[float, float, float, float, float], sequence: list[int] | None = None) -> QuoteSeries:
    at, bid, bid_size, ask, ask_size = (np.array(column) for column in zip(*rows, strict=True))
    return QuoteSeries(
        symbol="AAA",
        ts=times(*at),
        sequence=np.array(sequence or [UNNUMBERED] * len(rows), np.int64),
        bid=bid.astype(float),
        bid_size=bid_size.astype(float),
        ask=ask.astype(float),
        ask_size=ask_size.astype(float),
    )


def depth_series() -> DepthSeries:
    return DepthSeries(
        symbol="AAA",
        ts=times(0, 0, 1),
        sequence=np.array([5, 5, 6]),
        first_sequence=np.array([5, 5, 6]),
        snapshot=np.array([True, True, False]),
        side=np.array([1, -1, 1], np.int16),
        price=np.array([10.0, 10.01, 10.0]),
        size=np.array([1.5, 2.0, 0.0]),
    )


def order_series() -> OrderEventSeries:
    return OrderEventSeries(
        symbol="AAA",
        ts=times(0, 0, 1),
        sequence=np.array([1, 2, 3]),
        letter=np.array([ord(letter) for letter in "AFC"], np.int16),
        ref=np.array([1, 2, 1]),
        new_ref=np.zeros(3, np.int64),
        side=np.array([1, -1, 0], np.int16),
        price=np.array([10.0, 10.01, 10.0001]),
        shares=np.array([100, 200, 40]),
        printable=np.array([True, True, False]),
    )


def trade_tick(seconds: float, price: float, trade_id: str = "", symbol: str = "AAA") -> TradeTick:
    return TradeTick(symbol=symbol, ts=OPEN + timedelta(seconds=seconds), price=price, size=100, trade_id=trade_id)


class TestReadingAgain:
    def test_quotes_are_what_they_were_in_the_order_in_which_they_came(self) -> None:
        given = quote_series((0, 10, 1, 10.1, 2), (1, 10.01, 3, 10.1, 2), (1, 10.02, 4, 10.1, 2))
        assert quotes_store(quotes=given, **STORED) == TickResult(inserted=3, duplicates=0)
        found = stored.quotes(**RANGE)
        for name in ("ts", "bid", "bid_size", "ask", "ask_size"):
            np.testing.assert_array_equal(getattr(found, name), getattr(given, name))
        assert found.sequence.tolist() == [0, 0, 1]
        assert Quote.objects.first().recorded_at == RECORDED_AT

    def test_depth_and_order_events(self) -> None:
        for given, read in ((depth_series(), stored.depth), (order_series(), stored.order_events)):
            assert depth_store(depth=given, **STORED) == TickResult(inserted=3, duplicates=0)
            assert depth_store(depth=given, **STORED) == TickResult(inserted=0, duplicates=3)
            found = read(**RANGE)
            order = np.lexsort([-found.price, found.sequence]) if isinstance(given, OrderEventSeries) else np.array([1, 0, 2])
            for name, values in found.columns().items():
                np.testing.assert_array_equal(values[order], getattr(given, name), err_msg=name)

    def test_range_source_and_limit(self) -> None:
        quotes_store(quotes=quote_series((0, 10, 1, 11, 1), (1, 10, 2, 11, 1), (2, 10, 3, 11, 1)), **STORED)
        quotes_store(quotes=quote_series((1, 10, 9, 11, 1)), **{**STORED, "source": "other"})
        part = {"symbol": "AAA", "start": OPEN + timedelta(seconds=1), "end": OPEN + timedelta(seconds=2)}
        assert stored.quotes(**part).bid_size.tolist() == [2, 9]
        assert stored.quotes(**part, source="other").bid_size.tolist() == [9]
        assert stored.quotes(**RANGE, source="venue", limit=2).bid_size.tolist() == [1, 2]
        with pytest.raises(NotFound, match="no source 'nobody'"):
            stored.quotes(**RANGE, source="nobody")
        with pytest.raises(InvalidInput, match="start has no time zone"):
            stored.quotes(symbol="AAA", start=OPEN.replace(tzinfo=None), end=CLOSE)

    def test_too_large_a_range_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(stored, "MOST_ROWS", 1)
        quotes_store(quotes=quote_series((0, 10, 1, 11, 1)), **STORED)
        assert len(stored.quotes(**RANGE)) == 1
        quotes_store(quotes=quote_series((1, 10, 1, 11, 1)), **STORED)
        with pytest.raises(InvalidInput, match="shorter range"):
            stored.quotes(**RANGE)


class TestRepetitions:
    def test_numbered_rows_are_known_by_their_number(self) -> None:
        given = quote_series((0, 10, 1, 11, 1), (0, 10, 2, 11, 1), (0, 10, 9, 11, 1), sequence=[7, 8, 8])
        assert quotes_store(quotes=given, **STORED) == TickResult(inserted=2, duplicates=1)
        more = quote_series((0, 10, 5, 11, 1), (1, 10, 6, 11, 1), sequence=[8, 9])
        assert quotes_store(quotes=more, **STORED) == TickResult(inserted=1, duplicates=1)
        assert stored.quotes(**RANGE).bid_size.tolist() == [1, 2, 6]

    def test_an_equal_quote_of_the_same_microsecond_tells_nothing(self) -> None:
        tick = QuoteTick(symbol="AAA", ts=OPEN, bid=10, bid_size=1, ask=11, ask_size=1)
        moved = replace(tick, bid=10.5)
        assert quotes_store(quotes=[tick, tick, moved, tick], **STORED) == TickResult(inserted=2, duplicates=2)
        assert quotes_store(quotes=[moved, replace(tick, bid_size=3)], **STORED) == TickResult(inserted=1, duplicates=1)
        assert [(row.sequence, row.bid, row.bid_size) for row in Quote.objects.order_by("sequence")] == [(0, 10, 1), (1, 10.5, 1), (2, 10, 3)]

    def test_equal_trades_without_an_id_are_trades_of_their_own(self) -> None:
        batch = [trade_tick(0, 10), trade_tick(0, 10), trade_tick(0, 11)]
        assert trades_store(trades=batch, **STORED) == TickResult(inserted=3, duplicates=0)
        assert trades_store(trades=batch, **STORED) == TickResult(inserted=0, duplicates=3)
        assert trades_store(trades=[*batch, trade_tick(0, 10)], **STORED) == TickResult(inserted=1, duplicates=3)

    def test_trades_with_an_id_are_known_by_it(self) -> None:
        batch = [trade_tick(0, 10, "12"), trade_tick(0, 10, "13"), trade_tick(0, 10, "a-b"), trade_tick(0, 12, symbol="BBB")]
        assert trades_store(trades=batch, **STORED) == TickResult(inserted=4, duplicates=0)
        assert trades_store(trades=[*batch, trade_tick(0, 10, "a-c")], **STORED) == TickResult(inserted=1, duplicates=4)
        assert {12, 13} < set(Trade.objects.values_list("sequence", flat=True))

    def test_two_vendors_may_tell_of_the_same(self) -> None:
        for source in ("one", "two"):
            assert trades_store(trades=[trade_tick(0, 10, "1")], source=source, recorded_at=RECORDED_AT).inserted == 1


class TestRefusals:
    def test_one_impossible_row_refuses_the_whole_call_and_is_named(self) -> None:
        good, bad = trade_tick(0, 10), trade_tick(1, float("nan"))
        with pytest.raises(InvalidInput, match=r"AAA 2026-01-05T14:30:01\.000000: price must be a number above 0") as refused:
            trades_store(trades=[good, bad], **STORED)
        assert refused.value.field == "price"
        assert not Trade.objects.exists()

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"letter": np.array([65, 70, 90], np.int16)}, "letter"),
            ({"side": np.array([1, 0, 0], np.int16)}, "side"),
            ({"price": np.array([10.0, 10.00001, 10])}, "price"),
            ({"price": np.array([10.0, 0, 10])}, "price"),
            ({"shares": np.array([1, 1, 0])}, "shares"),
            ({"sequence": np.array([1, -1, 3])}, "sequence"),
            ({"ts": np.array(["2026-01-05", "NaT", "2026-01-05"], "datetime64[us]")}, "ts"),
        ],
        ids=str,
    )
    def test_order_events(self, change, field) -> None:
        with pytest.raises(InvalidInput) as refused:
            depth_store(depth=replace(order_series(), **change), **STORED)
        assert refused.value.field == field
        assert not OrderEvent.objects.exists()

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"first_sequence": np.array([5, 5, 7])}, "sequence"),
            ({"side": np.array([1, 0, 1], np.int16)}, "side"),
            ({"size": np.array([1.0, -1, 0])}, "size"),
            ({"price": np.array([1.0, np.inf, 1])}, "price"),
        ],
        ids=str,
    )
    def test_depth(self, change, field) -> None:
        with pytest.raises(InvalidInput) as refused:
            depth_store(depth=replace(depth_series(), **change), **STORED)
        assert refused.value.field == field

    def test_unknown_symbols_are_named(self) -> None:
        with pytest.raises(NotFound, match="'ZZZ'"):
            trades_store(trades=[trade_tick(0, 10), trade_tick(0, 10, symbol="ZZZ")], **STORED)
        assert not Trade.objects.exists()

    def test_a_time_needs_its_zone(self) -> None:
        with pytest.raises(InvalidInput, match="time zone"):
            trades_store(trades=[replace(trade_tick(0, 10), ts=OPEN.replace(tzinfo=None))], **STORED)

    def test_crossed_and_one_sided_quotes_are_facts(self) -> None:
        given = quote_series((0, 10.05, 1, 10.03, 1), (1, 0, 0, 10.03, 1))
        assert quotes_store(quotes=given, **STORED).inserted == 2

    @pytest.mark.parametrize("statement", ["update {} set sequence = 1", "delete from {}", "truncate {}"])
    @pytest.mark.parametrize("table", ["marketdata_quote", "marketdata_trade", "marketdata_depthupdate", "marketdata_orderevent"])
    def test_ticks_are_only_added(self, statement, table) -> None:
        quotes_store(quotes=quote_series((0, 10, 1, 11, 1)), **STORED)
        trades_store(trades=[trade_tick(0, 10)], **STORED)
        depth_store(depth=depth_series(), **STORED)
        depth_store(depth=order_series(), **STORED)
        with pytest.raises(DatabaseError, match="is refused: its rows are facts"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement.format(table))

    def test_the_database_itself_refuses_what_cannot_be(self) -> None:
        row = {"instrument_id": 1, "source_id": 1, "ts": OPEN, "sequence": 0, "recorded_at": RECORDED_AT}
        with pytest.raises(IntegrityError, match="trade_values"), transaction.atomic():
            Trade.objects.create(**row, price=float("nan"), size=1)
        with pytest.raises(IntegrityError, match="quote_values"), transaction.atomic():
            Quote.objects.create(**row, bid=1, bid_size=-1, ask=1, ask_size=1)


class TestNbboAt:
    def test_each_moment_sees_the_last_quote_at_or_before_it(self) -> None:
        quotes_store(quotes=quote_series((0, 10, 1, 11, 1), (5, 10.1, 1, 11, 1), (5, 10.2, 1, 11, 1)), **STORED)
        found = stored.nbbo_at("AAA", times(5, 4.999999, 0, -1, 3605, 3605.000001))
        np.testing.assert_array_equal(found.bid, [10.2, 10, 10, np.nan, 10.2, np.nan])
        np.testing.assert_array_equal(np.isnat(found.ts), [False, False, False, True, False, True])
        assert found.sequence.tolist() == [1, 0, 0, -1, 1, -1]

    def test_without_quotes_or_moments(self) -> None:
        assert np.isnan(stored.nbbo_at("AAA", [OPEN, CLOSE]).bid).all()
        assert len(stored.nbbo_at("AAA", [])) == 0
        with pytest.raises(InvalidInput, match="time zone"):
            stored.nbbo_at("AAA", [OPEN.replace(tzinfo=None)])


def test_many_rows_by_copy() -> None:
    """More than one block, numbered and with an overlap of one half."""
    count = 120_000
    random = np.random.default_rng(3)
    series = TradeSeries(
        symbol="AAA",
        ts=np.datetime64(OPEN.replace(tzinfo=None), "us") + np.sort(random.integers(0, 10**9, count)).astype("timedelta64[us]"),
        sequence=np.arange(count),
        price=random.uniform(1, 2, count),
        size=random.uniform(1, 2, count),
        aggressor=random.integers(-1, 2, count).astype(np.int16),
    )
    assert trades_store(trades=series.take(slice(0, count // 2)), **STORED).inserted == count // 2
    assert trades_store(trades=series, **STORED) == TickResult(inserted=count // 2, duplicates=count // 2)
    found = stored.trades(**RANGE)
    np.testing.assert_array_equal(found.price[np.argsort(found.sequence)], series.price)
