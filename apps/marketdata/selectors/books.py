"""An instrument's order book at a moment, rebuilt from what is stored: level-2 rows where there are some, else order events."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
from django.db import connection

from apps.core.errors import InvalidInput, NotFound
from apps.marketdata.domain import calendars
from apps.marketdata.domain.book.engine import CompiledBook
from apps.marketdata.domain.book.events import ASK, BID, TICKS_PER_UNIT, BookState, book_events
from apps.marketdata.domain.book.levels import CompiledLevelBook
from apps.marketdata.models import BarSource, Instrument
from apps.marketdata.selectors.instruments import instrument_get
from apps.marketdata.selectors.ticks import depth, order_events, source_get

MOST_LEVELS: Final = 500
#: How far back the snapshot may lie from which a level-2 book is built.
SNAPSHOT_AGE: Final = timedelta(hours=24)
#: Updates may be recorded so long before a snapshot which does not contain them yet.
OVERLAP: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class BookView:
    """A book at a moment. `bids` and `asks` are (price, size), the best first.

    `updated_at` is the time of the last row that it contains. A DIRTY book may be wrong: `faults` counts what was missing or did not fit.
    """

    symbol: str
    at: datetime
    source: str
    kind: str
    state: BookState
    faults: int
    updated_at: datetime
    bids: tuple[tuple[float, float], ...]
    asks: tuple[tuple[float, float], ...]


def book_at(symbol: str, at: datetime, levels: int = 10, *, source: str | None = None) -> BookView:
    """The `levels` best levels of each side as they were at a moment (rows of that very moment included).

    Level 2 begins with the last snapshot of the 24 hours before; order events with the start of the venue's day, when its book is empty. Without
    `source`, the source of the latest row counts. Raises NotFound for an unknown symbol or source and when nothing is stored to build it from,
    InvalidInput for a time without zone, a number of levels out of 1..500, or too many rows.
    """
    if at.tzinfo is None:
        raise InvalidInput("at has no time zone", field="at")
    if not 1 <= levels <= MOST_LEVELS:
        raise InvalidInput(f"levels must be from 1 to {MOST_LEVELS}", field="levels")
    instrument, wanted = instrument_get(symbol), source_get(source)
    end = at + timedelta(microseconds=1)
    snapshot = _latest("marketdata_depthupdate", "snapshot", instrument.pk, at - SNAPSHOT_AGE, end, wanted)
    if snapshot is not None:
        return _from_levels(symbol, at, snapshot[0] - OVERLAP, end, snapshot[1], levels)
    begin = _day_start(instrument, at)
    event = _latest("marketdata_orderevent", "true", instrument.pk, begin, end, wanted)
    if event is None:
        raise NotFound(f"there is no snapshot of {symbol}'s depth in the 24 hours before {at.isoformat()}, and no order event of its day", field="at")
    return _from_orders(symbol, at, begin, end, event[1], levels)


def _from_levels(symbol: str, at: datetime, start: datetime, end: datetime, source: str, levels: int) -> BookView:
    rows = depth(symbol=symbol, start=start, end=end, source=source)
    book = CompiledLevelBook()
    book.apply(rows)
    sides = {side: tuple(book.levels(side, most=levels)) for side in (BID, ASK)}
    view: dict[str, Any] = {"symbol": symbol, "at": at, "source": source, "kind": "levels"}
    return BookView(**view, state=book.state, faults=book.faults.gaps, updated_at=_utc(rows.ts[-1]), bids=sides[BID], asks=sides[ASK])


def _from_orders(symbol: str, at: datetime, start: datetime, end: datetime, source: str, levels: int) -> BookView:
    rows = order_events(symbol=symbol, start=start, end=end, source=source)
    book = CompiledBook()
    book.apply(book_events(rows))
    sides = {side: tuple((level.price / TICKS_PER_UNIT, float(level.shares)) for level in book.levels(side, most=levels)) for side in (BID, ASK)}
    view: dict[str, Any] = {"symbol": symbol, "at": at, "source": source, "kind": "orders"}
    return BookView(**view, state=book.state, faults=book.faults.total, updated_at=_utc(rows.ts[-1]), bids=sides[BID], asks=sides[ASK])


def _latest(table: str, condition: str, instrument_id: int, start: datetime, end: datetime, source_id: int | None) -> tuple[datetime, str] | None:
    """Time and source of the last row in [start, end) that meets a condition."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"select ts, source_id from {table} where {condition} and instrument_id = %(instrument)s and ts >= %(start)s and ts < %(end)s "  # noqa: S608
            "and (%(source)s::int is null or source_id = %(source)s) order by ts desc, source_id desc limit 1",
            {"instrument": instrument_id, "start": start, "end": end, "source": source_id},
        )
        found = cursor.fetchone()
    return None if found is None else (found[0], BarSource.objects.values_list("name", flat=True).get(pk=found[1]))


def _day_start(instrument: Instrument, at: datetime) -> datetime:
    """Midnight of the venue's day."""
    zone = ZoneInfo(calendars.calendar_of(instrument.calendar).time_zone)
    return datetime.combine(at.astimezone(zone).date(), time(), zone).astimezone(UTC)


def _utc(moment: np.datetime64) -> datetime:
    return datetime.fromisoformat(str(moment)).replace(tzinfo=UTC)
