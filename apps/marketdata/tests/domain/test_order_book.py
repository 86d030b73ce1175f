"""Books built order by order: the rules, the published cases, and the compiled engine beside the readable one."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.marketdata.domain.book.engine import CompiledBook
from apps.marketdata.domain.book.events import ASK, BID, BookEvents, BookFaults, BookState, Level, OrderBook, book_state
from apps.marketdata.domain.book.reference import ReferenceBook

Event = tuple[str, int, int, int, int, int, bool]
BOOKS = pytest.mark.parametrize("make", [ReferenceBook, CompiledBook])


def events(*rows: Event) -> BookEvents:
    letter, ref, new_ref, side, price, shares, printable = zip(*rows, strict=True) if rows else ((),) * 7
    return BookEvents(
        letter=np.array([ord(item) for item in letter], np.int16),
        ref=np.array(ref, np.int64),
        new_ref=np.array(new_ref, np.int64),
        side=np.array(side, np.int16),
        price=np.array(price, np.int64),
        shares=np.array(shares, np.int64),
        printable=np.array(printable, bool),
    )


def added(ref: int, side: int, shares: int, price: int) -> Event:
    return ("A", ref, 0, side, price, shares, True)


def taken(letter: str, ref: int, shares: int, *, price: int = 0, printable: bool = True) -> Event:
    return (letter, ref, 0, 0, price, shares, printable)


def replaced(ref: int, new_ref: int, shares: int, price: int) -> Event:
    return ("U", ref, new_ref, 0, price, shares, True)


def sizes(book: OrderBook, side: int) -> dict[int, int]:
    return {level.price: level.shares for level in book.levels(side)}


V_E1_1 = events(
    added(1, BID, 100, 100000),
    added(2, BID, 200, 99900),
    added(3, ASK, 150, 100200),
    taken("E", 1, 40),
    taken("X", 2, 50),
    replaced(3, 4, 100, 100300),
    taken("D", 1, 0),
)


@BOOKS
class TestRules:
    def test_v_e1_1(self, make: Callable[[], OrderBook]) -> None:
        book = make()
        book.apply(V_E1_1.take(slice(0, 4)))
        assert (book.levels(BID)[0], book.levels(ASK)[0]) == (Level(price=100000, shares=60, orders=1), Level(price=100200, shares=150, orders=1))
        book.apply(V_E1_1.take(slice(4, None)))
        assert (sizes(book, BID), sizes(book, ASK)) == ({99900: 150}, {100300: 100})
        assert (book_state(book), book.volume) == (BookState.OK, 40)

    def test_v_e1_2_executed_at_another_price_and_not_printable(self, make: Callable[[], OrderBook]) -> None:
        book = make()
        book.apply(events(added(1, BID, 100, 100000), taken("C", 1, 40, price=99950, printable=False)))
        assert (book.queue(BID, 100000), book.volume) == ([(1, 60)], 0)
        book.apply(events(taken("C", 1, 10, price=99950)))
        assert (book.queue(BID, 100000), book.volume) == ([(1, 50)], 10)

    def test_v_e1_2_replacing_an_unknown_order_makes_the_book_dirty(self, make: Callable[[], OrderBook]) -> None:
        book = make()
        book.apply(events(added(1, BID, 100, 100000), replaced(7, 8, 100, 100100)))
        assert (book_state(book), book.faults, sizes(book, BID)) == (BookState.DIRTY, BookFaults(unknown=1), {100000: 100})

    @pytest.mark.parametrize("letter", ["E", "C", "X", "D"])
    def test_every_event_of_an_unknown_order_is_counted(self, make: Callable[[], OrderBook], letter: str) -> None:
        book = make()
        book.apply(events(taken(letter, 5, 10), taken(letter, 6, 10)))
        assert (book.faults, book_state(book), book.volume) == (BookFaults(unknown=2), BookState.DIRTY, 0)

    def test_a_number_twice_and_more_shares_than_there_are(self, make: Callable[[], OrderBook]) -> None:
        book = make()
        book.apply(events(added(1, BID, 100, 100000), added(1, BID, 5, 99900), taken("E", 1, 130)))
        assert (book.faults, sizes(book, BID), book.volume) == (BookFaults(repeated=1, excess=1), {}, 100)

    def test_priority_is_kept_by_partial_fills_and_lost_by_replacing(self, make: Callable[[], OrderBook]) -> None:
        book = make()
        book.apply(events(*(added(ref, ASK, 100, 5000) for ref in (1, 2, 3)), taken("E", 1, 60), taken("X", 2, 10), replaced(1, 9, 40, 5000)))
        assert book.queue(ASK, 5000) == [(2, 90), (3, 100), (9, 40)]
        book.apply(events(taken("D", 3, 0), replaced(9, 9, 15, 5000)))
        assert book.queue(ASK, 5000) == [(2, 90), (9, 15)]

    def test_trades_beside_the_book_count_as_volume_only(self, make: Callable[[], OrderBook]) -> None:
        book = make()
        book.apply(events(added(1, BID, 100, 100000), taken("P", 55, 30), taken("Q", 56, 500), taken("B", 55, 0)))
        assert (sizes(book, BID), book.volume, book_state(book)) == ({100000: 100}, 530, BookState.OK)

    def test_locked_and_crossed(self, make: Callable[[], OrderBook]) -> None:
        book = make()
        book.apply(events(added(1, BID, 100, 100000), added(2, ASK, 100, 100000)))
        assert book_state(book) is BookState.CROSSED
        book.apply(events(taken("D", 2, 0)))
        assert book_state(book) is BookState.OK

    def test_an_empty_book(self, make: Callable[[], OrderBook]) -> None:
        book = make()
        book.apply(events())
        assert (book.levels(BID), book.levels(ASK), book.queue(BID, 1), book_state(book)) == ([], [], [], BookState.OK)


class TestEngine:
    def test_best_prices_after_each_event(self) -> None:
        best = CompiledBook().best_series(V_E1_1)
        assert best.bid.tolist() == [100000, 100000, 100000, 100000, 100000, 100000, 99900]
        assert best.bid_shares.tolist() == [100, 100, 100, 60, 60, 60, 150]
        assert best.ask.tolist() == [0, 0, 100200, 100200, 100200, 100300, 100300]
        assert best.ask_shares.tolist() == [0, 0, 150, 150, 150, 100, 100]

    def test_snapshots_of_the_best_levels(self) -> None:
        depth = CompiledBook().snapshots(V_E1_1, [0, 2, 2, 7], levels=2)
        assert depth.bid.tolist() == [[0, 0], [100000, 99900], [100000, 99900], [99900, 0]]
        assert depth.bid_shares.tolist() == [[0, 0], [100, 200], [100, 200], [150, 0]]
        assert depth.ask.tolist() == [[0, 0], [0, 0], [0, 0], [100300, 0]]

    def test_it_grows_with_its_orders(self) -> None:
        book, reference = CompiledBook(capacity=2), ReferenceBook()
        for part in range(5):
            batch = events(*(added(100 * part + n, BID if n % 2 else ASK, n + 1, 5000 + (n if n % 2 else -n)) for n in range(20)))
            for one in (book, reference):
                one.apply(batch)
                one.apply(events(taken("D", 100 * part + 3, 0), taken("E", 100 * part, 1)))
        assert_equal(book, reference)

    def test_numbers_that_collide_in_the_table(self) -> None:
        """Thousands of numbers in one small table, removed in another order than they came: every search crosses closed gaps."""
        random = np.random.default_rng(11)
        refs = random.choice(1 << 62, 3000, replace=False).tolist()
        batch = events(*(added(ref, BID, 10, 5000 + ref % 7) for ref in refs), *(taken("D", ref, 0) for ref in sorted(refs)[:2500]))
        book, reference = CompiledBook(capacity=3000), ReferenceBook()
        for one in (book, reference):
            one.apply(batch)
        assert_equal(book, reference)
        assert book.faults == BookFaults()


REFS = st.integers(1, 12)
SHARES = st.integers(1, 50)
PRICES = st.integers(95, 105)
EVENTS = st.one_of(
    st.tuples(st.sampled_from("AF"), REFS, st.just(0), st.sampled_from([BID, ASK]), PRICES, SHARES, st.just(True)),
    st.tuples(st.sampled_from("EX"), REFS, st.just(0), st.just(0), st.just(0), SHARES, st.just(True)),
    st.tuples(st.just("C"), REFS, st.just(0), st.just(0), PRICES, SHARES, st.booleans()),
    st.tuples(st.just("D"), REFS, st.just(0), st.just(0), st.just(0), st.just(0), st.just(True)),
    st.tuples(st.just("U"), REFS, REFS, st.just(0), PRICES, SHARES, st.just(True)),
    st.tuples(st.sampled_from("PQB"), REFS, st.just(0), st.just(0), PRICES, SHARES, st.just(True)),
)


@settings(max_examples=150)
@given(rows=st.lists(EVENTS, max_size=80), cut=st.integers(0, 80))
def test_both_books_are_the_same_whatever_comes(rows: list[Event], cut: int) -> None:
    compiled, reference, steps = CompiledBook(capacity=2), ReferenceBook(), CompiledBook(capacity=2)
    compiled.apply(events(*rows[:cut]))
    compiled.apply(events(*rows[cut:]))
    best = steps.best_series(events(*rows))
    for n, row in enumerate(rows):
        reference.apply(events(row))
        invariants(reference)
        for side, prices, shares in ((BID, best.bid, best.bid_shares), (ASK, best.ask, best.ask_shares)):
            first = next(iter(reference.levels(side)), Level(price=0, shares=0, orders=0))
            assert (prices[n], shares[n]) == (first.price, first.shares)
    invariants(compiled)
    assert_equal(compiled, reference)
    assert_equal(steps, reference)


def invariants(book: OrderBook) -> None:
    """Sums of levels are those of their orders, nothing is negative or empty, the best comes first, no order stands twice."""
    refs: list[int] = []
    for side in (BID, ASK):
        levels = book.levels(side)
        assert [level.price * side for level in levels] == sorted((level.price * side for level in levels), reverse=True)
        for level in levels:
            queue = book.queue(side, level.price)
            assert level.shares == sum(shares for _, shares in queue)
            assert level.orders == len(queue) > 0
            assert all(shares > 0 for _, shares in queue)
            refs += [ref for ref, _ in queue]
    assert len(refs) == len(set(refs))


def assert_equal(one: OrderBook, other: OrderBook) -> None:
    assert (one.faults, one.volume) == (other.faults, other.volume)
    for side in (BID, ASK):
        assert one.levels(side) == other.levels(side)
        assert queues(one, side) == queues(other, side)


def queues(book: OrderBook, side: int) -> Sequence[list[tuple[int, int]]]:
    return [book.queue(side, level.price) for level in book.levels(side)]
