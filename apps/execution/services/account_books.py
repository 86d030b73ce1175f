"""The two books of an account as `domain.reconciliation` compares them: the desk's own, and a broker's statement."""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID

from django.db.models import Q

from apps.core.money import ZERO
from apps.core.trading import Side
from apps.execution.brokers.ib import IB
from apps.execution.brokers.paper import PAPER
from apps.execution.brokers.protocol import BrokerStatement, Execution
from apps.execution.domain.reconciliation import AccountBook, BookFill, BookOrder
from apps.execution.domain.states import OrderStatus
from apps.execution.models import BrokerageAccount, Fill, Order
from apps.execution.services.ib_orders import execution_base
from apps.execution.services.routing import broker_reference, reference_of
from apps.marketdata.selectors.market import HOME_CALENDAR
from apps.portfolios.domain.settlement import local_date
from apps.portfolios.selectors.cash import cash_lines
from apps.portfolios.selectors.holdings import holdings

if TYPE_CHECKING:
    from django.db.models import QuerySet

#: Where the desk is sure that the broker works an order. In the other statuses a request is on its way.
CERTAIN = (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED)

#: A fill without its rows around it: a day has thousands. In the order of `_fill`'s parameters.
_OF_FILL = ("execution_id", "order_id", "order__client_order_id", "order__instrument__symbol", "order__side", "quantity", "price")


def desk_book(account: BrokerageAccount, *, statement: BrokerStatement, since: datetime, at: datetime) -> AccountBook:
    """The desk's own picture of the account: four queries and those of the holdings.

    A fill stays as it was told first. Where the statement has a correction of it, the ledger has followed (or positions and cash differ), so
    the fill is taken as corrected.
    """
    working = Order.objects.working().filter(account=account).select_related("instrument", "account").order_by("id")
    of_time = Q(recorded_at__gte=since) if account.broker == PAPER else Q(market_time__gte=since)
    fills = Fill.objects.filter(of_time, order__account=account).order_by("id").values_list(*_OF_FILL)
    positions: dict[str, Decimal] = {}
    for held in holdings(account.portfolio_id).positions:
        positions[held.symbol] = positions.get(held.symbol, ZERO) + held.quantity
    lines = cash_lines(account.portfolio_id, local_date(HOME_CALENDAR, at))
    key = execution_key(account)
    told = {key(one.execution.execution_id): one.execution for one in statement.fills}
    return AccountBook(
        orders=tuple(_order(order) for order in working if order.status != OrderStatus.PENDING_NEW),
        fills=tuple(_fill(*fill, account=account, key=key, told=told) for fill in fills),
        positions={symbol: shares for symbol, shares in positions.items() if shares},
        cash={line.currency: line.traded for line in lines},
        settled_cash={line.currency: line.settled for line in lines},
    )


def broker_book(account: BrokerageAccount, statement: BrokerStatement) -> AccountBook:
    """A broker's statement in the same form."""
    key = execution_key(account)
    return AccountBook(
        orders=tuple(
            BookOrder(
                reference=order.reference,
                broker_id=order.broker_order_id,
                symbol=order.symbol,
                side=order.side,
                quantity=order.quantity,
                cumulative=order.cumulative,
                limit_price=order.limit_price,
                stop_price=order.stop_price,
                trail_offset=order.trail_offset,
            )
            for order in statement.open_orders
        ),
        fills=tuple(
            BookFill(
                execution_id=key(fill.execution.execution_id),
                reference=fill.reference,
                symbol=fill.symbol,
                side=fill.side,
                quantity=fill.execution.quantity,
                price=fill.execution.price,
            )
            for fill in statement.fills
        ),
        positions=statement.positions,
        cash=statement.cash,
        settled_cash=statement.settled_cash,
    )


def references_known(account: BrokerageAccount, statement: BrokerStatement) -> frozenset[str]:
    """Which references that a statement speaks of are orders of the desk in this account, ended ones included."""
    spoken = {order.reference for order in statement.open_orders} | {fill.reference for fill in statement.fills}
    found = _of(account, spoken).values_list("id", "client_order_id")
    return frozenset(reference_of(account, order_id=order_id, client_order_id=own) for order_id, own in found)


def orders_of(account: BrokerageAccount, references: Collection[str]) -> dict[str, Order]:
    """The desk's orders of that name in this account."""
    return {broker_reference(order): order for order in _of(account, references).select_related("instrument", "account").order_by("id")}


def _of(account: BrokerageAccount, references: Collection[str]) -> "QuerySet[Order]":
    if account.broker == PAPER:
        return Order.objects.filter(pk__in=[int(reference) for reference in references if reference.isdecimal()], account=account)
    return Order.objects.filter(client_order_id__in=[reference for reference in references if _is_uuid(reference)], account=account)


def _order(order: Order) -> BookOrder:
    return BookOrder(
        reference=broker_reference(order),
        symbol=order.instrument.symbol,
        side=Side(order.side),
        quantity=order.quantity,
        cumulative=order.cumulative_quantity,
        limit_price=order.limit_price,
        stop_price=order.stop_price,
        trail_offset=order.trail_offset,
        certain=order.status in CERTAIN,
    )


def execution_key(account: BrokerageAccount) -> Callable[[str], str]:
    """What names an execution for ever: at Interactive Brokers a correction has an id of its own, with the same base."""
    return execution_base if account.broker == IB else str


def _fill(
    execution_id: str,
    order_id: int,
    client_order_id: UUID,
    symbol: str,
    side: str,
    quantity: Decimal,
    price: Decimal,
    *,
    account: BrokerageAccount,
    key: Callable[[str], str],
    told: Mapping[str, Execution],
) -> BookFill:
    last = told.get(key(execution_id))
    corrected = last is not None and last.execution_id != execution_id
    return BookFill(
        execution_id=key(execution_id),
        reference=reference_of(account, order_id=order_id, client_order_id=client_order_id),
        symbol=symbol,
        side=Side(side),
        quantity=last.quantity if last is not None and corrected else quantity,
        price=last.price if last is not None and corrected else price,
    )


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
