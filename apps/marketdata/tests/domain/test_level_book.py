"""Books from a snapshot and changed levels: the rules, and the compiled engine beside the readable one."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.marketdata.domain.book.events import ASK, BID, BookState
from apps.marketdata.domain.book.levels import CompiledLevelBook, LevelFaults, ReferenceLevelBook
from apps.marketdata.domain.ticks import DepthSeries

Row = tuple[int, int, bool, int, float, float]
BOOKS = pytest.mark.parametrize("make", [ReferenceLevelBook, CompiledLevelBook])


def depth(*rows: Row) -> DepthSeries:
    first, last, snapshot, side, price, size = zip(*rows, strict=True) if rows else ((),) * 6
    return DepthSeries(
        symbol="AAA",
        ts=np.zeros(len(rows), "datetime64[us]"),
        first_sequence=np.array(first, np.int64),
        sequence=np.array(last, np.int64),
        snapshot=np.array(snapshot, bool),
        side=np.array(side, np.int16),
        price=np.array(price, float),
        size=np.array(size, float),
    )


def snapshot(at: int, *levels: tuple[int, float, float]) -> list[Row]:
    return [(at, at, True, *level) for level in levels]


def delta(first: int, last: int, *levels: tuple[int, float, float]) -> list[Row]:
    return [(first, last, False, *level) for level in levels]


BEGIN = snapshot(10, (BID, 99.0, 5), (BID, 98.0, 7), (ASK, 101.0, 4))


@BOOKS
class TestRules:
    def test_sizes_are_absolute_and_zero_removes(self, make: Callable) -> None:
        book = make()
        book.apply(depth(*BEGIN, *delta(11, 12, (BID, 99.0, 0), (BID, 98.0, 3), (ASK, 100.5, 1)), *delta(13, 13, (BID, 97.0, 0))))
        assert book.levels(BID) == [(98.0, 3.0)]
        assert book.levels(ASK) == [(100.5, 1.0), (101.0, 4.0)]
        assert (book.state, book.last, book.faults) == (BookState.OK, 13, LevelFaults())

    def test_messages_up_to_the_snapshot_are_dropped_and_one_that_covers_its_end_is_applied(self, make: Callable) -> None:
        book = make()
        book.apply(depth(*BEGIN, *delta(8, 10, (BID, 99.0, 1)), *delta(9, 11, (BID, 99.0, 2))))
        assert (book.levels(BID)[0], book.faults, book.last) == ((99.0, 2.0), LevelFaults(dropped=1), 11)

    def test_a_gap_makes_the_book_dirty_until_a_snapshot_takes_up_what_came_after(self, make: Callable) -> None:
        book = make()
        book.apply(depth(*BEGIN, *delta(12, 12, (BID, 99.5, 1))))
        assert (book.state, book.faults) == (BookState.DIRTY, LevelFaults(gaps=1))
        book.apply(depth(*delta(13, 14, (ASK, 101.0, 9))))
        book.apply(depth(*snapshot(12, (BID, 99.5, 1), (ASK, 101.0, 4))))
        assert (book.state, book.last) == (BookState.OK, 14)
        assert (book.levels(BID), book.levels(ASK)) == ([(99.5, 1.0)], [(101.0, 9.0)])
        assert book.faults == LevelFaults(gaps=1, dropped=1)

    def test_messages_before_the_first_snapshot_are_kept(self, make: Callable) -> None:
        book = make()
        book.apply(depth(*delta(5, 9, (BID, 90.0, 1)), *delta(10, 12, (BID, 99.0, 6))))
        assert (book.state, book.levels(BID)) == (BookState.DIRTY, [])
        book.apply(depth(*BEGIN, *delta(13, 13, (BID, 98.0, 0))))
        assert (book.state, book.levels(BID), book.last) == (BookState.OK, [(99.0, 6.0)], 13)

    def test_a_snapshot_older_than_the_book_is_dropped_and_a_newer_one_replaces_it(self, make: Callable) -> None:
        book = make()
        book.apply(depth(*BEGIN, *delta(11, 20, (BID, 99.0, 1)), *snapshot(15, (BID, 50.0, 1))))
        assert book.levels(BID)[0] == (99.0, 1.0)
        book.apply(depth(*snapshot(30, (BID, 50.0, 1))))
        assert (book.levels(BID), book.levels(ASK), book.last) == ([(50.0, 1.0)], [], 30)

    def test_locked_and_crossed(self, make: Callable) -> None:
        book = make()
        book.apply(depth(*BEGIN, *delta(11, 11, (BID, 101.0, 1))))
        assert book.state is BookState.CROSSED


def test_best_prices_count_from_the_last_row_of_a_message() -> None:
    book = CompiledLevelBook()
    best = book.best_series(
        depth(*delta(9, 9, (BID, 1.0, 1)), *BEGIN, *delta(11, 11, (BID, 99.5, 1), (ASK, 100.0, 2)), *delta(13, 13, (BID, 99.6, 1)))
    )
    assert best.bid.tolist() == [0, 0, 0, 99, 99, 99.5, 0]
    assert best.ask_size.tolist() == [0, 0, 0, 4, 4, 2, 0]


LEVELS = st.lists(st.tuples(st.sampled_from([BID, ASK]), st.integers(95, 105).map(float), st.integers(0, 5).map(float)), min_size=1, max_size=4)
MESSAGES = st.one_of(
    st.tuples(st.just(True), st.just(1), st.integers(0, 3), LEVELS), st.tuples(st.just(False), st.integers(0, 3), st.integers(1, 3), LEVELS)
)


@settings(max_examples=200)
@given(steps=st.lists(MESSAGES, max_size=30), cuts=st.lists(st.integers(0, 30), max_size=3))
def test_both_books_are_the_same_whatever_comes(steps: list, cuts: list[int]) -> None:
    """Numbers mostly follow one another; some repeat, overlap or leave something out."""
    messages, number = [], 0
    for is_snapshot, skip, length, levels in steps:
        first = number if is_snapshot else max(number + skip - 1 + (skip > 0), 1)
        last = first if is_snapshot else first + length - 1
        messages.append(snapshot(last, *levels) if is_snapshot else delta(first, last, *levels))
        number = max(number, last) + is_snapshot * length
    compiled, reference = CompiledLevelBook(), ReferenceLevelBook()
    edges = sorted({0, *cuts, len(messages)})
    for start, end in pairwise(edges):
        part = depth(*(row for message in messages[start:end] for row in message))
        compiled.apply(part)
        reference.apply(part)
        for side in (BID, ASK):
            assert compiled.levels(side) == reference.levels(side)
        assert (compiled.valid, compiled.last, compiled.faults, compiled.state) == (
            reference.valid,
            reference.last,
            reference.faults,
            reference.state,
        )
