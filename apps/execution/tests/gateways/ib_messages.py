"""The TWS protocol, server version 176, from the gateway's side: what a client's messages say, and messages to a client as lists of fields."""

import struct
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

SERVER_VERSION = 176
#: Message ids of a client's requests.
PLACE_ORDER, CANCEL_ORDER, OPEN_ORDERS, EXECUTIONS, ALL_OPEN_ORDERS, TIME = "3", "4", "5", "7", "16", "49"
POSITIONS, SUMMARY, CANCEL_SUMMARY, CANCEL_POSITIONS, START, COMPLETED = "61", "62", "63", "64", "71", "99"
NOTHING = ""


def packed(fields: list[Any]) -> bytes:
    """One message: its length, and its fields, each ended by a zero byte."""
    body = "".join(f"{one}\0" for one in fields).encode()
    return struct.pack(">I", len(body)) + body


@dataclass
class GatewayOrder:
    """An order in the gateway's book. Prices are text as the client sent them; `changes` counts accepted modifications."""

    reference: str
    order_id: int
    client_id: int
    perm_id: int
    account: str
    symbol: str
    currency: str
    action: str
    quantity: Decimal
    kind: str
    limit: str
    aux: str
    tif: str
    good_till: str
    status: str = "PendingSubmit"
    why: str = ""
    changes: int = 0
    completed: str = "20240702 16:00:00 UTC"
    executions: list["GatewayExecution"] = field(default_factory=list)

    @property
    def filled(self) -> Decimal:
        return sum((one.shares for one in self.executions), Decimal(0))

    @property
    def left(self) -> Decimal:
        return self.quantity - self.filled

    @property
    def sign(self) -> int:
        return 1 if self.action == "BUY" else -1

    @property
    def works(self) -> bool:
        return self.status in ("PendingSubmit", "PreSubmitted", "Submitted", "PendingCancel")


@dataclass
class GatewayExecution:
    execution_id: str
    order: GatewayOrder
    shares: Decimal
    price: Decimal
    commission: Decimal
    time: str


def order_from(fields: list[str], *, client_id: int, perm_id: int) -> GatewayOrder:
    """The order of a placeOrder message."""
    return GatewayOrder(
        reference=fields[26],
        order_id=int(fields[1]),
        client_id=client_id,
        perm_id=perm_id,
        account=fields[23],
        symbol=fields[3],
        currency=fields[11],
        action=fields[16],
        quantity=Decimal(fields[17]),
        kind=fields[18],
        limit=fields[19],
        aux=fields[20],
        tif=fields[21],
        good_till=fields[38],
    )


def _contract(order: GatewayOrder) -> list[Any]:
    """conId to tradingClass without the primary exchange."""
    return [265598, order.symbol, "STK", "", 0, "", "", "SMART", order.currency, order.symbol, "NMS"]


def open_order(order: GatewayOrder, *, trail_stop: str = "") -> list[Any]:
    """openOrder with every field that version 176 has."""
    head = [5, order.order_id, *_contract(order), order.action, order.quantity, order.kind, order.limit or 0.0, order.aux or 0.0, order.tif]
    owner = ["", order.account, "", 0, order.reference, order.client_id, order.perm_id]
    flags = [0, 0, 0, "", "", "", "", "", "", "", order.good_till, "", "", "", 0, "", -1, 0, "", "", "", "", "", "", 0, 0, 0, "", 3, 0, 0, "", 0, 0]
    volatility = ["", 0, "None", "", 0, "", "", "", "?", 0, 0, ""]  # TWS says "None" of every order, and eight fields follow
    tail = [0, "", trail_stop, "", "", "", "", 0, 0, 0, "", "", "", "", 0, "", "IB", 0, 0, "", 0, 0]
    return [*head, *owner, *flags, *volatility, *tail, *_order_state(order), 0, 0, 0, *_adjusted(trail_stop), *_newest()]


def _order_state(order: GatewayOrder) -> list[Any]:
    margins = ["1.7976931348623157E308"] * 9
    return [order.status, *margins, "", "", "", "", order.why]


def _adjusted(trail_stop: str) -> list[Any]:
    unset = "1.7976931348623157E308"
    return ["None", unset, trail_stop or unset, unset, unset, unset, unset, 0, "", "", "", "", 0, 0, 0, 0]


def _newest() -> list[Any]:
    return ["", "", 0, "", "", "", "", ""]


def completed_order(order: GatewayOrder) -> list[Any]:
    """completedOrder with every field that version 176 has."""
    head = [101, *_contract(order), order.action, order.quantity, order.kind, order.limit or 0.0, order.aux or 0.0, order.tif]
    owner = ["", order.account, "", 0, order.reference, order.perm_id]
    flags = [0, 0, 0, "", "", "", "", "", "", order.good_till, "", "", "", 0, "", -1, "", "", "", "", "", 0, 0, 0, "", 3, 0]
    volatility = ["", 0, "", "", 0, "", "", "", "", 0, 0, 0]
    scale = ["", "", "", "", "", "IB", 0, 0, ""]
    state = [0, order.status, 0, 0, 0]
    unset = "1.7976931348623157E308"
    end = [unset, unset, "", 0, 0, "", order.filled, 0, 0, "", 0, 0, 0, order.completed, order.why]
    return [*head, *owner, *flags, *volatility, *scale, *state, *end, "", "", "", "", ""]


def order_status(order: GatewayOrder) -> list[Any]:
    average = sum((one.shares * one.price for one in order.executions), Decimal(0)) / order.filled if order.filled else 0
    last = order.executions[-1].price if order.executions else 0
    return [3, order.order_id, order.status, order.filled, order.left, average, order.perm_id, 0, last, order.client_id, "", 0]


def execution_details(request: int, one: GatewayExecution) -> list[Any]:
    order = one.order
    side = "BOT" if order.sign > 0 else "SLD"
    head = [11, request, order.order_id, *_contract(order), one.execution_id, one.time, order.account, "NASDAQ", side, one.shares, one.price]
    return [*head, order.perm_id, order.client_id, 0, order.filled, one.price, order.reference, "", "", "", 1]


def commission_report(one: GatewayExecution) -> list[Any]:
    return [59, 1, one.execution_id, one.commission, one.order.currency, "1.7976931348623157E308", "1.7976931348623157E308", ""]


def error(order_id: int, code: int, text: str) -> list[Any]:
    return [4, 2, order_id, code, text, ""]
