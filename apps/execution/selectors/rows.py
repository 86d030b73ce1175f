"""One order and one fill as JSON: the shape that REST, the live streams and the blotter share."""

from typing import Any

from apps.core.documents import plain
from apps.core.trading import OrderType, Side
from apps.execution.domain.amounts import slippage_bps, trimmed
from apps.execution.domain.explanations import fill_explanation
from apps.execution.models import Fill, Order

#: What `order_row` reads beside the order's own row.
RELATED = ("instrument", "book", "portfolio", "account", "created_by")


def order_row(order: Order) -> dict[str, Any]:
    """The order as plain values: numbers as strings, enums in lower case, times in UTC. Needs `RELATED` at hand to cost no query."""
    slippage = slippage_bps(side=Side(order.side), average_price=order.average_price, arrival_price=order.reference_price)
    return {
        "id": order.pk,
        "client_order_id": str(order.client_order_id),
        "portfolio_id": order.portfolio_id,
        "portfolio": order.portfolio.name,
        "book": order.book.name,
        "symbol": order.instrument.symbol,
        "side": str(order.side),
        "quantity": trimmed(order.quantity),
        "cumulative_quantity": trimmed(order.cumulative_quantity),
        "leaves_quantity": trimmed(order.leaves_quantity),
        "order_type": str(order.order_type),
        "time_in_force": str(order.time_in_force),
        "limit_price": trimmed(order.limit_price),
        "stop_price": trimmed(order.stop_price),
        "trail_offset": trimmed(order.trail_offset),
        "working_stop": trimmed(order.working_stop),
        "expire_at": plain(order.expire_at),
        "stop_triggered": order.stop_triggered,
        "average_price": trimmed(order.average_price),
        "reference_price": trimmed(order.reference_price),
        "slippage_bps": None if slippage is None else str(slippage),
        "status": str(order.status),
        "reason": order.reason,
        "strategy": order.strategy,
        "note": order.note,
        "lots": [{"lot": lot, "quantity": part} for lot, part in order.lots or ()],
        "algo_id": order.algo_id,
        "slice": order.slice,
        "venue": order.venue,
        "group_id": order.group_id,
        "group_role": order.group_role,
        "created_by": order.created_by.get_username(),
        "account": order.account.number,
        "mode": str(order.account.mode),
        "market_time": plain(order.market_time),
        "created_at": plain(order.created_at),
        "updated_at": plain(order.updated_at),
    }


def fill_row(fill: Fill) -> dict[str, Any]:
    """The fill as plain values, in the same manner. Needs `order` with its instrument, book and portfolio at hand."""
    order = fill.order
    return {
        "id": fill.pk,
        "order_id": order.pk,
        "execution_id": fill.execution_id,
        "broker": fill.broker,
        "portfolio_id": order.portfolio_id,
        "portfolio": order.portfolio.name,
        "book": order.book.name,
        "symbol": order.instrument.symbol,
        "side": str(order.side),
        "quantity": trimmed(fill.quantity),
        "price": trimmed(fill.price),
        "fee": trimmed(fill.fee),
        "strategy": order.strategy,
        "quote": fill.quote,
        "explanation": fill_explanation(
            side=Side(order.side),
            order_type=OrderType(order.order_type),
            price=fill.price,
            fee=fill.fee,
            quote=fill.quote,
            limit_price=order.limit_price,
            stop_price=order.stop_price,
            working_stop=order.working_stop,
            arrival_price=order.reference_price,
        ),
        "market_time": plain(fill.market_time),
        "executed_at": plain(fill.executed_at),
        "recorded_at": plain(fill.recorded_at),
    }
