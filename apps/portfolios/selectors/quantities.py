"""What a portfolio holds, as an order that waits needs it: quantities only, whatever the number of positions.

A process remembers the quantities that it has read, and asks for what has changed since: each position names the ledger entry up to which it
is true, and entries of one portfolio come one after the other. Every answer brings check figures over all positions of the portfolio; where
the memory does not agree with them, because a transaction was taken back or the projection was rebuilt, everything is read again.
"""

import time as wall
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from django.db import connection

from apps.core.errors import NotFound
from apps.core.kept import Kept
from apps.core.money import ZERO

#: Between the values of a position's line, and between the lines: in no symbol, currency or number.
_BETWEEN: Final = "\x1f"
_LINE: Final = "\x1e"
#: Symbols and currencies are read again after so many seconds: an instrument may be renamed without a posting.
KEPT_SECONDS: Final = 30.0
# One row, however many positions: a thousand rows of five columns cost an order more than all its checks.
_QUANTITIES = """
select f.base_currency, coalesce(c.amount, 0), exists (select 1 from portfolios_cashbalance o
        where o.portfolio_id = f.id and o.currency <> f.base_currency and o.amount <> 0),
    p.positions, p.entries, p.mixed, p.newest, p.changed
from portfolios_portfolio f left join portfolios_cashbalance c on c.portfolio_id = f.id and c.currency = f.base_currency
cross join lateral (
    select count(*) as positions, coalesce(sum(q.last_entry_id), 0) as entries, coalesce(max(q.last_entry_id), 0) as newest,
        coalesce(sum(hash_numeric_extended(q.quantity, q.instrument_id)), 0) as mixed,
        string_agg(concat_ws(%(between)s, q.book_id, q.instrument_id, (select concat_ws(%(between)s, i.symbol, i.currency)
            from marketdata_instrument i where i.id = q.instrument_id), q.quantity, q.last_entry_id,
            hash_numeric_extended(q.quantity, q.instrument_id)), %(line)s)
            filter (where q.last_entry_id > %(seen)s) as changed
    from portfolios_book b join portfolios_position q on q.book_id = b.id where b.portfolio_id = f.id) p
where f.id = %(portfolio)s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantities:
    """Cash of the base `currency`, signed quantities over all books and symbols by instrument id, and what one book holds of one instrument.

    `foreign` is True when something held, cash or shares, is in another currency, so that prices need rates. `of_book` is what the one book
    holds by instrument id.
    """

    currency: str
    cash: Decimal
    held: Mapping[int, Decimal]
    symbols: Mapping[int, str]
    book_held: Decimal
    foreign: bool
    of_book: Mapping[int, Decimal]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """What one book holds of one instrument, as of a ledger entry; quantity zero for what it held once. `mixed` is PostgreSQL's own hash of the
    quantity, seeded by the instrument: cheaper for a thousand positions than a product, and no two changes make up for each other."""

    quantity: Decimal
    entry_id: int
    mixed: int
    symbol: str
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Memory:
    """What was read of one portfolio: `parts` by (book id, instrument id), and what follows from them."""

    parts: Mapping[tuple[int, int], _Part] = field(default_factory=dict)
    held: Mapping[int, Decimal] = field(default_factory=dict)
    symbols: Mapping[int, str] = field(default_factory=dict)
    books: Mapping[int, Mapping[int, Decimal]] = field(default_factory=dict)
    currencies: frozenset[str] = frozenset()
    entries: int = 0
    mixed: int = 0
    newest: int = 0
    read_at: float = 0.0

    @property
    def figures(self) -> tuple[int, int, int]:
        """How many positions, the sum of their entries, and the sum of their hashes: as the database computes them."""
        return len(self.parts), self.entries, self.mixed


_NOTHING: Final = _Memory()
_memories: Kept[int, _Memory] = Kept(most=64)


def quantities_of(portfolio_id: int, *, book_id: int, instrument_id: int) -> Quantities:
    """Quantities of the portfolio; those of nothing are left out. One query, as a rule. Raises NotFound."""
    known = _memories.get(portfolio_id)
    if known is None or wall.monotonic() - known.read_at > KEPT_SECONDS:
        known = _NOTHING
    row = _read(portfolio_id, known.newest)
    memory = _with_changes(known, row)
    if memory.figures != tuple(row[3:6]):
        row = _read(portfolio_id, 0)
        memory = _with_changes(_NOTHING, row)
    _memories.put(portfolio_id, memory)
    of_book = memory.books.get(book_id, {})
    currency, cash, foreign_cash = row[:3]
    return Quantities(
        currency=currency,
        cash=cash,
        held=memory.held,
        symbols=memory.symbols,
        book_held=of_book.get(instrument_id, ZERO),
        foreign=foreign_cash or bool(memory.currencies - {currency}),
        of_book=of_book,
    )


def _read(portfolio_id: int, seen: int) -> tuple[Any, ...]:
    with connection.cursor() as cursor:
        cursor.execute(_QUANTITIES, {"portfolio": portfolio_id, "seen": seen, "between": _BETWEEN, "line": _LINE})
        row: tuple[Any, ...] | None = cursor.fetchone()
    if row is None:
        raise NotFound(f"no portfolio {portfolio_id}")
    return row


def _with_changes(known: _Memory, row: tuple[Any, ...]) -> _Memory:
    """The memory brought up to the row. Other threads may be reading the old one: nothing of it is changed."""
    newest, changed = row[6:]
    if changed is None:
        return known
    parts, held, symbols = dict(known.parts), dict(known.held), dict(known.symbols)
    books = dict[int, dict[int, Decimal]]()
    entries, mixed = known.entries, known.mixed
    for book, key, part in _changed(changed):
        before = parts.get((book, key))
        moved = part.quantity - (before.quantity if before else ZERO)
        parts[book, key] = part
        entries += part.entry_id - (before.entry_id if before else 0)
        mixed += part.mixed - (before.mixed if before else 0)
        symbols[key] = part.symbol
        held[key] = held.get(key, ZERO) + moved
        if not held[key]:
            del held[key], symbols[key]
        if book not in books:
            books[book] = dict(known.books.get(book, {}))
        books[book][key] = part.quantity
        if not part.quantity:
            del books[book][key]
    return _Memory(
        parts=parts,
        held=held,
        symbols=symbols,
        books={**known.books, **books},
        currencies=frozenset(part.currency for (_, key), part in parts.items() if key in held),
        entries=entries,
        mixed=mixed,
        newest=newest,
        read_at=known.read_at or wall.monotonic(),
    )


def _changed(lines: str) -> Iterator[tuple[int, int, _Part]]:
    """Book id, instrument id and what is held now, of each position that the row names."""
    for line in lines.split(_LINE):
        book, key, symbol, currency, quantity, entry, mixed = line.split(_BETWEEN)
        part = _Part(quantity=Decimal(quantity), entry_id=int(entry), mixed=int(mixed), symbol=symbol, currency=currency)
        yield int(book), int(key), part
