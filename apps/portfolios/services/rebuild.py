"""Rebuilding what follows from the ledger, and comparing it with what is stored: the proof that the projections are right.

A large ledger is replayed by as many processes as the machine has cores: what happens to one instrument touches no other.
"""

import gc
import multiprocessing
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal

from django.db import connection, transaction

from apps.core.money import MONEY_PLACES, QUANTITY_PLACES
from apps.core.postgres.rows import fetch
from apps.core.postgres.session import session_parameters
from apps.portfolios.domain.replay import ENTRY_ID, QUANTITY, REMAINING, REMAINING_COST, Lot
from apps.portfolios.models import CashBalance, Position
from apps.portfolios.services.ledger_shares import Difference, Names, Replayed, Share, compare, decimal, share_replay, share_replay_there
from apps.portfolios.services.portfolios import portfolio_lock
from apps.portfolios.services.rebuild_values import values_correct, values_rebuild

#: A ledger of so many entries is worth the second that another process takes to begin.
LARGE = 100_000
_CORRECT_LOTS = """
update portfolios_lot lot set quantity = right_.quantity, remaining = right_.remaining, remaining_cost = right_.cost
from unnest(%s::bigint[], %s::numeric[], %s::numeric[], %s::numeric[]) as right_ (entry_id, quantity, remaining, cost)
where lot.entry_id = right_.entry_id
"""
#: What is compared, with the places of each number.
_POSITION = (("quantity", QUANTITY_PLACES), ("cost", MONEY_PLACES), ("realised", MONEY_PLACES), ("last_entry_id", 0))
_CASH = (("amount", MONEY_PLACES), ("last_entry_id", 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuild:
    """What was rebuilt. `differences` were found before anything was corrected; `corrected` says whether they were."""

    portfolio_id: int
    entries: int
    differences: tuple[Difference, ...]
    corrected: bool


def positions_rebuild(*, portfolio_id: int, check: bool = True) -> Rebuild:
    """Replay the portfolio's ledger by the same closing functions as posting, and compare lots, closures, positions, cash and recorded values.

    With `check` nothing is written. Without it, positions, cash, values and what remains of lots are put right; a lot that is missing or
    cost something else stays as it is, because closures refer to it, and so do closures, which are append-only: that is for people to look
    into. The portfolio is locked meanwhile. Raises NotFound.
    """
    alone = connection.in_atomic_block  # then the caller may have written what no other connection sees
    with transaction.atomic(), _collector_resting():
        portfolio = portfolio_lock(portfolio_id)
        shares = _replayed(portfolio_id, alone=alone)
        positions = {key: line for share in shares for key, line in share.positions.items()}
        wrong = [lot for share in shares for lot in share.wrong]
        lots = sorted((found for share in shares for found in share.differences), key=lambda found: found[0])
        cash = _cash(shares)
        value_differences, values = values_rebuild(portfolio)
        differences = (
            *_position_differences(portfolio_id, positions),
            *(difference for _, difference in lots),
            *_cash_differences(portfolio_id, cash),
            *value_differences,
        )
        if differences and not check:
            _correct(portfolio_id, positions, cash, wrong)
            values_correct(values)
        entries = sum(share.entries for share in shares)
        return Rebuild(portfolio_id=portfolio_id, entries=entries, differences=differences, corrected=bool(differences) and not check)


def _replayed(portfolio_id: int, *, alone: bool) -> list[Replayed]:
    """All shares of the ledger: by this process, and of a large one the others at the same time by further ones, which see the same rows."""
    parts = os.cpu_count() or 1
    if alone or parts == 1 or not _is_large(portfolio_id):
        return [share_replay(connection.connection, Share(portfolio=portfolio_id))]
    ((snapshot,),) = fetch("select pg_export_snapshot()", [])
    own, *others = (Share(portfolio=portfolio_id, part=part, parts=parts) for part in range(parts))
    with ProcessPoolExecutor(max_workers=len(others), mp_context=multiprocessing.get_context("spawn")) as processes:
        there = [processes.submit(share_replay_there, session_parameters(), snapshot, share) for share in others]
        return [share_replay(connection.connection, own), *(share.result() for share in there)]


def _is_large(portfolio_id: int) -> bool:
    rows = fetch("select count(*) from (select from portfolios_ledgerentry where portfolio_id = %s limit %s) entries", [portfolio_id, LARGE])
    return bool(rows[0][0] == LARGE)


def _cash(shares: Sequence[Replayed]) -> dict[str, tuple[int, int]]:
    """Amount and last entry by currency."""
    cash: dict[str, tuple[int, int]] = {}
    for share in shares:
        for currency, (amount, last) in share.cash.items():
            before = cash.get(currency, (0, 0))
            cash[currency] = before[0] + amount, max(before[1], last)
    return cash


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


def _position_differences(portfolio_id: int, rebuilt: Mapping[tuple[int, int], Sequence[int]]) -> Iterable[Difference]:
    stored = {(row.book_id, row.instrument_id): _units(row, _POSITION) for row in Position.objects.filter(book__portfolio_id=portfolio_id)}
    for key in sorted(stored.keys() | rebuilt.keys()):
        yield from compare(f"position book {key[0]} instrument {key[1]}", stored.get(key), rebuilt.get(key), _POSITION)


def _cash_differences(portfolio_id: int, rebuilt: Mapping[str, Sequence[int]]) -> Iterable[Difference]:
    stored = {row.currency: _units(row, _CASH) for row in CashBalance.objects.filter(portfolio_id=portfolio_id)}
    for currency in sorted(stored.keys() | rebuilt.keys()):
        yield from compare(f"cash {currency}", stored.get(currency), rebuilt.get(currency), _CASH)


def _units(row: object, names: Names) -> tuple[int, ...]:
    return tuple(int(Decimal(getattr(row, name)).scaleb(places)) for name, places in names)


def _correct(
    portfolio_id: int,
    positions: Mapping[tuple[int, int], tuple[int, int, int, int]],
    cash: Mapping[str, tuple[int, int]],
    lots: Sequence[Lot],
) -> None:
    Position.objects.filter(book__portfolio_id=portfolio_id).delete()
    Position.objects.bulk_create(
        Position(
            book_id=book_id,
            instrument_id=instrument_id,
            quantity=decimal(quantity, QUANTITY_PLACES),
            cost=decimal(cost, MONEY_PLACES),
            realised=decimal(realised, MONEY_PLACES),
            last_entry_id=last,
        )
        for (book_id, instrument_id), (quantity, cost, realised, last) in positions.items()
    )
    CashBalance.objects.filter(portfolio_id=portfolio_id).delete()
    CashBalance.objects.bulk_create(
        CashBalance(portfolio_id=portfolio_id, currency=currency, amount=decimal(amount, MONEY_PLACES), last_entry_id=last)
        for currency, (amount, last) in cash.items()
    )
    columns = (
        [lot[ENTRY_ID] for lot in lots],
        [decimal(lot[QUANTITY], QUANTITY_PLACES) for lot in lots],
        [decimal(lot[REMAINING], QUANTITY_PLACES) for lot in lots],
        [decimal(lot[REMAINING_COST], MONEY_PLACES) for lot in lots],
    )
    with connection.cursor() as cursor:
        cursor.execute(_CORRECT_LOTS, columns)
