"""Leases of shards on a real database: shared fairly, taken over from the dead, never written by two."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic, sleep
from typing import Any

import pytest
from django.db import connection

from apps.core.locks import LeaseSet
from apps.marketdata.services.feeds.shards import ShardKeeper

pytestmark = pytest.mark.django_db(transaction=True)

SHARDS = 8
PATIENCE_SECONDS = 60.0


def eventually(condition: Callable[[], Any], what: str) -> None:
    deadline = monotonic() + PATIENCE_SECONDS
    while not condition():
        assert monotonic() < deadline, f"waited {PATIENCE_SECONDS:.0f} s for {what}"
        sleep(0.02)


def writable(keeper: ShardKeeper) -> frozenset[int]:
    with keeper.writing() as shards:
        return shards


class Referee(threading.Thread):
    """Looks all the time whether two keepers may write the same shard at the same moment: it holds both at their word at once."""

    def __init__(self, *keepers: ShardKeeper) -> None:
        super().__init__(daemon=True)
        self.keepers, self.looks, self.both = keepers, 0, set[int]()
        self.ended = threading.Event()

    def __enter__(self) -> "Referee":
        self.start()
        eventually(lambda: self.looks, "the first look")
        return self

    def __exit__(self, *_: object) -> None:
        assert self.is_alive(), "the referee has looked away"
        self.ended.set()
        self.join()
        assert self.both == set()

    def run(self) -> None:
        first, second = self.keepers
        while not self.ended.wait(0.002):
            with first.writing() as mine, second.writing() as theirs:
                self.both |= mine & theirs
            self.looks += 1


@contextmanager
def keeping(*changes: Callable[[frozenset[int]], None]) -> Iterator[list[ShardKeeper]]:
    keepers = [ShardKeeper("test", SHARDS, on_change=change) for change in changes]
    try:
        yield keepers
    finally:
        for keeper in keepers:
            if keeper.is_alive():
                keeper.stop()


def nothing(_shards: frozenset[int]) -> None:
    pass


def hang_up(application: str, number: int) -> None:
    """Cut one of the connections of that name, as a firewall or an administrator would."""
    with connection.cursor() as cursor:
        own = "datname = current_database()"  # another worker's tests may keep shards, too
        cursor.execute(f"select pid from pg_stat_activity where application_name = %s and {own} order by backend_start", [application])
        pids = [pid for (pid,) in cursor.fetchall()]
        cursor.execute("select pg_terminate_backend(%s)", [pids[number]])


def test_one_feed_has_all_shards_and_writes_them_after_a_while() -> None:
    told: list[frozenset[int]] = []
    with keeping(told.append) as (keeper,):
        keeper.start()
        eventually(lambda: keeper.wanted == frozenset(range(SHARDS)), "all shards")
        assert writable(keeper) == frozenset()  # whoever had them before may not know yet
        eventually(lambda: writable(keeper) == frozenset(range(SHARDS)), "the right to write")
    assert told == [frozenset(range(SHARDS))]
    assert writable(keeper) == frozenset()


def test_a_second_feed_gets_its_half_and_a_third_gets_what_is_left_by_one_that_ends() -> None:
    with keeping(nothing, nothing) as (first, second):
        first.start()
        eventually(lambda: len(writable(first)) == SHARDS, "all shards")
        with Referee(first, second):
            second.start()
            eventually(lambda: len(writable(first)) == len(writable(second)) == SHARDS // 2, "two halves")
            first.stop()
            eventually(lambda: len(writable(second)) == SHARDS, "all of them")


def test_a_feed_whose_connection_is_cut_loses_no_time_and_is_never_one_of_two() -> None:
    with keeping(nothing, nothing) as (first, second):
        first.start()
        eventually(lambda: len(writable(first)) == SHARDS, "all shards")
        second.start()
        eventually(lambda: len(writable(first)) == len(writable(second)) == SHARDS // 2, "two halves")
        with Referee(first, second):
            for number in (0, 1, 0):
                hang_up("desk feed test", number)
                eventually(lambda: len(writable(first) | writable(second)) < SHARDS, "the loss")
                eventually(lambda: len(writable(first) | writable(second)) == SHARDS and len(writable(first)) == SHARDS // 2, "two halves again")


def test_leases_of_one_connection_are_seen_by_others_and_end_with_it() -> None:
    mine, theirs = LeaseSet(application="one"), LeaseSet(application="two")
    try:
        assert mine.take("a")
        assert mine.take("a")  # its own
        assert not theirs.take("a")
        assert theirs.taken(["a", "b"]) == {"a"}
        mine.release("a")
        assert theirs.take("a")
        assert mine.take("b")
        mine.close()
        eventually(lambda: theirs.take("b"), "the lease of a connection that ended")
    finally:
        theirs.close()
