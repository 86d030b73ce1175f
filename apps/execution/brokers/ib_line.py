"""The one line to a gateway of Interactive Brokers: TWS messages in and out, on a thread with an event loop of its own.

The thread is there because the library takes the event loop of the thread that imports and uses it, and because nobody else's loop
may be running there. Callers stay synchronous: each method hands its work to the thread and waits for it.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeVar

from apps.execution.brokers.ib_book import IbBook, IbExecution
from apps.execution.brokers.ib_words import Meaning, meaning_of
from apps.execution.brokers.protocol import BrokerTimeout, BrokerUnreachable

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

#: All clients' orders, and not only those of the API, have ended today.
_ALL_COMPLETED = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """Where the gateway listens, and who we are there. `timeout_seconds` bounds connecting and each answer."""

    host: str
    port: int
    client_id: int
    timeout_seconds: float = 10.0

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class IbLine:
    """A connection, and the book that its messages fill. The book outlives a connection that breaks.

    `accounts` are those that the gateway manages; `online` is False while the gateway has lost Interactive Brokers (1100).
    """

    def __init__(self, settings: GatewaySettings) -> None:
        self.settings = settings
        self.book = IbBook()
        self.accounts: tuple[str, ...] = ()
        self.online = False
        self.data_lost = False
        self.positions: dict[str, dict[str, Decimal]] = {}
        self.cash: dict[str, dict[str, dict[str, Decimal]]] = {}
        self._client: Any = None
        self._ends: dict[str, int] = {}
        self._requests = 0
        self._loop = asyncio.new_event_loop()
        self._arrived = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name=f"ib {settings}", daemon=True)
        self._thread.start()

    # For everybody.

    @property
    def ready(self) -> bool:
        """Orders can be sent."""
        return bool(self._client is not None and self._client.isReady() and self.online)

    @property
    def connected(self) -> bool:
        return bool(self._client is not None and self._client.isReady())

    def connect(self) -> None:
        """Open the line. Raises BrokerUnreachable (nobody listens, the client id is taken, no answer)."""
        try:
            self._call(self._connect())
        except (OSError, TimeoutError) as error:
            reason = str(error) or type(error).__name__
            raise BrokerUnreachable(f"the gateway {self.settings} cannot be reached: {reason}") from error

    def disconnect(self) -> None:
        """Close the line; it may be opened again."""
        self._call(self._disconnect())

    def close(self) -> None:
        """Close the line and end its thread."""
        if self._thread.is_alive():
            self.disconnect()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def ask(self, question: Callable[[IbBook], Result]) -> Result:
        """The answer of a function of the book, which no message changes meanwhile."""

        async def answer() -> Result:
            return question(self.book)

        return self._call(answer())

    def execution(self, base: str) -> IbExecution | None:
        """An execution, with its corrections, by the part of its id that they share."""
        return self.ask(lambda book: book.executions.get(base))

    def wait(self, seconds: float, *, until: Callable[[IbBook], bool] = lambda book: book.has_changed, fd: int | None = None) -> bool:
        """Wait until the book says so, or `fd` can be read, or the line breaks, or the time is over; returns whether the book says so."""
        return self._call(self._wait(seconds, until, fd))

    def place(self, *, reference: str, contract: dict[str, str], values: dict[str, Any], order_id: int = 0) -> int:
        """Send an order, or under a known id the changed one. Returns its id. Raises BrokerUnreachable when nothing was sent."""
        return self._call(self._place(reference, contract, values, order_id))

    def next_id(self) -> int:
        """An order id that nobody has used. Raises BrokerUnreachable."""
        return self._call(self._next_id())

    def never_below(self, order_id: int) -> None:
        """Ids up to here are used: by this desk in an earlier life of the gateway."""
        self._call(self._never_below(order_id))

    def cancel(self, *, reference: str, order_id: int) -> None:
        """Ask for an order's cancel. Raises BrokerUnreachable when nothing was sent."""
        self._call(self._cancel(reference, order_id))

    def refresh(self) -> None:
        """Ask for all working and completed orders and all executions of today. Raises BrokerTimeout, BrokerUnreachable."""
        self._call(self._refresh())

    def balances(self) -> None:
        """Ask for positions and cash of all accounts. Raises BrokerTimeout, BrokerUnreachable."""
        self._call(self._balances())

    def heartbeat(self) -> None:
        """Ask for the time. Raises BrokerTimeout when the line is silent."""
        self._call(self._request("time", lambda client: client.reqCurrentTime()))

    # In the thread.

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            asyncio.set_event_loop(None)

    def _call(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _connect(self) -> None:
        from apps.execution.brokers.ib_api import Client
        from apps.execution.brokers.ib_messages import Messages

        await self._disconnect()
        self.accounts, self.online = (), False
        self._client = Client(Messages(self))
        settings = self.settings
        await self._client.connectAsync(settings.host, settings.port, settings.client_id, settings.timeout_seconds)
        self.accounts, self.online = tuple(self._client.getAccounts()), True

    async def _disconnect(self) -> None:
        if self._client is not None:
            with suppress(OSError):
                self._client.disconnect()
            self._client = None
        self.online = False

    async def _wait(self, seconds: float, until: Callable[[IbBook], bool], fd: int | None) -> bool:
        readable = asyncio.Event()

        def stop() -> None:
            readable.set()
            self._arrived.set()

        if fd is not None:
            self._loop.add_reader(fd, stop)
        try:
            await self._until(lambda: until(self.book) or readable.is_set(), seconds)
            return until(self.book)
        finally:
            if fd is not None:
                self._loop.remove_reader(fd)

    async def _until(self, done: Callable[[], bool], seconds: float) -> bool:
        """False when the time is over, or when the line breaks first."""
        deadline, client = self._loop.time() + seconds, self._client
        while not done():
            left = deadline - self._loop.time()
            if left <= 0 or (client is not None and not client.isReady()):
                return False
            self._arrived.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._arrived.wait(), left)
        return True

    def _sending(self) -> Any:
        if not self.connected:
            raise BrokerUnreachable(f"there is no line to the gateway {self.settings}")
        if not self.online:
            raise BrokerUnreachable(f"the gateway {self.settings} has lost Interactive Brokers")
        return self._client

    async def _next_id(self) -> int:
        return int(self._sending().getReqId())

    async def _never_below(self, order_id: int) -> None:
        if self._client is not None:
            self._client.updateReqId(order_id + 1)

    async def _place(self, reference: str, contract: dict[str, str], values: dict[str, Any], order_id: int) -> int:
        from apps.execution.brokers.ib_api import Order, Stock

        client = self._sending()
        order_id = order_id or int(client.getReqId())
        self.book.sent(reference=reference, order_id=order_id, client_id=self.settings.client_id, account=values["account"])
        client.placeOrder(order_id, Stock(**contract), Order(orderRef=reference, clientId=self.settings.client_id, orderId=order_id, **values))
        return order_id

    async def _cancel(self, reference: str, order_id: int) -> None:
        client = self._sending()
        self.book.sent(reference=reference, order_id=order_id, client_id=self.settings.client_id).cancel_refusal = ""
        client.cancelOrder(order_id)

    async def _refresh(self) -> None:
        from apps.execution.brokers.ib_api import ExecutionFilter

        self.book.forget_open()
        await self._request("open orders", lambda client: client.reqAllOpenOrders())
        await self._request("completed orders", lambda client: client.reqCompletedOrders(_ALL_COMPLETED))
        await self._request("executions", lambda client: client.reqExecutions(client.getReqId(), ExecutionFilter()))

    async def _balances(self) -> None:
        self.positions, self.cash = {}, {}
        await self._request("positions", lambda client: client.reqPositions())
        number_of_request = self._client.getReqId()
        await self._request("account summary", lambda client: client.reqAccountSummary(number_of_request, "All", "SettledCash,$LEDGER:ALL"))
        self._client.cancelPositions()
        self._client.cancelAccountSummary(number_of_request)

    async def _request(self, what: str, send: Callable[[Any], None]) -> None:
        """Send a request and wait for the end of its answer."""
        client = self._client
        if client is None or not client.isReady():
            raise BrokerUnreachable(f"there is no line to the gateway {self.settings}")
        ends = self._ends.get(what, 0)
        send(client)
        if not await self._until(lambda: self._ends.get(what, 0) > ends, self.settings.timeout_seconds):
            raise BrokerTimeout(f"the gateway {self.settings} did not answer the request for {what}")

    def end(self, what: str) -> None:
        """The answer to a request is complete."""
        self._ends[what] = self._ends.get(what, 0) + 1
        self._arrived.set()

    def arrived(self) -> None:
        self._arrived.set()

    def now(self) -> float:
        """Seconds on a clock that only goes forward."""
        return self._loop.time()

    def connectivity(self, code: int, text: str) -> None:
        """What the gateway says of its own line, and of everything that is no order's business."""
        meaning = meaning_of(code)
        if meaning is Meaning.LINE_LOST:
            self.online = False
        elif meaning in (Meaning.RESTORED, Meaning.RESTORED_WITHOUT_DATA):
            self.online = True
            self.data_lost = True  # whatever was said meanwhile may be lost: asking again costs three messages
        elif meaning in (Meaning.RESET, Meaning.CLIENT_ID_TAKEN) and self._client is not None:
            self._loop.call_soon(self._client.disconnect)
        level = logging.INFO if meaning is Meaning.NOTE else logging.WARNING
        logger.log(level, "gateway %s: %s: %s", self.settings, code, text)
