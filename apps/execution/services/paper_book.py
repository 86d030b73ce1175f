"""The paper broker's books of an account: what it has said, event by event, and what people and companies have moved since.

The broker keeps nothing in memory. Every report it made is an append-only event with its numbers, and here they are added up anew,
without a look at the order's row, at the fills or at positions and balances: those are the desk's. The one thing that it takes from the
desk is the exchange rate at which a fee was booked, since the broker makes none.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db import connection

from apps.core.clock import now
from apps.core.money import ZERO, money
from apps.core.trading import Side
from apps.execution.brokers.protocol import BrokerFill, BrokerOpenOrder, BrokerStatement, Execution
from apps.execution.domain.states import OrderStatus
from apps.execution.models import BrokerageAccount
from apps.portfolios.selectors.cash import moves_besides

#: Where an event leaves an order that works at the broker.
AT_WORK = (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED, OrderStatus.PENDING_CANCEL, OrderStatus.PENDING_REPLACE)

_TRADES = """
select o.id, i.symbol, o.side, e.data->>'execution_id', (e.data->>'quantity')::numeric, (e.data->>'price')::numeric, (e.data->>'fee')::numeric,
    e.recorded_at, i.currency, l.fx_rate
from execution_orderevent e join execution_order o on o.id = e.order_id join marketdata_instrument i on i.id = o.instrument_id
left join portfolios_ledgerentry l on l.source = 'fill' and l.source_ref = 'paper:' || (e.data->>'execution_id')
where o.account_id = %s and e.kind = 'trade' order by e.id
"""
_WORKING = """
select o.id, i.symbol, o.side, o.quantity, o.limit_price, o.stop_price, o.trail_offset
from execution_order o join marketdata_instrument i on i.id = o.instrument_id
cross join lateral (select to_status from execution_orderevent e where e.order_id = o.id order by e.id desc limit 1) last
where o.account_id = %s and last.to_status = any(%s) order by o.id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trade:
    order_id: int
    symbol: str
    side: Side
    execution: Execution
    currency: str
    rate: Decimal | None

    @property
    def cash(self) -> Decimal:
        """What the trade brought in the instrument's currency. The fee is said in the portfolio's, of which `rate` is the price."""
        done = self.execution
        return -money(done.quantity * done.price) * self.side.sign - (money(done.fee / self.rate) if self.rate else done.fee)


def paper_statement(account: BrokerageAccount, since: datetime) -> BrokerStatement:
    """The account by the paper broker's own words; `since` is wall time, because a replay's market time is of another year."""
    trades = _trades(account.pk)
    besides = moves_besides(account.portfolio_id, source="fill")
    positions, cash, traded = dict(besides.shares), dict(besides.cash), dict[int, Decimal]()
    for trade in trades:
        quantity = trade.execution.quantity
        traded[trade.order_id] = traded.get(trade.order_id, ZERO) + quantity
        positions[trade.symbol] = positions.get(trade.symbol, ZERO) + quantity * trade.side.sign
        cash[trade.currency] = cash.get(trade.currency, ZERO) + trade.cash
    return BrokerStatement(
        as_of=now(),
        open_orders=_working(account.pk, traded),
        fills=tuple(
            BrokerFill(reference=str(trade.order_id), symbol=trade.symbol, side=trade.side, execution=trade.execution)
            for trade in trades
            if trade.execution.market_time >= since
        ),
        positions={symbol: shares for symbol, shares in positions.items() if shares},
        cash=cash,
    )


def _trades(account_id: int) -> list[_Trade]:
    with connection.cursor() as cursor:
        cursor.execute(_TRADES, [account_id])
        rows = cursor.fetchall()
    return [
        _Trade(
            order_id=order_id,
            symbol=symbol,
            side=Side(side),
            execution=Execution(execution_id=execution_id, quantity=quantity, price=price, fee=fee, market_time=recorded_at),
            currency=currency,
            rate=rate,
        )
        for order_id, symbol, side, execution_id, quantity, price, fee, recorded_at, currency, rate in rows
    ]


def _working(account_id: int, traded: dict[int, Decimal]) -> tuple[BrokerOpenOrder, ...]:
    with connection.cursor() as cursor:
        cursor.execute(_WORKING, [account_id, [status.value for status in AT_WORK]])
        rows = cursor.fetchall()
    return tuple(
        BrokerOpenOrder(
            reference=str(order_id),
            broker_order_id=str(order_id),
            symbol=symbol,
            side=Side(side),
            quantity=quantity,
            cumulative=traded.get(order_id, ZERO),
            limit_price=limit_price,
            stop_price=stop_price,
            trail_offset=trail_offset,
        )
        for order_id, symbol, side, quantity, limit_price, stop_price, trail_offset in rows
    )
