"""Orders that may still trade, and how often orders were sent: what the gate needs, by one query each."""

from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from apps.core.trading import OrderType, Side, TimeInForce, WorkingOrder
from apps.execution.domain.states import OrderStatus
from apps.execution.models.orders import ENDED, Order

# In SQL, not by the ORM: each order asks these, and building the queries costs Django more than the database needs to answer them.
_WORKING = f"""
select o.id, o.client_order_id, o.instrument_id, i.symbol, o.side, o.quantity - o.cumulative_quantity, o.order_type, o.time_in_force,
    o.limit_price, o.stop_price, o.created_at, o.book_id
from execution_order o join marketdata_instrument i on i.id = o.instrument_id
where o.portfolio_id = %s and not (o.status in ({", ".join(f"'{status}'" for status in ENDED)})) and o.quantity > o.cumulative_quantity
order by o.id
"""  # noqa: S608 - the list is that of the partial index
_RATES = """
select count(*), count(*) filter (where instrument_id = %(instrument)s)
from execution_order where portfolio_id = %(portfolio)s and created_at > %(since)s and status <> %(denied)s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRates:
    """Orders sent since a moment: of the whole portfolio, and of one instrument in it. Denied ones were never sent."""

    portfolio: int
    instrument: int


def working_orders(portfolio_id: int) -> tuple[WorkingOrder, ...]:
    """The portfolio's working orders, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(_WORKING, [portfolio_id])
        rows = cursor.fetchall()
    return tuple(
        WorkingOrder(
            order_id=pk,
            client_order_id=client_order_id,
            instrument_id=instrument_id,
            symbol=symbol,
            side=Side(side),
            leaves=leaves,
            order_type=OrderType(order_type),
            time_in_force=TimeInForce(time_in_force),
            limit_price=limit_price,
            stop_price=stop_price,
            created_at=created_at,
            book_id=book_id,
        )
        for pk, client_order_id, instrument_id, symbol, side, leaves, order_type, time_in_force, limit_price, stop_price, created_at, book_id in rows
    )


def group_order_ids(group_id: int | None) -> tuple[int, ...]:
    """The orders of a bracket or an OCO pair; none, and no query, for an order that belongs to no group."""
    return () if group_id is None else tuple(Order.objects.filter(group_id=group_id).values_list("id", flat=True))


def order_rates(*, portfolio_id: int, instrument_id: int, since: datetime) -> OrderRates:
    """How many orders were sent after `since` (wall time)."""
    with connection.cursor() as cursor:
        cursor.execute(_RATES, {"instrument": instrument_id, "portfolio": portfolio_id, "since": since, "denied": OrderStatus.DENIED.value})
        portfolio, instrument = cursor.fetchone()
    return OrderRates(portfolio=portfolio, instrument=instrument)
