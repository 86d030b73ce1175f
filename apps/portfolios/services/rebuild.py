"""Rebuilding what follows from the ledger, and comparing it with what is stored: the proof that positions and cash are right.

Rows come by COPY as whole numbers, are replayed by `domain.replay`, and are compared as such: a million entries in seconds.
"""

import gc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal

from django.db import connection, transaction

from apps.core.money import MONEY_PLACES, QUANTITY_PLACES
from apps.portfolios.domain.replay import COST, ENTRY_ID, QUANTITY, REMAINING, REMAINING_COST, Replay, Row
from apps.portfolios.models import CashBalance, Position
from apps.portfolios.services.portfolios import portfolio_lock

# Numbers come as the database writes them, with all places of their column: without the point they are whole units of `domain.closing`.
# Empty text instead of null, and for what most entries have not: an amount in another currency, and what is moved.
ENTRIES_COPY = """
copy (select id, book_id, case kind when 'trade' then 'trade' when 'cash_in_lieu' then 'trade' when 'split' then 'split'
        when 'transfer' then 'transfer' else 'cash' end,
    coalesce(instrument_id, 0), quantity, amount, currency, case when fx_rate = 1 then '' else base_amount::text end,
    (extract(epoch from effective_at) * 1e6)::bigint, lot_method, coalesce(lot_picks::text, ''),
    case when kind in ('split', 'transfer') then concat_ws(',', coalesce(ratio, 0::numeric(24, 10)), coalesce(cost, 0::numeric(20, 4)),
        (extract(epoch from coalesce(acquired_at, effective_at)) * 1e6)::bigint) else '' end
from portfolios_ledgerentry where portfolio_id = {} order by id) to stdout
"""
_LOTS = """
copy (select entry_id, lot.quantity, cost, remaining, remaining_cost
from portfolios_lot lot join portfolios_book book on book.id = lot.book_id where book.portfolio_id = {}) to stdout
"""
_CORRECT_LOTS = """
update portfolios_lot lot set quantity = right_.quantity, remaining = right_.remaining, remaining_cost = right_.cost
from unnest(%s::bigint[], %s::numeric[], %s::numeric[], %s::numeric[]) as right_ (entry_id, quantity, remaining, cost)
where lot.entry_id = right_.entry_id
"""
#: What is compared, with the places of each number.
_POSITION = (("quantity", QUANTITY_PLACES), ("cost", MONEY_PLACES), ("realised", MONEY_PLACES), ("last_entry_id", 0))
_LOT = (("quantity", QUANTITY_PLACES), ("cost", MONEY_PLACES), ("remaining", QUANTITY_PLACES), ("remaining_cost", MONEY_PLACES))
_CASH = (("amount", MONEY_PLACES), ("last_entry_id", 0))
_NOT_MOVED = (0, 0, 0)

Names = Sequence[tuple[str, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One number that is stored otherwise than the ledger makes it. `subject` is like "position book 3 instrument 7"."""

    subject: str
    field: str
    stored: str
    rebuilt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuild:
    """What was rebuilt. `differences` were found before anything was corrected; `corrected` says whether they were."""

    portfolio_id: int
    entries: int
    differences: tuple[Difference, ...]
    corrected: bool


def positions_rebuild(*, portfolio_id: int, check: bool = True) -> Rebuild:
    """Replay the portfolio's ledger by the same closing functions as posting, and compare lots, positions and cash.

    With `check` nothing is written. Without it, positions, cash and what remains of lots are put right; a lot that is missing or
    cost something else stays as it is, because append-only closures refer to it: that is for people to look into. The portfolio is locked
    meanwhile. Raises NotFound.
    """
    with transaction.atomic(), _collector_resting():
        portfolio_lock(portfolio_id)
        replay = replay_ledger(portfolio_id)
        lots = {lot[ENTRY_ID]: lot for line in replay.lines.values() for lot in line.lots}
        wrong, lot_differences = _lot_differences(portfolio_id, lots)
        differences = (*_position_differences(portfolio_id, replay), *lot_differences, *_cash_differences(portfolio_id, replay))
        if differences and not check:
            _correct(portfolio_id, replay, [lots[entry_id] for entry_id in wrong])
        return Rebuild(portfolio_id=portfolio_id, entries=replay.entries, differences=differences, corrected=bool(differences) and not check)


def replay_ledger(portfolio_id: int) -> Replay:
    """What lots, positions and cash must be, by the portfolio's ledger alone."""
    replay = Replay()
    for row in _entries(portfolio_id):
        replay.take(row)
    return replay


@contextmanager
def _collector_resting() -> Iterator[None]:
    """A million lots are no garbage, but the collector would walk through them again and again."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def _lines(statement: str, portfolio_id: int) -> Iterator[list[bytes]]:
    """Rows of a COPY in text: fields of which none holds a tab, a backslash or a null."""
    with connection.cursor() as cursor, cursor.copy(statement.format(int(portfolio_id))) as copy:
        rest = b""
        for block in copy:
            *lines, rest = (rest + bytes(block)).split(b"\n")
            for line in lines:
                yield line.split(b"\t")


def _entries(portfolio_id: int) -> Iterator[Row]:
    words: dict[bytes, str] = {}

    def word(raw: bytes) -> str:
        found = words.get(raw)
        if found is None:
            found = words[raw] = raw.decode()
        return found

    for f in _lines(ENTRIES_COPY, portfolio_id):
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


def _compare(subject: str, stored: Sequence[int] | None, rebuilt: Sequence[int] | None, names: Names) -> Iterator[Difference]:
    for at, (name, places) in enumerate(names):
        was = None if stored is None else stored[at]
        now = None if rebuilt is None else rebuilt[at]
        if was != now:
            yield Difference(subject=subject, field=name, stored=_shown(was, places), rebuilt=_shown(now, places))


def _shown(units: int | None, places: int) -> str:
    return "" if units is None else f"{_decimal(units, places):f}"


def _decimal(units: int, places: int) -> Decimal:
    return Decimal(units).scaleb(-places)


def _units(row: object, names: Names) -> tuple[int, ...]:
    return tuple(int(Decimal(getattr(row, name)).scaleb(places)) for name, places in names)


def _position_differences(portfolio_id: int, replay: Replay) -> Iterable[Difference]:
    stored = {(row.book_id, row.instrument_id): _units(row, _POSITION) for row in Position.objects.filter(book__portfolio_id=portfolio_id)}
    rebuilt = {key: (line.quantity, line.cost, line.realised, line.last_entry_id) for key, line in replay.lines.items()}
    for key in sorted(stored.keys() | rebuilt.keys()):
        yield from _compare(f"position book {key[0]} instrument {key[1]}", stored.get(key), rebuilt.get(key), _POSITION)


def _lot_differences(portfolio_id: int, lots: Mapping[int, list[int]]) -> tuple[list[int], list[Difference]]:
    """Entries whose lots are stored otherwise, though there, and all differences of lots."""
    wrong, differences, seen = [], [], set()
    for fields in _lines(_LOTS, portfolio_id):
        entry_id, stored = int(fields[0]), [_whole(field) for field in fields[1:]]
        seen.add(entry_id)
        lot = lots.get(entry_id)
        rebuilt = None if lot is None else [lot[QUANTITY], lot[COST], lot[REMAINING], lot[REMAINING_COST]]
        if stored != rebuilt:
            differences += [(entry_id, difference) for difference in _compare(f"lot of entry {entry_id}", stored, rebuilt, _LOT)]
            wrong += [entry_id] if rebuilt is not None else []
    for entry_id in lots.keys() - seen:
        lot = lots[entry_id]
        rebuilt = [lot[QUANTITY], lot[COST], lot[REMAINING], lot[REMAINING_COST]]
        differences += [(entry_id, difference) for difference in _compare(f"lot of entry {entry_id}", None, rebuilt, _LOT)]
    return wrong, [difference for _, difference in sorted(differences, key=lambda pair: pair[0])]


def _cash_differences(portfolio_id: int, replay: Replay) -> Iterable[Difference]:
    stored = {row.currency: _units(row, _CASH) for row in CashBalance.objects.filter(portfolio_id=portfolio_id)}
    rebuilt = {currency: (cash.amount, cash.last_entry_id) for currency, cash in replay.cash.items()}
    for currency in sorted(stored.keys() | rebuilt.keys()):
        yield from _compare(f"cash {currency}", stored.get(currency), rebuilt.get(currency), _CASH)


def _correct(portfolio_id: int, replay: Replay, lots: Sequence[list[int]]) -> None:
    Position.objects.filter(book__portfolio_id=portfolio_id).delete()
    Position.objects.bulk_create(
        Position(
            book_id=book_id,
            instrument_id=instrument_id,
            quantity=_decimal(line.quantity, QUANTITY_PLACES),
            cost=_decimal(line.cost, MONEY_PLACES),
            realised=_decimal(line.realised, MONEY_PLACES),
            last_entry_id=line.last_entry_id,
        )
        for (book_id, instrument_id), line in replay.lines.items()
    )
    CashBalance.objects.filter(portfolio_id=portfolio_id).delete()
    CashBalance.objects.bulk_create(
        CashBalance(portfolio_id=portfolio_id, currency=currency, amount=_decimal(cash.amount, MONEY_PLACES), last_entry_id=cash.last_entry_id)
        for currency, cash in replay.cash.items()
    )
    columns = (
        [lot[ENTRY_ID] for lot in lots],
        [_decimal(lot[QUANTITY], QUANTITY_PLACES) for lot in lots],
        [_decimal(lot[REMAINING], QUANTITY_PLACES) for lot in lots],
        [_decimal(lot[REMAINING_COST], MONEY_PLACES) for lot in lots],
    )
    with connection.cursor() as cursor:
        cursor.execute(_CORRECT_LOTS, columns)
