"""One share of a ledger replayed, and its lots and closures compared with the stored ones: the whole by one process, or a part by each of several.

Rows come by COPY as whole numbers, are replayed by `domain.replay`, and are compared as such: a million entries in seconds. Nothing in here
needs Django, so that another process begins at once.
"""

import gc
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import psycopg
import psycopg.sql
from numpy.typing import NDArray

from apps.core.money import MONEY_PLACES, QUANTITY_PLACES
from apps.portfolios.domain.replay import CLOSED, COST, ENTRY_ID, QUANTITY, REMAINING, REMAINING_COST, Lot, Replay, Row

# Numbers come as the database writes them, with all places of their column: without the point they are whole units of `domain.closing`.
# Empty text instead of null, and for what most entries have not: an amount in another currency, and what is moved.
ENTRIES_COPY = """
copy (select id, book_id, case kind when 'trade' then 'trade' when 'cash_in_lieu' then 'trade' when 'split' then 'split'
        when 'transfer' then 'transfer' else 'cash' end,
    coalesce(instrument_id, 0), quantity, amount, currency, case when fx_rate = 1 then '' else base_amount::text end,
    (extract(epoch from effective_at) * 1e6)::bigint, lot_method, coalesce(lot_picks::text, ''),
    case when kind in ('split', 'transfer') then concat_ws(',', coalesce(ratio, 0::numeric(24, 10)), coalesce(cost, 0::numeric(20, 4)),
        (extract(epoch from coalesce(acquired_at, effective_at)) * 1e6)::bigint) else '' end
from portfolios_ledgerentry where portfolio_id = {portfolio} and coalesce(instrument_id, 0) % {parts} = {part} order by id) to stdout
"""
_LOTS = """
copy (select entry_id, lot.quantity, cost, remaining, remaining_cost
from portfolios_lot lot join portfolios_book book on book.id = lot.book_id
where book.portfolio_id = {portfolio} and lot.instrument_id % {parts} = {part}) to stdout
"""
_CLOSURES = """
copy (select closure.entry_id, lot.entry_id, (closure.quantity * 1000000)::bigint, (closure.cost * 10000)::bigint, (closure.proceeds * 10000)::bigint
from portfolios_lotclosure closure join portfolios_lot lot on lot.id = closure.lot_id join portfolios_book book on book.id = lot.book_id
where book.portfolio_id = {portfolio} and lot.instrument_id % {parts} = {part}) to stdout (format binary)
"""
#: A row of that as PostgreSQL writes it in binary: how many columns, and each column's length before it. Header and trailer are around all rows.
_CLOSED_ROW = np.dtype([("columns", ">i2"), ("values", [("length", ">i4"), ("value", ">i8")], (CLOSED,))])
_HEADER, _TRAILER = 19, 2
#: What is compared of a closure, with the places of each number. What it realised follows, and the database sees to it.
_CLOSED = (("quantity", QUANTITY_PLACES), ("cost", MONEY_PLACES), ("proceeds", MONEY_PLACES))
#: What is compared of a lot, with the places of each number.
_LOT = (("quantity", QUANTITY_PLACES), ("cost", MONEY_PLACES), ("remaining", QUANTITY_PLACES), ("remaining_cost", MONEY_PLACES))
_NOT_MOVED = (0, 0, 0)

Names = Sequence[tuple[str, int]]
Connection = psycopg.Connection[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One number that is stored otherwise than the ledger makes it. `subject` is like "position book 3 instrument 7"."""

    subject: str
    field: str
    stored: str
    rebuilt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """The `part`-th of so many `parts` of a portfolio's ledger: instruments by the rest of their ids, cash entries with the first."""

    portfolio: int
    part: int = 0
    parts: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What a share comes to. `positions` (quantity, cost, realised, last entry) by (book, instrument) and `cash` (amount, last entry) by currency,
    in whole units; `wrong` the lots that are stored otherwise, as they must be, and the `differences` of lots and closures by entry."""

    entries: int
    positions: Mapping[tuple[int, int], tuple[int, int, int, int]]
    cash: Mapping[str, tuple[int, int]]
    wrong: Sequence[Lot]
    differences: Sequence[tuple[int, Difference]]


def share_replay(connection: Connection, share: Share) -> Replayed:
    """Replay a share and compare its lots and closures, in the transaction that the connection is in."""
    replay = share_ledger(connection, share)
    lots = {lot[ENTRY_ID]: lot for line in replay.lines.values() for lot in line.lots}
    wrong, differences = _lot_differences(connection, share, lots)
    return Replayed(
        entries=replay.entries,
        positions={key: (line.quantity, line.cost, line.realised, line.last_entry_id) for key, line in replay.lines.items()},
        cash={currency: (cash.amount, cash.last_entry_id) for currency, cash in replay.cash.items()},
        wrong=[lots[entry_id] for entry_id in wrong],
        differences=[*differences, *_closure_differences(connection, share, replay)],
    )


def share_replay_there(parameters: Mapping[str, Any], snapshot: str, share: Share) -> Replayed:
    """The same by a connection of this process's own, which sees what the exported `snapshot` shows."""
    gc.disable()
    with psycopg.connect(**parameters) as connection:
        connection.execute("set transaction isolation level repeatable read read only")
        connection.execute(psycopg.sql.SQL("set transaction snapshot {}").format(psycopg.sql.Literal(snapshot)))
        return share_replay(connection, share)


def share_ledger(connection: Connection, share: Share) -> Replay:
    """What lots, closures, positions and cash must be, by the ledger alone."""
    replay = Replay()
    for row in _entries(connection, share):
        replay.take(row)
    return replay


def _lines(connection: Connection, statement: str, share: Share) -> Iterator[list[bytes]]:
    """Rows of a COPY in text: fields of which none holds a tab, a backslash or a null."""
    with connection.cursor() as cursor, cursor.copy(statement.format(**asdict(share))) as copy:
        rest = b""
        for block in copy:
            *lines, rest = (rest + bytes(block)).split(b"\n")
            for line in lines:
                yield line.split(b"\t")


def _entries(connection: Connection, share: Share) -> Iterator[Row]:
    words: dict[bytes, str] = {}

    def word(raw: bytes) -> str:
        found = words.get(raw)
        if found is None:
            found = words[raw] = raw.decode()
        return found

    for f in _lines(connection, ENTRIES_COPY, share):
        amount = _whole(f[5])
        yield (
            int(f[0]), int(f[1]), word(f[2]), int(f[3]), _whole(f[4]), amount, word(f[6]), _whole(f[7]) if f[7] else amount, int(f[8]),
            word(f[9]), f[10].decode(), _moved(f[11]) if f[11] else _NOT_MOVED,
        )  # fmt: skip


def _whole(number: bytes) -> int:
    """A number with all its places, in units of the last one."""
    return int(number.replace(b".", b""))


def _moved(fields: bytes) -> tuple[int, int, int]:
    ratio, cost, acquired_at = fields.split(b",")
    return _whole(ratio), _whole(cost), int(acquired_at)


def compare(subject: str, stored: Sequence[int] | None, rebuilt: Sequence[int] | None, names: Names) -> Iterator[Difference]:
    for at, (name, places) in enumerate(names):
        was = None if stored is None else stored[at]
        now = None if rebuilt is None else rebuilt[at]
        if was != now:
            yield Difference(subject=subject, field=name, stored=_shown(was, places), rebuilt=_shown(now, places))


def _shown(units: int | None, places: int) -> str:
    return "" if units is None else f"{decimal(units, places):f}"


def decimal(units: int, places: int) -> Decimal:
    return Decimal(units).scaleb(-places)


def _lot_differences(connection: Connection, share: Share, lots: Mapping[int, Lot]) -> tuple[list[int], list[tuple[int, Difference]]]:
    """Entries whose lots are stored otherwise, though there, and all differences of lots."""
    wrong, differences, seen = [], [], set()
    for fields in _lines(connection, _LOTS, share):
        entry_id, stored = int(fields[0]), [_whole(field) for field in fields[1:]]
        seen.add(entry_id)
        lot = lots.get(entry_id)
        rebuilt = None if lot is None else [lot[QUANTITY], lot[COST], lot[REMAINING], lot[REMAINING_COST]]
        if stored != rebuilt:
            differences += [(entry_id, difference) for difference in compare(f"lot of entry {entry_id}", stored, rebuilt, _LOT)]
            wrong += [entry_id] if rebuilt is not None else []
    for entry_id in lots.keys() - seen:
        lot = lots[entry_id]
        rebuilt = [lot[QUANTITY], lot[COST], lot[REMAINING], lot[REMAINING_COST]]
        differences += [(entry_id, difference) for difference in compare(f"lot of entry {entry_id}", None, rebuilt, _LOT)]
    return wrong, differences


def _closure_differences(connection: Connection, share: Share, replay: Replay) -> list[tuple[int, Difference]]:
    """Pieces that are stored otherwise than the replay makes them."""
    rebuilt, stored = _sorted(np.frombuffer(replay.closed, np.int64).reshape(-1, CLOSED)), _sorted(_stored_closures(connection, share))
    if np.array_equal(rebuilt, stored):
        return []
    rows, counts = np.unique(np.concatenate([rebuilt, stored]), axis=0, return_counts=True)
    single = {tuple(row) for row in rows[counts == 1].tolist()}
    right, there = ({row[:2]: row[2:] for row in single & {tuple(row) for row in side.tolist()}} for side in (rebuilt, stored))
    return [
        (key[0], difference)
        for key in sorted(right.keys() | there.keys())
        for difference in compare(f"closure of the lot of entry {key[1]} by entry {key[0]}", there.get(key), right.get(key), _CLOSED)
    ]


def _stored_closures(connection: Connection, share: Share) -> "NDArray[np.int64]":
    """The stored pieces, [pieces, CLOSED] as a replay has them."""
    with connection.cursor() as cursor, cursor.copy(_CLOSURES.format(**asdict(share))) as copy:
        raw = b"".join(map(bytes, copy))
    return np.frombuffer(raw[_HEADER:-_TRAILER], _CLOSED_ROW)["values"]["value"].astype(np.int64)


def _sorted(pieces: "NDArray[np.int64]") -> "NDArray[np.int64]":
    return pieces[np.lexsort((pieces[:, 1], pieces[:, 0]))]
