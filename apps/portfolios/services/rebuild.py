"""Rebuilding what follows from the ledger, and comparing it with what is stored: the proof that positions and cash are right."""

from bisect import insort
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from operator import attrgetter

from django.db import transaction

from apps.core.money import ZERO
from apps.portfolios.domain.lots import OpenLot, trade_book
from apps.portfolios.models import CashBalance, EntryKind, LedgerEntry, Lot, Position
from apps.portfolios.services.portfolios import portfolio_lock

BATCH = 5_000

_Key = tuple[int, int]  # book, instrument


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


@dataclass(slots=True)
class _RebuiltLot:
    opened_at: datetime
    entry_id: int
    quantity: Decimal
    cost: Decimal
    remaining: Decimal
    remaining_cost: Decimal

    @property
    def age(self) -> tuple[datetime, int]:
        """First in, first out: the order in which lots are closed."""
        return self.opened_at, self.entry_id


@dataclass(slots=True)
class _Line:
    """A position while it is rebuilt. `lots` by the entry that opened them; `open_lots` the open ones, oldest first."""

    quantity: Decimal = ZERO
    cost: Decimal = ZERO
    realised: Decimal = ZERO
    last_entry_id: int = 0
    lots: dict[int, _RebuiltLot] = field(default_factory=dict)
    open_lots: list[_RebuiltLot] = field(default_factory=list)


@dataclass(slots=True)
class _Cash:
    amount: Decimal = ZERO
    last_entry_id: int = 0


def positions_rebuild(*, portfolio_id: int, check: bool = True) -> Rebuild:
    """Replay the portfolio's ledger through the same FIFO function as posting, and compare lots, positions and cash.

    With `check` nothing is written. Without it, positions, cash and what remains of lots are put right; a lot that is missing or
    was opened otherwise stays as it is, because append-only closures refer to it: that is for people to look into. Raises NotFound.
    """
    with transaction.atomic():
        portfolio = portfolio_lock(portfolio_id)
        lines: dict[_Key, _Line] = {}
        cash: dict[str, _Cash] = {}
        entries = 0
        for entry in LedgerEntry.objects.filter(portfolio=portfolio).order_by("id").iterator(chunk_size=BATCH):
            _replay(entry, lines, cash)
            entries += 1
        differences = (*_position_differences(portfolio_id, lines), *_lot_differences(portfolio_id, lines), *_cash_differences(portfolio_id, cash))
        if differences and not check:
            _correct(portfolio_id, lines, cash)
        return Rebuild(portfolio_id=portfolio_id, entries=entries, differences=differences, corrected=bool(differences) and not check)


def _replay(entry: LedgerEntry, lines: dict[_Key, _Line], cash: dict[str, _Cash]) -> None:
    balance = cash.setdefault(entry.currency, _Cash())
    balance.amount += entry.amount
    balance.last_entry_id = entry.pk
    if entry.kind != EntryKind.TRADE or entry.instrument_id is None:
        return
    line = lines.setdefault((entry.book_id, entry.instrument_id), _Line())
    booking = trade_book(
        open_lots=[OpenLot(lot_id=lot.entry_id, remaining=lot.remaining, cost=lot.remaining_cost) for lot in line.open_lots],
        quantity=entry.quantity,
        amount=entry.amount,
    )
    for closure in booking.closures:
        lot = line.lots[closure.lot_id]
        lot.remaining -= closure.quantity
        lot.remaining_cost -= closure.cost
    line.open_lots = [lot for lot in line.open_lots if lot.remaining]
    if booking.opening is not None:
        quantity, cost = booking.opening.quantity, booking.opening.cost
        line.lots[entry.pk] = opened = _RebuiltLot(entry.effective_at, entry.pk, quantity, cost, quantity, cost)
        insort(line.open_lots, opened, key=attrgetter("age"))
    line.quantity += entry.quantity
    line.cost += booking.cost_change
    line.realised += booking.realised
    line.last_entry_id = entry.pk


def _compare(subject: str, stored: object | None, rebuilt: object | None, names: Iterable[str]) -> Iterable[Difference]:
    for name in names:
        was = None if stored is None else getattr(stored, name)
        now = None if rebuilt is None else getattr(rebuilt, name)
        if was != now:
            yield Difference(subject=subject, field=name, stored=_shown(was), rebuilt=_shown(now))


def _shown(value: object) -> str:
    return "" if value is None else format(value, "f") if isinstance(value, Decimal) else str(value)


def _position_differences(portfolio_id: int, lines: Mapping[_Key, _Line]) -> Iterable[Difference]:
    stored = {(row.book_id, row.instrument_id): row for row in Position.objects.filter(book__portfolio_id=portfolio_id)}
    for book_id, instrument_id in sorted(stored.keys() | lines.keys()):
        subject = f"position book {book_id} instrument {instrument_id}"
        key = (book_id, instrument_id)
        yield from _compare(subject, stored.get(key), lines.get(key), ("quantity", "cost", "realised", "last_entry_id"))


def _lot_differences(portfolio_id: int, lines: Mapping[_Key, _Line]) -> Iterable[Difference]:
    stored = {lot.entry_id: lot for lot in Lot.objects.filter(book__portfolio_id=portfolio_id)}
    rebuilt = {lot.entry_id: lot for line in lines.values() for lot in line.lots.values()}
    for entry_id in sorted(stored.keys() | rebuilt.keys()):
        yield from _compare(
            f"lot of entry {entry_id}", stored.get(entry_id), rebuilt.get(entry_id), ("quantity", "cost", "remaining", "remaining_cost")
        )


def _cash_differences(portfolio_id: int, cash: Mapping[str, _Cash]) -> Iterable[Difference]:
    stored = {row.currency: row for row in CashBalance.objects.filter(portfolio_id=portfolio_id)}
    for currency in sorted(stored.keys() | cash.keys()):
        yield from _compare(f"cash {currency}", stored.get(currency), cash.get(currency), ("amount", "last_entry_id"))


def _correct(portfolio_id: int, lines: Mapping[_Key, _Line], cash: Mapping[str, _Cash]) -> None:
    Position.objects.filter(book__portfolio_id=portfolio_id).delete()
    Position.objects.bulk_create(
        Position(
            book_id=book_id,
            instrument_id=instrument_id,
            quantity=line.quantity,
            cost=line.cost,
            realised=line.realised,
            last_entry_id=line.last_entry_id,
        )
        for (book_id, instrument_id), line in lines.items()
    )
    CashBalance.objects.filter(portfolio_id=portfolio_id).delete()
    CashBalance.objects.bulk_create(
        CashBalance(portfolio_id=portfolio_id, currency=currency, amount=balance.amount, last_entry_id=balance.last_entry_id)
        for currency, balance in cash.items()
    )
    rebuilt = {lot.entry_id: lot for line in lines.values() for lot in line.lots.values()}
    lots = list(Lot.objects.filter(book__portfolio_id=portfolio_id, entry_id__in=rebuilt))
    for lot in lots:
        lot.remaining, lot.remaining_cost = rebuilt[lot.entry_id].remaining, rebuilt[lot.entry_id].remaining_cost
    Lot.objects.bulk_update(lots, ["remaining", "remaining_cost"], batch_size=BATCH)
