"""Orders that may still trade, and how often orders were sent: what the gate needs, by one query each."""

from dataclasses import dataclass
from datetime import datetime

from django.db import connection
from django.db.models import F

from apps.core.trading import OrderType, Side, TimeInForce, WorkingOrder
from apps.execution.domain.states import OrderStatus
from apps.execution.models import Order

_WORKING_FIELDS = (
    "id",
    "client_order_id",
    "instrument_id",
    "instrument__symbol",
    "side",
    "quantity",
    "cumulative_quantity",
    "order_type",
    "time_in_force",
    "limit_price",
    "stop_price",
    "created_at",
    "book_id",
)


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
    rows = (
        Order.objects.filter(portfolio_id=portfolio_id, quantity__gt=F("cumulative_quantity")).working().order_by("id").values_list(*_WORKING_FIELDS)
    )
    return tuple(
        WorkingOrder(
            order_id=pk,
            client_order_id=client_order_id,
            instrument_id=instrument_id,
            symbol=symbol,
            side=Side(side),
            leaves=quantity - cumulative,
            order_type=OrderType(order_type),
            time_in_force=TimeInForce(time_in_force),
            limit_price=limit_price,
            stop_price=stop_price,
            created_at=created_at,
            book_id=book_id,
        )
        for (
            pk,
            client_order_id,
            instrument_id,
            symbol,
            side,
            quantity,
            cumulative,
            order_type,
            time_in_force,
            limit_price,
            stop_price,
            created_at,
            book_id,
        ) in rows
    )


def order_rates(*, portfolio_id: int, instrument_id: int, since: datetime) -> OrderRates:
    """How many orders were sent after `since` (wall time)."""
    with connection.cursor() as cursor:
        cursor.execute(_RATES, {"instrument": instrument_id, "portfolio": portfolio_id, "since": since, "denied": OrderStatus.DENIED.value})
        portfolio, instrument = cursor.fetchone()
    return OrderRates(portfolio=portfolio, instrument=instrument)
