"""The one statement that writes a ledger entry with all that follows from it.

Written in SQL because every fill waits for it: entry, lot, closures, position and cash in one round trip instead of six. Positions and
cash are changed by what the entry adds, so the statement needs no row of them first. The caller holds the portfolio's lock.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from django.db import connection
from psycopg.types.json import Jsonb

from apps.core.errors import NotFound
from apps.core.money import ZERO
from apps.core.postgres.rows import fetch
from apps.portfolios.domain.lots import Booking, OpenLot, base_amount

# The instrument's terms come with its lots, and whether the reference is used: one round trip for all.
_POSITION = """
select i.calendar, i.asset_class, exists (select 1 from portfolios_ledgerentry where source = %s and source_ref = %s),
    lot.id, lot.remaining, lot.remaining_cost, lot.entry_id, lot.opened_at
from marketdata_instrument i
left join portfolios_lot lot on lot.book_id = %s and lot.instrument_id = i.id and lot.remaining <> 0
    and sign(lot.remaining) <> sign(%s::numeric)
where i.id = %s order by lot.opened_at, lot.id
"""

# The lots are given in sub-selects: of an array that it sees PostgreSQL counts the elements, finds each posting another case, and plans it anew.
_POST = """
with entry as (
    insert into portfolios_ledgerentry (portfolio_id, book_id, kind, instrument_id, quantity, price, amount, fee, currency, fx_rate,
        base_amount, ratio, cost, acquired_at, market_value, lot_method, lot_picks, source, source_ref, effective_at, settles_on, recorded_at)
    values (%(portfolio_id)s, %(book_id)s, %(kind)s, %(instrument_id)s, %(quantity)s, %(price)s, %(amount)s, %(fee)s, %(currency)s,
        %(fx_rate)s, %(base_amount)s, %(ratio)s, %(cost)s, %(acquired_at)s, %(market_value)s, %(lot_method)s, %(lot_picks)s,
        %(source)s, %(source_ref)s, %(effective_at)s, %(settles_on)s, %(recorded_at)s)
    returning *
), opened as (
    insert into portfolios_lot (book_id, instrument_id, entry_id, opened_at, quantity, remaining, cost, remaining_cost)
    select book_id, instrument_id, id, coalesce(acquired_at, effective_at), %(opened)s, %(opened)s, %(opened_cost)s, %(opened_cost)s
    from entry where %(opened)s <> 0
), closed as (
    select * from unnest((select %(lots)s::bigint[]), (select %(closed)s::numeric[]), (select %(costs)s::numeric[]),
        (select %(proceeds)s::numeric[]))
        as piece (lot_id, quantity, cost, proceeds)
), closures as (
    insert into portfolios_lotclosure (lot_id, entry_id, quantity, cost, proceeds, realised)
    select closed.lot_id, entry.id, closed.quantity, closed.cost, closed.proceeds, closed.proceeds - closed.cost from closed, entry
), reduced as (
    update portfolios_lot lot set remaining = lot.remaining - closed.quantity, remaining_cost = lot.remaining_cost - closed.cost
    from closed where lot.id = closed.lot_id
), "position" as (
    insert into portfolios_position (book_id, instrument_id, quantity, cost, realised, last_entry_id)
    select book_id, instrument_id, quantity, %(cost_change)s, %(realised)s, id from entry where %(moves_shares)s
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
    """What an entry says, checked; two postings under one reference must agree in all of it. `fx_rate` is base per unit of `currency`."""

    portfolio_id: int
    book_id: int
    kind: str
    instrument_id: int | None
    quantity: Decimal = ZERO
    price: Decimal | None = None
    fee: Decimal = ZERO
    amount: Decimal = ZERO
    currency: str
    fx_rate: Decimal = Decimal(1)
    ratio: Decimal | None = None
    cost: Decimal | None = None
    acquired_at: datetime | None = None
    market_value: Decimal = ZERO
    effective_at: datetime

    @property
    def base_amount(self) -> Decimal:
        """The amount in the portfolio's currency."""
        return base_amount(amount=self.amount, fx_rate=self.fx_rate)


@dataclass(frozen=True, slots=True, kw_only=True)
class Treatment:
    """How a fact is booked: what it does to the lots (None for cash), by which method, with which named lots, and when it settles."""

    settles_on: date
    booking: Booking | None = None
    lot_method: str = ""
    picks: Sequence[tuple[int, str]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenPosition:
    """An instrument's terms, and the open lots of its position in order of acquisition. `entry_ids` and `opened_at` by lot.

    `posted`: an entry under the reference is there already.
    """

    calendar: str
    asset_class: str
    posted: bool
    lots: tuple[OpenLot, ...]
    entry_ids: Mapping[int, int] = field(default_factory=dict)
    opened_at: Mapping[int, datetime] = field(default_factory=dict)


def open_position(*, book_id: int, instrument_id: int, against: Decimal, reference: tuple[str, str] = ("", "")) -> OpenPosition:
    """The lots that a trade of signed quantity `against` would close; none for a trade with the position. Raises NotFound (instrument).

    `reference` is the (source, source_ref) under which the trade is posted, "" of one that is not.
    """
    rows = fetch(_POSITION, [*reference, book_id, against, instrument_id])
    if not rows:
        raise NotFound(f"no instrument {instrument_id}", field="instrument_id")
    calendar, asset_class, posted = rows[0][:3]
    held = [row[3:] for row in rows if row[3] is not None]
    return OpenPosition(
        calendar=calendar,
        asset_class=asset_class,
        posted=posted,
        lots=tuple(OpenLot(lot_id=lot_id, remaining=remaining, cost=cost) for lot_id, remaining, cost, _, _ in held),
        entry_ids={lot_id: entry_id for lot_id, _, _, entry_id, _ in held},
        opened_at={lot_id: opened_at for lot_id, _, _, _, opened_at in held},
    )


def fact_insert(fact: Fact, *, treatment: Treatment, source: str, source_ref: str, recorded_at: datetime) -> int:
    """Write the fact, and what it does to lots, position and cash. Returns the entry's id.

    Raises IntegrityError "ledger_source_once" when the reference was used before.
    """
    booking = treatment.booking
    closures = booking.closures if booking else ()
    opening = booking.opening if booking else None
    values = {
        **{name: getattr(fact, name) for name in fact.__slots__},
        "base_amount": fact.base_amount,
        "lot_method": treatment.lot_method,
        "lot_picks": None if treatment.picks is None else Jsonb([list(pick) for pick in treatment.picks]),
        "settles_on": treatment.settles_on,
        "source": source,
        "source_ref": source_ref,
        "recorded_at": recorded_at,
        "moves_shares": booking is not None,
        "opened": opening.quantity if opening else ZERO,
        "opened_cost": opening.cost if opening else ZERO,
        "cost_change": booking.cost_change if booking else ZERO,
        "realised": booking.realised if booking else ZERO,
        "lots": [closure.lot_id for closure in closures],
        "closed": [closure.quantity for closure in closures],
        "costs": [closure.cost for closure in closures],
        "proceeds": [closure.proceeds for closure in closures],
    }
    return int(fetch(_POST, values)[0][0])


def lots_resize(sizes: Sequence[tuple[int, Decimal, Decimal]]) -> None:
    """Give lots their quantities after a split: (lot id, opened quantity, remaining)."""
    with connection.cursor() as cursor:
        cursor.execute(
            "update portfolios_lot lot set quantity = sized.quantity, remaining = sized.remaining "
            "from unnest(%s::bigint[], %s::numeric[], %s::numeric[]) as sized (lot_id, quantity, remaining) where lot.id = sized.lot_id",
            [list(column) for column in zip(*sizes, strict=True)],
        )
