"""A gateway of Interactive Brokers without a socket, for thousands of runs: a book that outlives every line to it.

The line is the desk's own `IbLine` in everything that the desk sees of it, and fills the desk's own `IbBook`. What is sent gets lost before
or after it was read, and the process may die on either side of it.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from apps.core.money import ZERO
from apps.execution.brokers.ib_book import IbBook
from apps.execution.brokers.ib_line import GatewaySettings, IbLine
from apps.execution.brokers.protocol import BrokerTimeout, BrokerUnreachable, Execution

ACCOUNT = "DU1234567"
FEE = Decimal("1.25")
CAPITAL = Decimal(10_000_000)
MARKET_TIME = datetime(2024, 7, 2, 16, tzinfo=UTC)

Around = Callable[[str, Callable[[], Any]], Any]


@dataclass(slots=True)
class GatewayOrder:
    """An order in the gateway's book. `ended` is its last status, "" while it works."""

    reference: str
    order_id: int
    client_id: int
    perm_id: int
    values: dict[str, Any]
    executions: list[Execution] = field(default_factory=list)
    ended: str = ""

    @property
    def quantity(self) -> Decimal:
        return Decimal(str(self.values["totalQuantity"]))

    @property
    def limit_price(self) -> Decimal | None:
        return Decimal(str(self.values["lmtPrice"])) if "lmtPrice" in self.values else None

    @property
    def order(self) -> "GatewayOrder":
        """What it is for now, as the venue's orders name it."""
        return self

    @property
    def sign(self) -> int:
        return 1 if self.values["action"] == "BUY" else -1

    @property
    def filled(self) -> Decimal:
        return sum((one.quantity for one in self.executions), ZERO)

    @property
    def left(self) -> Decimal:
        return self.quantity - self.filled

    @property
    def works(self) -> bool:
        return not self.ended and self.left > ZERO

    @property
    def status(self) -> str:
        return self.ended or ("Submitted" if self.left else "Filled")


class Gateway:
    """The book, the market, and at most one line that hears of them. `depth` is what one price trades of an order at most."""

    def __init__(self) -> None:
        self.book: dict[str, GatewayOrder] = {}
        self.arrived: list[str] = []
        self.changed: list[str] = []
        self.price = Decimal(100)
        self.depth = Decimal(1000)
        self.line: GatewayLine | None = None

    @property
    def duplicates(self) -> dict[str, int]:
        return {reference: n for reference, n in Counter(self.arrived).items() if n > 1}

    def position(self) -> Decimal:
        return sum((one.quantity * order.sign for order in self.book.values() for one in order.executions), ZERO)

    def spent(self) -> Decimal:
        """Money that went out, fees included."""
        rows = [(order.sign, one) for order in self.book.values() for one in order.executions]
        return sum((sign * one.quantity * one.price + one.fee for sign, one in rows), ZERO)

    def move(self, price: Decimal) -> None:
        self.price = price
        for order in self.book.values():
            self._match(order)

    def expire(self, reference: str) -> None:
        """The order's time is over, if the gateway has it and it works."""
        order = self.book.get(reference)
        if order is not None and order.works:
            order.ended = "Cancelled"
            self._tell_status(order)

    def place(self, *, reference: str, order_id: int, client_id: int, values: dict[str, Any]) -> None:
        known = next((order for order in self.book.values() if (order.client_id, order.order_id) == (client_id, order_id)), None)
        if known is not None:
            self._change(known, values)
            return
        self.arrived.append(reference)
        order = self.book[reference] = GatewayOrder(reference, order_id, client_id, 1_000_000 + len(self.book), dict(values))
        self._tell_order(order)
        self._match(order)
        if order.works and values["tif"] in ("IOC", "FOK"):
            order.ended = "Cancelled"
            self._tell_status(order)

    def cancel(self, *, order_id: int, client_id: int) -> None:
        known = next((order for order in self.book.values() if (order.client_id, order.order_id) == (client_id, order_id)), None)
        if known is None:
            self._error(order_id, client_id, 135, "Can't find order with ID")
        elif not known.works:
            self._error(order_id, client_id, 161, "Cancel attempted when order is not in a cancellable state")
        else:
            known.ended = "Cancelled"
            self._tell_status(known)

    def tell_everything(self, book: IbBook) -> None:
        """Open orders, completed orders and executions of today, as they are asked for."""
        for order in self.book.values():
            if order.works:
                book.open_order(order_id=order.order_id, contract=_contract(), order=_order(order), status=order.status)
                book.order_status(**_status(order))
            else:
                book.completed_order(contract=_contract(), order=_order(order), status=order.status, reason="", time="")
        for order in self.book.values():
            for one in order.executions:
                self._tell_execution(book, order, one)

    def _change(self, order: GatewayOrder, values: dict[str, Any]) -> None:
        self.changed.append(order.reference)
        if not order.works:
            self._error(order.order_id, order.client_id, 104, "Cannot modify a filled order.")
            return
        order.values = {**values, "totalQuantity": float(max(Decimal(str(values["totalQuantity"])), order.filled))}
        self._tell_order(order)
        self._match(order)

    def _match(self, order: GatewayOrder) -> None:
        limit = order.limit_price if order.values["orderType"] == "LMT" else None
        if not order.works or (limit is not None and (self.price - limit) * order.sign > 0):
            return
        number = f"0000e0d5.{order.perm_id:08x}.{len(order.executions) + 1:02x}.01"
        one = Execution(execution_id=number, quantity=min(order.left, self.depth), price=self.price, fee=FEE, market_time=MARKET_TIME)
        order.executions.append(one)
        self._tell_status(order)
        if book := self._heard():
            self._tell_execution(book, order, one)

    def _heard(self) -> IbBook | None:
        """The book of whoever hears what is said now."""
        return self.line.book if self.line is not None and self.line.connected else None

    def _tell_order(self, order: GatewayOrder) -> None:
        if book := self._heard():
            book.open_order(order_id=order.order_id, contract=_contract(), order=_order(order), status=order.status)
            self._tell_status(order)

    def _tell_status(self, order: GatewayOrder) -> None:
        if book := self._heard():
            book.order_status(**_status(order))

    def _tell_execution(self, book: IbBook, order: GatewayOrder, one: Execution) -> None:
        told = SimpleNamespace(
            execId=one.execution_id,
            orderRef=order.reference,
            clientId=order.client_id,
            orderId=order.order_id,
            permId=order.perm_id,
            acctNumber=ACCOUNT,
            side="BOT" if order.sign > 0 else "SLD",
            shares=float(one.quantity),
            price=float(one.price),
            time=one.market_time,
            exchange="SMART",
        )
        book.execution(contract=_contract(), execution=told, now=self.line.now() if self.line else 0.0)
        book.commission(execution_id=one.execution_id, amount=float(one.fee), currency="USD")

    def _error(self, order_id: int, client_id: int, code: int, text: str) -> None:
        if book := self._heard():
            book.error(order_id=order_id, client_id=client_id, code=code, text=text)


class GatewayLine(IbLine):
    """A line to that gateway in the same process: no thread, no socket, and a clock that is given to it."""

    def __init__(self, gateway: Gateway, *, around: Around, trouble: Callable[[], str], now: Callable[[], float]) -> None:
        self.settings = GatewaySettings(host="gateway", port=4002, client_id=17)
        self.book = IbBook()
        self.accounts = ()
        self.online = True
        self.data_lost = False
        self.positions, self.cash = {}, {}
        self._gateway, self._around, self._trouble, self._clock = gateway, around, trouble, now
        self._up, self._next = False, 1
        gateway.line = self

    @property
    def ready(self) -> bool:
        return self._up

    @property
    def connected(self) -> bool:
        return self._up

    def connect(self) -> None:
        if self._trouble() == "away":
            raise BrokerUnreachable("nobody listens")
        self._up, self.accounts = True, (ACCOUNT,)
        used = [order.order_id for order in self._gateway.book.values()]
        self._next = max(used, default=0) + 1

    def disconnect(self) -> None:
        self._up = False

    def close(self) -> None:
        self._up = False

    def ask(self, question: Callable[[IbBook], Any]) -> Any:
        return question(self.book)

    def wait(self, seconds: float, *, until: Any = None, fd: int | None = None) -> bool:
        return False

    def next_id(self) -> int:
        if not self._up:
            raise BrokerUnreachable("there is no line")
        self._next += 1
        return self._next - 1

    def never_below(self, order_id: int) -> None:
        self._next = max(self._next, order_id + 1)

    def place(self, *, reference: str, contract: dict[str, str], values: dict[str, Any], order_id: int = 0) -> int:
        client_id = self.settings.client_id
        self._send(
            "placeOrder",
            lambda: self.book.sent(reference=reference, order_id=order_id, client_id=client_id),
            lambda: self._gateway.place(reference=reference, order_id=order_id, client_id=client_id, values=values),
        )
        return order_id

    def cancel(self, *, reference: str, order_id: int) -> None:
        client_id = self.settings.client_id

        def begin() -> None:
            self.book.sent(reference=reference, order_id=order_id, client_id=client_id).cancel_refusal = ""

        self._send("cancelOrder", begin, lambda: self._gateway.cancel(order_id=order_id, client_id=client_id))

    def refresh(self) -> None:
        def asked() -> None:
            self.book.forget_open()
            if self._trouble() in ("lost", "silent"):
                raise BrokerTimeout("no answer to the request for everything")
            self._gateway.tell_everything(self.book)

        if not self._up:
            raise BrokerUnreachable("there is no line")
        self._around("the answer with everything", asked)

    def balances(self) -> None:
        if not self._up:
            raise BrokerUnreachable("there is no line")
        if self._trouble() in ("lost", "silent"):
            raise BrokerTimeout("no answer to the request for positions and cash")
        self.positions = {ACCOUNT: {"AAPL": self._gateway.position()}}
        self.cash = {ACCOUNT: {"CashBalance": {"USD": CAPITAL - self._gateway.spent()}}}

    def heartbeat(self) -> None:
        if self._trouble() == "lost":
            raise BrokerTimeout("no answer to the request for the time")

    def now(self) -> float:
        return self._clock()

    def _send(self, name: str, begin: Callable[[], object], arrive: Callable[[], None]) -> None:
        """Bytes leave. They get lost with the line ("lost"), or only their answers do ("silent")."""

        def sent() -> None:
            if not self._up:
                raise BrokerUnreachable("there is no line")
            trouble = self._trouble()
            begin()
            self._up = trouble not in ("lost", "silent")
            if trouble != "lost":
                arrive()

        self._around(name, sent)


def _contract() -> SimpleNamespace:
    return SimpleNamespace(symbol="AAPL")


def _order(order: GatewayOrder) -> SimpleNamespace:
    values = order.values
    return SimpleNamespace(
        orderRef=order.reference,
        clientId=order.client_id,
        permId=order.perm_id,
        account=ACCOUNT,
        action=values["action"],
        orderType=values["orderType"],
        totalQuantity=values["totalQuantity"],
        lmtPrice=values.get("lmtPrice"),
        auxPrice=values.get("auxPrice"),
        tif=values["tif"],
        goodTillDate="",
        trailStopPrice=None,
        filledQuantity=float(order.filled),
    )


def _status(order: GatewayOrder) -> dict[str, Any]:
    keys = {"order_id": order.order_id, "client_id": order.client_id, "perm_id": order.perm_id}
    return {**keys, "status": order.status, "filled": float(order.filled)}
