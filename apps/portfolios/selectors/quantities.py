"""What a portfolio holds, as an order that waits needs it: quantities only, whatever the number of positions.

A process remembers the quantities that it has read, and asks for what has changed since: each entry of the ledger moves its portfolio's cash,
whose row names it, and each position names the last one that moved it. Entries of one portfolio come one after the other, and what a
transaction has read is kept when it commits: nothing in the memory was ever taken back. A rebuild of the projections makes new rows of cash,
and where those are others than before everything is read again.
"""

import time as wall
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import Any, Final

from django.db import transaction

from apps.core.errors import NotFound
from apps.core.kept import Kept
from apps.core.money import ZERO
from apps.core.postgres.base import Question
from apps.core.postgres.rows import BETWEEN, LINE, fetch

#: Symbols and currencies are read again after so many seconds: an instrument may be renamed without a posting.
KEPT_SECONDS: Final = 30.0
# One row, however many positions: a thousand rows of five columns cost an order more than all its checks. Positions are looked at only where an
# entry has come.
_QUANTITIES = """
select f.base_currency, cash.amount, cash."foreign", cash.rows, cash.newest,
    case when cash.newest > %(seen)s then (
        select string_agg(concat_ws(%(between)s, q.book_id, q.instrument_id, (select concat_ws(%(between)s, i.symbol, i.currency)
            from marketdata_instrument i where i.id = q.instrument_id), q.quantity), %(line)s)
        from portfolios_book b join portfolios_position q on q.book_id = b.id where b.portfolio_id = f.id and q.last_entry_id > %(seen)s) end
from portfolios_portfolio f cross join lateral (
    select coalesce(sum(c.amount) filter (where c.currency = f.base_currency), 0) as amount,
        coalesce(bool_or(c.currency <> f.base_currency and c.amount <> 0), false) as "foreign",
        coalesce(max(c.id), 0) as rows, coalesce(max(c.last_entry_id), 0) as newest
    from portfolios_cashbalance c where c.portfolio_id = f.id) cash
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
class _Memory:
    """What was read of one portfolio up to the entry `newest`, while the newest row of its cash was `rows`. `held`, `symbols` and `currencies`
    by instrument id, `books` what each book holds of it; what is held no more is in none of them."""

    held: Mapping[int, Decimal] = field(default_factory=dict)
    symbols: Mapping[int, str] = field(default_factory=dict)
    currencies: Mapping[int, str] = field(default_factory=dict)
    all_currencies: frozenset[str] = frozenset()
    books: Mapping[int, Mapping[int, Decimal]] = field(default_factory=dict)
    rows: int = 0
    newest: int = 0
    read_at: float = 0.0


_NOTHING: Final = _Memory()
_memories: Kept[int, _Memory] = Kept(most=64)


def quantities_of(portfolio_id: int, *, book_id: int, instrument_id: int) -> Quantities:
    """Quantities of the portfolio; those of nothing are left out. One query, as a rule. Raises NotFound."""
    known = _known(portfolio_id)
    row = _read(portfolio_id, known.newest)
    if known is not _NOTHING and (row[3] != known.rows or row[4] < known.newest):
        known, row = _NOTHING, _read(portfolio_id, 0)
    memory = _with_changes(known, row)
    if memory is not known:
        transaction.on_commit(partial(_memories.put, portfolio_id, memory))
    of_book = memory.books.get(book_id, {})
    currency, cash, foreign_cash = row[:3]
    return Quantities(
        currency=currency,
        cash=cash,
        held=memory.held,
        symbols=memory.symbols,
        book_held=of_book.get(instrument_id, ZERO),
        foreign=foreign_cash or bool(memory.all_currencies - {currency}),
        of_book=of_book,
    )


def quantities_question(portfolio_id: int) -> Question:
    """What `quantities_of` asks first, for `asked_together`."""
    return _question(portfolio_id, _known(portfolio_id).newest)


def _known(portfolio_id: int) -> _Memory:
    known = _memories.get(portfolio_id)
    return _NOTHING if known is None or wall.monotonic() - known.read_at > KEPT_SECONDS else known


def _question(portfolio_id: int, seen: int) -> Question:
    return _QUANTITIES, {"portfolio": portfolio_id, "seen": seen, "between": BETWEEN, "line": LINE}


def _read(portfolio_id: int, seen: int) -> tuple[Any, ...]:
    rows = fetch(*_question(portfolio_id, seen))
    if not rows:
        raise NotFound(f"no portfolio {portfolio_id}")
    return rows[0]


def _with_changes(known: _Memory, row: tuple[Any, ...]) -> _Memory:
    """The memory brought up to the row. Other threads may be reading the old one: nothing of it is changed."""
    rows, newest, changed = row[3:]
    if known.read_at and newest == known.newest:
        return known
    held, symbols, currencies = dict(known.held), dict(known.symbols), dict(known.currencies)
    books = dict[int, dict[int, Decimal]]()
    for book, key, symbol, currency, quantity in _changed(changed or ""):
        if book not in books:
            books[book] = dict(known.books.get(book, {}))
        held[key] = held.get(key, ZERO) + quantity - books[book].pop(key, ZERO)
        symbols[key], currencies[key] = symbol, currency
        if quantity:
            books[book][key] = quantity
        if not held[key]:
            del held[key], symbols[key], currencies[key]
    return _Memory(
        held=held,
        symbols=symbols,
        currencies=currencies,
        all_currencies=frozenset(currencies.values()),
        books={**known.books, **books},
        rows=rows,
        newest=newest,
        read_at=known.read_at or wall.monotonic(),
    )


def _changed(lines: str) -> Iterator[tuple[int, int, str, str, Decimal]]:
    """Book id, instrument id, symbol, currency and signed quantity of each position that the row names."""
    for line in lines.split(LINE) if lines else ():
        book, key, symbol, currency, quantity = line.split(BETWEEN)
        yield int(book), int(key), symbol, currency, Decimal(quantity)
