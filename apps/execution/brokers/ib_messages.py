"""Messages of TWS, as the library decodes them, go into the book and to whoever waits for the end of an answer."""

# ruff: noqa: N802 - the library calls these methods by its own names

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from apps.execution.brokers.ib_words import number, symbol_from_ib

if TYPE_CHECKING:
    from apps.execution.brokers.ib_line import IbLine

#: The request id of a message that belongs to no request.
_NONE = -1


class Messages:
    """What the library calls for each message, named as it names them. Nothing else is answered to."""

    #: Executions say their time zone, so that the library needs none from here.
    TimezoneTWS = ""

    def __init__(self, line: "IbLine") -> None:
        self._line, self._book = line, line.book
        self.ib = self

    def connectAck(self) -> None: ...

    def setEventsDone(self) -> None: ...

    def connectionClosed(self) -> None:
        self._line.online = False
        self._line.arrived()

    def tcpDataProcessed(self) -> None:
        self._line.arrived()

    def currentTime(self, _time: int) -> None:
        self._line.end("time")

    def openOrder(self, order_id: int, contract: Any, order: Any, state: Any) -> None:
        self._book.open_order(order_id=order_id, contract=contract, order=order, status=state.status)

    def openOrderEnd(self) -> None:
        self._line.end("open orders")

    def completedOrder(self, contract: Any, order: Any, state: Any) -> None:
        self._book.completed_order(contract=contract, order=order, status=state.status, reason=state.completedStatus, time=state.completedTime)

    def completedOrdersEnd(self) -> None:
        self._line.end("completed orders")

    def orderStatus(self, order_id: int, status: str, filled: float, *rest: Any) -> None:
        _remaining, _average, perm_id, _parent, _last, client_id, *_ = rest
        self._book.order_status(order_id=order_id, client_id=client_id, perm_id=perm_id, status=status, filled=filled)

    def execDetails(self, _request: int, contract: Any, execution: Any) -> None:
        self._book.execution(contract=contract, execution=execution, now=self._line.now())

    def execDetailsEnd(self, _request: int) -> None:
        self._line.end("executions")

    def commissionReport(self, report: Any) -> None:
        self._book.commission(execution_id=report.execId, amount=report.commission, currency=report.currency)

    def position(self, account: str, contract: Any, shares: float, _cost: float) -> None:
        self._line.positions.setdefault(account, {})[symbol_from_ib(contract.symbol)] = number(shares) or Decimal(0)

    def positionEnd(self) -> None:
        self._line.end("positions")

    def accountSummary(self, _request: int, account: str, tag: str, value: str, currency: str) -> None:
        if tag in ("CashBalance", "SettledCash") and currency != "BASE":
            self._line.cash.setdefault(account, {}).setdefault(tag, {})[currency] = number(value) or Decimal(0)

    def accountSummaryEnd(self, _request: int) -> None:
        self._line.end("account summary")

    def error(self, order_id: int, code: int, text: str, _details: str) -> None:
        self._line.connectivity(code, text)
        if order_id != _NONE:
            self._book.error(order_id=order_id, client_id=self._line.settings.client_id, code=code, text=text)
