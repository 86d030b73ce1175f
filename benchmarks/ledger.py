"""Proving a ledger of a million entries: every lot, closure, position and balance replayed and compared, beside a bare read of the same rows."""

import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np
from django.db import connection

from benchmarks.report import Row

if TYPE_CHECKING:
    from apps.portfolios.domain.replay import Replay

ENTRIES = 1_000_000
INSTRUMENTS = 200
METHODS = ("fifo", "fifo", "fifo", "lifo", "hifo", "average")
LIMIT_SECONDS = 30.0
AT = datetime(2020, 1, 2, 15, tzinfo=UTC)
COLUMNS = (
    "portfolio_id, book_id, kind, instrument_id, quantity, price, amount, fee, currency, fx_rate, base_amount, lot_method, source, source_ref, "
    "effective_at, settles_on, recorded_at"
)


def _copy(table: str, columns: str, lines: Iterator[str]) -> None:
    """Lines into a table, past its triggers and journal: what is measured is reading."""
    with connection.cursor() as cursor:
        cursor.execute("set session_replication_role = replica")
        with cursor.copy(f"copy {table} ({columns}) from stdin") as copy:
            for line in lines:
                copy.write(line)
        cursor.execute("set session_replication_role = origin")
        cursor.execute(f"analyze {table}")


def _trades(portfolio_id: int, books: list[int], instruments: list[int]) -> Iterator[str]:
    """Random trades, long and short, by all methods, in cents and whole shares, and now and then a dividend."""
    dice = random.Random(7)
    for number in range(ENTRIES):
        at = (AT + timedelta(seconds=number)).isoformat()
        where = f"{portfolio_id}\t{dice.choice(books)}"
        instrument, facts = dice.choice(instruments), f"bench\t{number}\t{at}\t2020-01-06\t{at}"
        if number % 50 == 0:
            cents = dice.randint(1, 10_000)
            yield f"{where}\tdividend\t{instrument}\t0\t\\N\t{cents / 100:.2f}\t0\tUSD\t1\t{cents / 100:.2f}\t\t{facts}\n"
            continue
        quantity, cents = dice.choice((-1, 1)) * dice.randint(1, 500), dice.randint(1_000, 20_000)
        amount = f"{Decimal(-quantity * cents - 35).scaleb(-2):f}"
        yield (f"{where}\ttrade\t{instrument}\t{quantity}\t{cents / 100:.2f}\t{amount}\t0.35\tUSD\t1\t{amount}\t{dice.choice(METHODS)}\t{facts}\n")


def _ledger() -> int:
    """A portfolio with a million entries and what follows from them. Its id."""
    from apps.core.models import User
    from apps.marketdata.models import Instrument
    from apps.portfolios.models import CashBalance
    from apps.portfolios.services.ledger_shares import Share, share_ledger
    from apps.portfolios.services.portfolios import book_get_or_create, portfolio_create

    owner = User.objects.create_user("bench-ledger")
    portfolio = portfolio_create(name="Ledger", owner=owner, initial_capital=Decimal(10**9), effective_at=AT, recorded_at=AT)
    book_get_or_create(portfolio_id=portfolio.pk, name="second", recorded_at=AT)
    books = list(portfolio.books.order_by("id").values_list("id", flat=True))
    made = Instrument.objects.bulk_create([Instrument(symbol=f"LED{n:03d}", name=f"Ledger {n}", asset_class="stock") for n in range(INSTRUMENTS)])
    _copy("portfolios_ledgerentry", COLUMNS, _trades(portfolio.pk, books, [one.pk for one in made]))
    replay = share_ledger(connection.connection, Share(portfolio=portfolio.pk))
    _copy("portfolios_lot", "book_id, instrument_id, entry_id, opened_at, quantity, cost, remaining, remaining_cost", _lots(replay))
    _closures(portfolio.pk, replay)
    positions = (
        f"{book}\t{instrument}\t{line.quantity / 1e6:.6f}\t{line.cost / 1e4:.4f}\t{line.realised / 1e4:.4f}\t{line.last_entry_id}\n"
        for (book, instrument), line in replay.lines.items()
    )
    _copy("portfolios_position", "book_id, instrument_id, quantity, cost, realised, last_entry_id", positions)
    cash = replay.cash["USD"]
    CashBalance.objects.filter(portfolio=portfolio).update(amount=Decimal(cash.amount).scaleb(-4), last_entry_id=cash.last_entry_id)
    return portfolio.pk


def _lots(replay: "Replay") -> Iterator[str]:
    for (book, instrument), line in replay.lines.items():
        for remaining, left, at, entry_id, quantity, cost in line.lots:
            opened = datetime.fromtimestamp(at / 1e6, UTC).isoformat()
            amounts = f"{quantity / 1e6:.6f}\t{cost / 1e4:.4f}\t{remaining / 1e6:.6f}\t{left / 1e4:.4f}"
            yield f"{book}\t{instrument}\t{entry_id}\t{opened}\t{amounts}\n"


def _closures(portfolio_id: int, replay: "Replay") -> None:
    """What entries closed. A closure names its lot by a number that the database has given."""
    from apps.portfolios.domain.replay import CLOSED
    from apps.portfolios.models import Lot

    lots = dict(Lot.objects.filter(book__portfolio_id=portfolio_id).values_list("entry_id", "id"))
    lines = (
        f"{lots[opened_by]}\t{entry_id}\t{quantity / 1e6:.6f}\t{cost / 1e4:.4f}\t{proceeds / 1e4:.4f}\t{(proceeds - cost) / 1e4:.4f}\n"
        for entry_id, opened_by, quantity, cost, proceeds in np.frombuffer(replay.closed, np.int64).reshape(-1, CLOSED).tolist()
    )
    _copy("portfolios_lotclosure", "lot_id, entry_id, quantity, cost, proceeds, realised", lines)


def _bare_read(portfolio_id: int) -> float:
    from apps.portfolios.services.ledger_shares import ENTRIES_COPY

    started = time.perf_counter()
    with connection.cursor() as cursor, cursor.copy(ENTRIES_COPY.format(portfolio=portfolio_id, part=0, parts=1)) as copy:
        for _ in copy:
            pass
    return time.perf_counter() - started


def rows() -> list[Row]:
    """How long the proof takes."""
    from apps.portfolios.services.rebuild import positions_rebuild

    portfolio_id = _ledger()
    bare = min(_bare_read(portfolio_id) for _ in range(2))
    started = time.perf_counter()
    rebuild = positions_rebuild(portfolio_id=portfolio_id)
    took = time.perf_counter() - started
    if rebuild.differences or rebuild.entries < ENTRIES:
        raise RuntimeError(f"{rebuild.entries} entries, {len(rebuild.differences)} differences: {rebuild.differences[:3]}")
    return [
        Row(
            work=f"Rebuild positions from {ENTRIES:,} ledger entries and compare",
            ours=f"{took:.1f} s",
            peer=f"bare read of the rows {bare:.1f} s",
            ratio=f"{took / bare:.1f} x",
            required=f"under {LIMIT_SECONDS:.0f} s",
            met=took < LIMIT_SECONDS,
        )
    ]
