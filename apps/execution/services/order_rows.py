"""Writes an order with all that belongs to it in one statement each: once when it is made, once when something happened to it.

In SQL, because an order pays for every round trip: the ORM would need four of them for the same rows. Triggers and constraints see
these rows as they see all others.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from psycopg.types.json import Jsonb

from apps.core.documents import plain
from apps.core.postgres.rows import fetch
from apps.core.trading import Verdict, check_as_dict
from apps.execution.domain.guards import REPLACEABLE_COLUMNS
from apps.execution.models import Order, OrderDecision

_ATTRIBUTES = {str(field.column): field.attname for field in Order._meta.concrete_fields if field.column}
_COLUMNS = list(_ATTRIBUTES)
_GIVEN = [column for column in _COLUMNS if column != "id"]
_HISTORY = ", ".join(_COLUMNS)
#: What may change after an order was made: where it stands, and what an allowed replacement changes.
_CHANGING = (
    "status",
    "stop_triggered",
    "working_stop",
    "cumulative_quantity",
    "average_price",
    "reason",
    "updated_at",
    *REPLACEABLE_COLUMNS,
)

_EVENTS = """
    insert into execution_orderevent (order_id, kind, from_status, to_status, source, data, occurred_at, recorded_at, stamped_at)
    select {order}, e.kind, e.from_status, e.to_status, e.source, e.data, e.occurred_at, e.recorded_at,
        case when e.from_status = '' then transaction_timestamp() else clock_timestamp() end
    from {rows}jsonb_to_recordset(%(events)s::jsonb) as e (n integer, kind text, from_status text, to_status text, source text, data jsonb,
        occurred_at timestamptz, recorded_at timestamptz) order by e.n"""

_INSERT = f"""
with numbered as materialized (
    select nextval(pg_get_serial_sequence('execution_order', 'id')) as id
), decided as (
    insert into execution_orderdecision (order_id, authority, intent_digest, allowed, checks, decided_at, expires_at)
    select numbered.id, d.authority, %(intent_digest)s, d.allowed, d.checks, %(created_at)s, %(expires_at)s
    from numbered, jsonb_to_recordset(%(decisions)s::jsonb) as d (n integer, authority text, allowed boolean, checks jsonb) order by d.n
    returning id
), made as (
    insert into execution_order (id, {", ".join(_GIVEN)})
    values ((select numbered.id from numbered, (select count(*) from decided) as judged), {", ".join(f"%({column})s" for column in _GIVEN)})
    returning *
), stepped as ({_EVENTS.format(order="made.id", rows="made, ")}
), remembered as (
    insert into execution_historicalorder ({_HISTORY}, history_date, history_type, history_user_id)
    select {_HISTORY}, created_at, '+', created_by_id from made
)
select id from made
"""  # noqa: S608 - names of columns only

_UPDATE = f"""
with filled as (
    insert into execution_fill (order_id, broker, execution_id, quantity, price, fee, quote, market_time, executed_at, recorded_at)
    select %(id)s, f.broker, f.execution_id, f.quantity, f.price, f.fee, f.quote, f.market_time, f.executed_at, f.recorded_at
    from jsonb_to_recordset(%(fills)s::jsonb) as f (n integer, broker text, execution_id text, quantity numeric, price numeric, fee numeric,
        quote jsonb, market_time timestamptz, executed_at timestamptz, recorded_at timestamptz) order by f.n
), stepped as ({_EVENTS.format(order="%(id)s", rows="")}
), moved as (
    update execution_order set {", ".join(f"{column} = %({column})s" for column in _CHANGING)}
    where id = %(id)s returning *
)
insert into execution_historicalorder ({_HISTORY}, history_date, history_type) select {_HISTORY}, updated_at, '~' from moved
returning history_id
"""  # noqa: S608 - names of columns only


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEvent:
    """A step of an order that is not stored yet, with the columns of `OrderEvent`. An order makes four of them: as rows of the ORM each costs more
    than what it says."""

    kind: str
    from_status: str
    to_status: str
    source: str
    data: dict[str, Any]
    occurred_at: datetime
    recorded_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFill:
    """A fill that is not stored yet, with the columns of `Fill`."""

    broker: str
    execution_id: str
    quantity: Decimal
    price: Decimal
    fee: Decimal
    quote: dict[str, str]
    market_time: datetime
    executed_at: datetime
    recorded_at: datetime


def order_row_insert(order: Order, *, verdicts: Sequence[Verdict], events: Sequence[NewEvent], expires_at: datetime) -> Order:
    """Store a new order where it stands now, with its decisions, its first events and its history, and give it its id.

    The decisions are written first: the database takes a row that may be sent only with them.
    """
    decisions = [
        {"n": n, "authority": verdict.authority, "allowed": verdict.allowed, "checks": [check_as_dict(check) for check in verdict.checks]}
        for n, verdict in enumerate(verdicts)
    ]
    values: dict[str, Any] = {column: getattr(order, _ATTRIBUTES[column]) for column in _GIVEN}
    values["lots"] = None if order.lots is None else Jsonb(order.lots)
    ((order.pk,),) = fetch(_INSERT, {**values, "decisions": json.dumps(decisions), "events": _event_rows(events), "expires_at": expires_at})
    order._state.adding = False
    return order


def decisions_insert(order: Order, *, intent_digest: str, verdicts: Sequence[Verdict], at: datetime, expires_at: datetime) -> None:
    """Store what was said of an order that is there already: of itself once more, or of a change that somebody asks for, allowed or not."""
    OrderDecision.objects.bulk_create(
        OrderDecision(
            order=order,
            authority=verdict.authority,
            intent_digest=intent_digest,
            allowed=verdict.allowed,
            checks=[check_as_dict(check) for check in verdict.checks],
            decided_at=at,
            expires_at=expires_at,
        )
        for verdict in verdicts
    )


def order_row_update(order: Order, *, events: Sequence[NewEvent], fills: Sequence[NewFill]) -> None:
    """Store where a locked order stands now, what brought it there, and its history."""
    values: dict[str, Any] = {name: getattr(order, name) for name in _CHANGING}
    fetch(_UPDATE, {**values, "id": order.pk, "events": _event_rows(events), "fills": _fill_rows(fills)})


def _event_rows(events: Sequence[NewEvent]) -> str:
    return json.dumps([{"n": n, **{name: plain(getattr(event, name)) for name in event.__slots__}} for n, event in enumerate(events)])


def _fill_rows(fills: Sequence[NewFill]) -> str:
    return json.dumps([{"n": n, **{name: plain(getattr(fill, name)) for name in fill.__slots__}} for n, fill in enumerate(fills)])
