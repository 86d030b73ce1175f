"""Order books: the compiled engine beside the readable one, on the same stream of events in the same process, on one core."""

import time

import numpy as np

from apps.marketdata.domain.book.engine import CompiledBook
from apps.marketdata.domain.book.events import ASK, BID, BookEvents, OrderBook
from apps.marketdata.domain.book.reference import ReferenceBook
from benchmarks.report import Row

EVENTS = 2_000_000
REFERENCE_EVENTS = 200_000
RUNS = 3
REQUIRED = 1_000_000
MIDDLE = 1_000_000  # ticks: $100.00
CENT = 100


def stream(count: int) -> BookEvents:
    """A day of one busy stock: half of the events add orders within some cents of a middle that walks; the others take, shrink, replace or
    delete orders that are there, young ones more often than old ones. About as many orders leave as come, few of them by a trade, and one
    message in ten is a replacement, as in the venues' own message counts."""
    random = np.random.default_rng(5)
    letters = random.choice([ord(letter) for letter in "ADUEXC"], count, p=[0.45, 0.415, 0.09, 0.035, 0.007, 0.003]).astype(np.int16)
    away = random.geometric(0.08, count)
    side = random.choice([BID, ASK], count)
    middle = MIDDLE // CENT + np.cumsum(random.choice([-1, 0, 1], count, p=[0.01, 0.98, 0.01]))
    size = random.integers(1, 6, count) * 100
    events = BookEvents(
        letter=letters,
        ref=np.zeros(count, np.int64),
        new_ref=np.zeros(count, np.int64),
        side=side.astype(np.int16),
        price=(middle - side * away) * CENT,
        shares=size,
        printable=np.ones(count, bool),
    )
    _name_orders(events, random)
    return events


def _name_orders(events: BookEvents, random: np.random.Generator) -> None:
    """Give each event an order that exists at its time, mostly a young one."""
    alive: list[int] = []
    held: dict[int, tuple[int, int]] = {}
    picks = 1 - random.random(len(events)) ** 3
    following = 1
    for row in range(len(events)):
        letter = chr(events.letter[row])
        if letter != "A" and not alive:
            letter = "A"
            events.letter[row] = ord("A")
        if letter == "A":
            events.ref[row] = following
        else:
            at = min(int(picks[row] * len(alive)), len(alive) - 1)
            ref = alive[at]
            events.ref[row] = ref
            side, shares = held[ref]
            events.side[row] = side
            if letter in "EXC":
                events.shares[row] = min(shares, 100)
                held[ref] = (side, shares - int(events.shares[row]))
            if letter in "DU" or held[ref][1] == 0:
                alive[at] = alive[-1]
                alive.pop()
                del held[ref]
            if letter != "U":
                continue
            events.new_ref[row] = following
        alive.append(following)
        held[following] = (int(events.side[row]), int(events.shares[row]))
        following += 1


def _seconds(book: OrderBook, events: BookEvents) -> float:
    started = time.perf_counter()
    book.apply(events)
    seconds = time.perf_counter() - started
    if book.faults.total:
        raise RuntimeError(f"the stream does not fit: {book.faults}")
    return seconds


def rows() -> list[Row]:
    events = stream(EVENTS)
    some = events.take(slice(0, REFERENCE_EVENTS))
    compiled, reference = CompiledBook(), ReferenceBook()
    compiled.apply(some)
    reference.apply(some)
    if any(compiled.levels(side) != reference.levels(side) for side in (BID, ASK)):
        raise RuntimeError("the two books differ")
    ours = EVENTS / float(np.median([_seconds(CompiledBook(), events) for _ in range(RUNS)]))
    plain = REFERENCE_EVENTS / float(np.median([_seconds(ReferenceBook(), some) for _ in range(RUNS)]))
    return [
        Row(
            work=f"Rebuild an order book from {EVENTS:,} ITCH events, one core",
            ours=f"{ours / 1e6:.1f} million events/s",
            peer=f"{plain / 1e6:.2f} million events/s in plain Python",
            ratio=f"{ours / plain:.0f} x its speed",
            required=f">= {REQUIRED:,} events/s",
            met=ours >= REQUIRED,
        )
    ]
