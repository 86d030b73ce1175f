"""A live feed's ticks into the database: many instruments at once, each batch with its place in the spool in one transaction.

`services.ticks` stores one instrument after the other and looks at each first; a batch of a live feed has a few ticks of each of
hundreds. It goes by COPY into a table of the connection and from there into the hypertable; what is there already, by its key, stays.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from django.db import DataError, IntegrityError, connection, transaction

from apps.marketdata.domain.copy_format import Layout
from apps.marketdata.domain.latest import Latest
from apps.marketdata.domain.vendor import QuoteTick, TradeTick
from apps.marketdata.models import FeedFault, FeedSpool
from apps.marketdata.services.feeds.records import Fault, Record, fault_of, micros, moment
from apps.marketdata.services.feeds.spool import Place
from apps.marketdata.services.storing import bar_source_id, copy_in

KEY = (("instrument_id", "int8"), ("ts", "timestamptz"), ("sequence", "int8"))
SAME = (("source_id", "int2"), ("recorded_at", "timestamptz"))
QUOTES = Layout((*KEY, ("bid", "float8"), ("bid_size", "float8"), ("ask", "float8"), ("ask_size", "float8"), *SAME))
TRADES = Layout((*KEY, ("price", "float8"), ("size", "float8"), ("aggressor", "int2"), *SAME))
TABLES = {"q": ("marketdata_quote", QUOTES), "t": ("marketdata_trade", TRADES)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Whose ticks they are: the vendor's name, the feed, and the spool from which they come."""

    source: str
    feed: str
    host: str
    spool: str


@dataclass(slots=True)
class Stored:
    """Ticks that were new, that the desk had already, and that the database refused."""

    new: int = 0
    repeated: int = 0
    refused: int = 0


def records_store(*, records: Sequence[Record], upto: Place, origin: Origin, at: datetime) -> Stored:
    """Store a batch and the place behind it, all or nothing.

    A tick that the database refuses is left out and becomes a fault: it must not hold up those behind it for ever.
    """
    stored = Stored()
    with transaction.atomic():
        source_id = bar_source_id(origin.source)
        for kind in TABLES:
            _store(kind, [record for record in records if record[0] == kind], source_id, origin, at, stored)
        _faults_store([fault_of(record) for record in records if record[0] == "f"], origin, at)
        _place_store(upto, origin, at)
    return stored


def _place_store(place: Place, origin: Origin, at: datetime) -> None:
    """One statement, for it is in every batch."""
    row = FeedSpool(name=origin.spool, feed=origin.feed, host=origin.host, segment=place.segment, offset=place.offset, updated_at=at)
    moving = ["segment", "offset", "updated_at"]
    FeedSpool.objects.bulk_create([row], update_conflicts=True, unique_fields=["name"], update_fields=moving)


def spool_place(name: str) -> Place:
    """How much of a spool the database has."""
    found = FeedSpool.objects.filter(pk=name).first()
    return Place(found.segment, found.offset) if found else Place()


def spool_forget(name: str) -> None:
    """The spool is gone from the disk; nobody will ask for its place again."""
    FeedSpool.objects.filter(pk=name).delete()


def latest_stored(instruments: dict[str, int]) -> dict[str, Latest]:
    """The last trade and the last quote of each symbol (symbol -> instrument) in the database; a symbol without either is left out."""
    symbol_of = {pk: symbol for symbol, pk in instruments.items()}
    found: dict[str, Latest] = {}
    with connection.cursor() as cursor:
        for kind, columns in (("t", "price, size"), ("q", "bid, bid_size, ask, ask_size")):
            cursor.execute(
                f"select i.id, recorded_at, ts, {columns} from unnest(%s::bigint[]) as i(id), lateral (select * from {TABLES[kind][0]}"  # noqa: S608
                " where instrument_id = i.id order by ts desc, sequence desc limit 1) as tick",
                [list(symbol_of)],
            )
            for pk, recorded_at, ts, *values in cursor.fetchall():
                symbol = symbol_of[pk]
                names = columns.split(", ")
                given = {"symbol": symbol, "ts": ts} | dict(zip(names, values, strict=True))
                latest = found.setdefault(symbol, Latest())
                if kind == "t":
                    latest.trade, latest.trade_at = TradeTick(**given), recorded_at
                else:
                    latest.quote, latest.quote_at = QuoteTick(**given), recorded_at
    return found


def _store(kind: str, records: Sequence[Record], source_id: int, origin: Origin, at: datetime, stored: Stored) -> None:
    if not records:
        return
    try:
        with transaction.atomic():
            new = _copy(kind, records, source_id, at)
    except (DataError, IntegrityError) as error:
        if len(records) == 1:
            stored.refused += 1
            when = moment(records[0][2])
            _faults_store([Fault(kind="unstorable", from_at=when, to_at=when, detail=f"{records[0]}: {error}")], origin, at)
            return
        half = len(records) // 2
        _store(kind, records[:half], source_id, origin, at, stored)
        _store(kind, records[half:], source_id, origin, at, stored)
        return
    stored.new += new
    stored.repeated += len(records) - new


def _copy(kind: str, records: Sequence[Record], source_id: int, at: datetime) -> int:
    """How many of the rows were new."""
    table, layout = TABLES[kind]
    names = ", ".join(layout.names)
    columns = _columns(kind, records) | {"source_id": source_id, "recorded_at": np.datetime64(micros(at), "us")}
    with connection.cursor() as cursor:
        cursor.execute(f"create temp table if not exists feed_{table} (like {table}) on commit delete rows")
        copy_in(f"copy feed_{table} ({names}) from stdin (format binary)", layout.blocks(columns, len(records)))
        cursor.execute(f"insert into {table} ({names}) select {names} from feed_{table} order by instrument_id, ts on conflict do nothing")  # noqa: S608
        new = cursor.rowcount
        cursor.execute(f"delete from feed_{table}")  # noqa: S608
    return new


def _columns(kind: str, records: Sequence[Record]) -> dict[str, object]:
    _, layout = TABLES[kind]
    ids, times, sequences, *values = list(zip(*records, strict=True))[1:]
    columns: dict[str, object] = {
        "instrument_id": np.array(ids, np.int64),
        "ts": np.array(times, np.int64).view("datetime64[us]"),
        "sequence": np.array(sequences, np.int64),
        "aggressor": 0,
    }
    numbers = [name for name, type_ in layout.columns if type_ == "float8"]
    return columns | {name: np.array(column, np.float64) for name, column in zip(numbers, values, strict=False)}


def _faults_store(faults: Sequence[Fault], origin: Origin, at: datetime) -> None:
    FeedFault.objects.bulk_create(
        FeedFault(
            feed=origin.feed,
            instance=origin.spool,
            kind=fault.kind,
            from_at=fault.from_at,
            to_at=max(fault.from_at, fault.to_at),
            count=fault.count,
            detail=fault.detail[:2000],
            recorded_at=at,
        )
        for fault in faults
    )
