"""The one statement that writes a ledger entry with all that follows from it.

Written in SQL because every fill waits for it: entry, lot, closures, position and cash in one round trip instead of six. Positions and
cash are changed by what the entry adds, so the statement needs no row of them first. The caller holds the portfolio's lock.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db import connection

from apps.core.money import ZERO
from apps.portfolios.domain.lots import Booking, OpenLot

_OPEN_LOTS = """
select id, remaining, remaining_cost from portfolios_lot
where book_id = %s and instrument_id = %s and remaining <> 0 and sign(remaining) <> sign(%s::numeric)
order by opened_at, id
"""

_POST = """
with entry as (
    insert into portfolios_ledgerentry (portfolio_id, book_id, kind, instrument_id, quantity, price, amount, fee, currency,
        source, source_ref, effective_at, recorded_at)
    values (%(portfolio_id)s, %(book_id)s, %(kind)s, %(instrument_id)s, %(quantity)s, %(price)s, %(amount)s, %(fee)s, %(currency)s,
        %(source)s, %(source_ref)s, %(effective_at)s, %(recorded_at)s)
    returning *
), opened as (
    insert into portfolios_lot (book_id, instrument_id, entry_id, opened_at, quantity, remaining, cost, remaining_cost)
    select book_id, instrument_id, id, effective_at, %(opened)s, %(opened)s, %(opened_cost)s, %(opened_cost)s
    from entry where %(opened)s <> 0
), closed as (
    select * from unnest(%(lots)s::bigint[], %(closed)s::numeric[], %(costs)s::numeric[], %(proceeds)s::numeric[])
        as piece (lot_id, quantity, cost, proceeds)
), closures as (
    insert into portfolios_lotclosure (lot_id, entry_id, quantity, cost, proceeds, realised)
    select closed.lot_id, entry.id, closed.quantity, closed.cost, closed.proceeds, closed.proceeds - closed.cost from closed, entry
), reduced as (
    update portfolios_lot lot set remaining = lot.remaining - closed.quantity, remaining_cost = lot.remaining_cost - closed.cost
    from closed where lot.id = closed.lot_id
), "position" as (
    insert into portfolios_position (book_id, instrument_id, quantity, cost, realised, last_entry_id)
    select book_id, instrument_id, quantity, %(cost_change)s, %(realised)s, id from entry where %(is_trade)s
    on conflict (book_id, instrument_id) do update set quantity = portfolios_position.quantity + excluded.quantity,
        cost = portfolios_position.cost + excluded.cost, realised = portfolios_position.realised + excluded.realised,
        last_entry_id = excluded.last_entry_id
), cash as (
    insert into portfolios_cashbalance (portfolio_id, currency, amount, last_entry_id)
    select portfolio_id, currency, amount, id from entry
    on conflict (portfolio_id, currency) do update set amount = portfolios_cashbalance.amount + excluded.amount,
        last_entry_id = excluded.last_entry_id
)
select id from entry
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """What an entry says, checked; two postings under one reference must agree in all of it."""

    portfolio_id: int
    book_id: int
    kind: str
    instrument_id: int | None
    quantity: Decimal
    price: Decimal | None
    fee: Decimal
    amount: Decimal
    currency: str
    effective_at: datetime


def open_lots(*, book_id: int, instrument_id: int, quantity: Decimal) -> tuple[OpenLot, ...]:
    """The open lots that a trade of signed `quantity` would close, oldest first; none for a trade with the position."""
    with connection.cursor() as cursor:
        cursor.execute(_OPEN_LOTS, [book_id, instrument_id, quantity])
        return tuple(OpenLot(lot_id=lot_id, remaining=remaining, cost=cost) for lot_id, remaining, cost in cursor.fetchall())


def fact_insert(fact: Fact, *, booking: Booking | None, source: str, source_ref: str, recorded_at: datetime) -> int:
    """Write the fact, and for a trade what it does to lots and position. Returns the entry's id.

    Raises IntegrityError "ledger_source_once" when the reference was used before.
    """
    closures = booking.closures if booking else ()
    opening = booking.opening if booking else None
    values = {
        **{name: getattr(fact, name) for name in fact.__slots__},
        "source": source,
        "source_ref": source_ref,
        "recorded_at": recorded_at,
        "is_trade": booking is not None,
        "opened": opening.quantity if opening else ZERO,
        "opened_cost": opening.cost if opening else ZERO,
        "cost_change": booking.cost_change if booking else ZERO,
        "realised": booking.realised if booking else ZERO,
        "lots": [closure.lot_id for closure in closures],
        "closed": [closure.quantity for closure in closures],
        "costs": [closure.cost for closure in closures],
        "proceeds": [closure.proceeds for closure in closures],
    }
    with connection.cursor() as cursor:
        cursor.execute(_POST, values)
        return int(cursor.fetchone()[0])
