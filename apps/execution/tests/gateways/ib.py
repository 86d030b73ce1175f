"""A gateway of Interactive Brokers for tests: it speaks the TWS protocol over a socket, trades, and keeps a book of its own.

Whatever goes wrong at the line goes wrong here: it can be dropped before or after an order is read, go silent, repeat, hold back and
reorder messages. The book does not care, and is what the desk's ledger is compared with.

A client hears of the first of what its message leads to before the last is done. So whatever a test reads or sets waits for the message in
hand: nobody sees a half-done happening, and what goes wrong goes wrong from one message on.
"""

import random
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext, suppress
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from apps.execution.tests.gateways import ib_messages as tws
from apps.execution.tests.gateways.ib_messages import GatewayExecution, GatewayOrder

TIME = "20240702 16:00:00 UTC"
HELD_UNTIL_THEIR_PRICE = ("STP", "STP LMT", "TRAIL", "MOC")


class IbGateway:
    """Use as a context manager; `port` is where it listens. All methods may be called from any thread.

    Lines to cross: `lose_line` ("before", "after": around the next placeOrder; "late": it is read by `arrive`), `silent`, `repeat` (each message
    so often), `shuffle` (the messages of one happening in random order, from a seed), `hold` (message ids kept back until `release`).
    """

    def __init__(self, *, accounts: tuple[str, ...] = ("DU1234567",), cash: str = "100000") -> None:
        self._lock = threading.RLock()
        self.accounts = accounts
        self.prices: dict[str, Decimal] = {}
        self.cash = dict.fromkeys(accounts, Decimal(cash))
        self._orders: list[GatewayOrder] = []
        self._executions: list[GatewayExecution] = []
        self._placed: list[str] = []
        self._cancels: list[int] = []
        self._connections = 0
        self.commission = Decimal("1.25")
        self.largest_fill: Decimal | None = None
        self.refusal: tuple[int, str] | None = None
        self.lose_line = ""
        self.under_way: list[GatewayOrder] = []
        self.silent = False
        self.repeat = 1
        self.shuffle: random.Random | None = None
        self.hold: set[int] = set()
        self._held: list[list[Any]] = []
        self._lines: dict[socket.socket, int] = {}
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._closed = False
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __setattr__(self, name: str, value: Any) -> None:
        with self.__dict__.get("_lock", nullcontext()):
            super().__setattr__(name, value)

    def __enter__(self) -> "IbGateway":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed = True
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self.drop()
        self._thread.join()

    # The market and the venue.

    def price(self, symbol: str, price: str) -> None:
        """The market moves; working orders meet it."""
        with self._lock:
            self.prices[symbol] = Decimal(price)
            for order in self._orders:
                if order.works and order.symbol == symbol:
                    self._match(order)

    def fill(self, reference: str, shares: str, price: str) -> None:
        """So many shares of an order trade."""
        with self._lock:
            self._trade(self.order(reference), Decimal(shares), Decimal(price))

    def correct(self, reference: str, price: str, *, shares: str | None = None, commission: str | None = None) -> None:
        """The venue corrects the order's last execution, and says its commission again."""
        with self._lock:
            one = self.order(reference).executions[-1]
            base, _, revision = one.execution_id.rpartition(".")
            one.execution_id, one.price = f"{base}.{int(revision) + 1:02d}", Decimal(price)
            one.shares = one.shares if shares is None else Decimal(shares)
            one.commission = one.commission if commission is None else Decimal(commission)
            self._say([tws.execution_details(-1, one), tws.commission_report(one)])

    def cancel(self, reference: str, why: str = "Cancelled by Trader", *, at: datetime | None = None) -> None:
        """The broker cancels an order unasked, and may tell later that it was at that time."""
        with self._lock:
            order = self.order(reference)
            order.completed = at.astimezone(ZoneInfo("US/Eastern")).strftime("%Y%m%d %H:%M:%S US/Eastern") if at else order.completed
            self._end(order, "Cancelled", why)

    def trail(self, reference: str, stop: str) -> None:
        """The stop of a trailing order has followed the market to here."""
        with self._lock:
            self._say([tws.open_order(self.order(reference), trail_stop=stop)])

    def by_hand(self, symbol: str, shares: str, price: str, *, reference: str = "", account: str = "") -> None:
        """Somebody buys at the gateway itself: an order that no desk sent."""
        with self._lock:
            perm_id, account = 900_000 + len(self._orders), account or self.accounts[0]
            order = GatewayOrder(reference, 0, 0, perm_id, account, symbol, "USD", "BUY", Decimal(shares), "MKT", "", "", "DAY", "")
            self._orders.append(order)
            self._trade(order, Decimal(shares), Decimal(price))

    def arrive(self) -> None:
        """What was under way as the line broke is read now."""
        with self._lock:
            while self.under_way:
                self._take(self.under_way.pop(0))

    def say_error(self, code: int, text: str = "", order_id: int = -1) -> None:
        with self._lock:
            self._say([tws.error(order_id, code, text)])

    def drop(self) -> None:
        """The line breaks."""
        with self._lock:
            for line in list(self._lines):
                self._hang_up(line)

    def release(self) -> None:
        """Send what was held back."""
        with self._lock:
            self.hold, held = set(), self._held
            self._held = []
            self._say(held)

    # The book.

    @property
    def orders(self) -> list[GatewayOrder]:
        with self._lock:
            return list(self._orders)

    @property
    def placed(self) -> list[str]:
        """References of what arrived as a new order, in order."""
        with self._lock:
            return list(self._placed)

    @property
    def cancels(self) -> list[int]:
        """Order ids of the cancels that arrived."""
        with self._lock:
            return list(self._cancels)

    @property
    def connections(self) -> int:
        """How many have been opened."""
        with self._lock:
            return self._connections

    def order(self, reference: str) -> GatewayOrder:
        return next(order for order in self.orders if order.reference == reference)

    @property
    def duplicates(self) -> dict[str, int]:
        """References that arrived as a new order more than once."""
        return {reference: n for reference, n in Counter(self.placed).items() if n > 1}

    def positions(self, account: str) -> dict[str, Decimal]:
        with self._lock:
            held: Counter[str] = Counter()
            for one in self._executions:
                if one.order.account == account:
                    held[one.order.symbol] += one.shares * one.order.sign
            return {symbol: shares for symbol, shares in held.items() if shares}

    def cash_of(self, account: str) -> Decimal:
        with self._lock:
            own = [one for one in self._executions if one.order.account == account]
            return self.cash[account] - sum((one.shares * one.price * one.order.sign + one.commission for one in own), Decimal(0))

    # The line.

    def _accept(self) -> None:
        threads = []
        while not self._closed:
            try:
                line, _ = self._server.accept()
            except OSError:
                break
            threads.append(threading.Thread(target=self._serve, args=(line,), daemon=True))
            threads[-1].start()
        for thread in threads:
            thread.join(5)

    def _serve(self, line: socket.socket) -> None:
        try:
            if _read(line, 4) != b"API\0":
                return
            _message(line)
            line.sendall(tws.packed([tws.SERVER_VERSION, TIME]))
            while True:
                fields = _message(line)
                with self._lock:
                    self._hear(line, fields)
        except OSError:
            pass
        finally:
            with self._lock:
                self._hang_up(line)

    def _hang_up(self, line: socket.socket) -> None:
        self._lines.pop(line, None)
        with suppress(OSError):
            line.shutdown(socket.SHUT_RDWR)
        line.close()

    def _hear(self, line: socket.socket, fields: list[str]) -> None:
        kind = fields[0]
        if kind == tws.START:
            self._lines[line] = int(fields[2])
            self._connections += 1
            used = [order.order_id for order in self._orders if order.client_id == self._lines[line]]
            self._answer(line, [[15, 1, ",".join(self.accounts)], [9, 1, max(used, default=0) + 1]])
        elif kind == tws.PLACE_ORDER:
            self._hear_order(line, fields)
        elif kind == tws.CANCEL_ORDER:
            self._hear_cancel(line, int(fields[2]))
        else:
            self._answer(line, self._books(kind, fields))

    def _books(self, kind: str, fields: list[str]) -> list[list[Any]]:
        ended = [order for order in self._orders if not order.works and order.status != "Refused"]
        answers: dict[str, Callable[[], list[list[Any]]]] = {
            tws.ALL_OPEN_ORDERS: lambda: [m for o in self._orders if o.works for m in (tws.open_order(o), tws.order_status(o))] + [[53, 1]],
            tws.COMPLETED: lambda: [tws.completed_order(order) for order in ended] + [[102]],
            tws.EXECUTIONS: lambda: self._all_executions(int(fields[2])),
            tws.POSITIONS: self._all_positions,
            tws.SUMMARY: lambda: self._summary(fields[2]),
            tws.TIME: lambda: [[49, 1, 1719936000]],
        }
        return answers[kind]() if kind in answers else []

    def _all_executions(self, request: int) -> list[list[Any]]:
        told = [m for one in self._executions for m in (tws.execution_details(request, one), tws.commission_report(one))]
        return [*told, [55, 1, request]]

    def _all_positions(self) -> list[list[Any]]:
        rows = [(account, *held) for account in self.accounts for held in self.positions(account).items()]
        contract = ["STK", "", 0, "", "", "SMART", "USD"]
        return [*([61, 3, account, 1, symbol, *contract, symbol, "NMS", shares, 100] for account, symbol, shares in rows), [62, 1]]

    def _summary(self, request: str) -> list[list[Any]]:
        rows = []
        for account in self.accounts:
            cash = self.cash_of(account)
            rows += [
                [63, 1, request, account, "SettledCash", cash, "USD"],  # its executions are of years ago
                [63, 1, request, account, "CashBalance", cash, "BASE"],
                [63, 1, request, account, "CashBalance", cash, "USD"],
            ]
        return [*rows, [64, 1, request]]

    def _hear_order(self, line: socket.socket, fields: list[str]) -> None:
        new = tws.order_from(fields, client_id=self._lines[line], perm_id=1_000_000 + len(self._orders))
        how, self.lose_line = self.lose_line, ""
        if how:
            self._hang_up(line)
        if how in ("before", "late"):
            self.under_way += [new] if how == "late" else []
            return
        known = next((order for order in self._orders if (order.client_id, order.order_id) == (new.client_id, new.order_id)), None)
        if known is None:
            self._take(new)
        else:
            self._change(known, new)

    def _take(self, order: GatewayOrder) -> None:
        self._placed.append(order.reference)
        refusal, self.refusal = self.refusal, None
        if order.account not in self.accounts:
            refusal = (321, f"invalid account {order.account}")
        self._orders.append(order)
        if refusal is not None:
            order.status, order.why = "Refused", refusal[1]
            self._say([tws.error(order.order_id, *refusal)])
            return
        order.status = "PreSubmitted"
        self._say([tws.open_order(order), tws.order_status(order)])
        if order.kind not in HELD_UNTIL_THEIR_PRICE:
            order.status = "Submitted"
            self._say([tws.order_status(order)])
        self._match(order)
        if order.works and order.tif in ("IOC", "FOK"):
            self._end(order, "Cancelled", "not all of it could trade at once")

    def _change(self, order: GatewayOrder, new: GatewayOrder) -> None:
        if new.reference != order.reference:
            self._placed.append(new.reference)
            self._say([tws.error(order.order_id, 103, "Duplicate order id")])
        elif not order.works:
            self._say([tws.error(order.order_id, 104, "Cannot modify a filled order.")])
        elif self.refusal is not None:
            refusal, self.refusal = self.refusal, None
            self._say([tws.error(order.order_id, *refusal)])
        else:
            order.quantity, order.limit, order.aux = max(new.quantity, order.filled), new.limit, new.aux
            order.tif, order.good_till = new.tif, new.good_till
            order.changes += 1
            self._say([tws.open_order(order), tws.order_status(order)])
            if order.left:
                self._match(order)
            else:
                order.status = "Filled"
                self._say([tws.order_status(order)])

    def _hear_cancel(self, line: socket.socket, order_id: int) -> None:
        self._cancels.append(order_id)
        known = next((o for o in self._orders if (o.client_id, o.order_id) == (self._lines[line], order_id)), None)
        if known is None:
            self._say([tws.error(order_id, 135, "Can't find order with ID")])
        elif not known.works:
            self._say([tws.error(order_id, 161, f"Cancel attempted when order is not in a cancellable state. Order permId: {known.perm_id}")])
        else:
            self._end(known, "Cancelled", "Cancelled by Trader", code=202)

    def _match(self, order: GatewayOrder) -> None:
        price = self.prices.get(order.symbol)
        if price is None or order.kind in ("TRAIL", "MOC"):
            return
        if order.kind in ("STP", "STP LMT"):
            if (price - Decimal(order.aux)) * order.sign < 0:
                return
            order.status = "Submitted"
            self._say([tws.order_status(order)])
        if order.limit and order.kind in ("LMT", "STP LMT") and (price - Decimal(order.limit)) * order.sign > 0:
            return
        shares = order.left if self.largest_fill is None else min(order.left, self.largest_fill)
        if order.tif == "FOK" and shares < order.left:
            return
        self._trade(order, shares, price)

    def _trade(self, order: GatewayOrder, shares: Decimal, price: Decimal) -> None:
        execution_id = f"0000e0d5.{order.perm_id:08x}.{len(self._executions) + 1:02x}.01"
        one = GatewayExecution(execution_id, order, shares, price, self.commission, TIME)
        order.executions.append(one)
        self._executions.append(one)
        if not order.left:
            order.status = "Filled"
        # TWS sends the status both before and after the execution that it speaks of.
        self._say([tws.order_status(order), tws.execution_details(-1, one), tws.commission_report(one), tws.order_status(order)])

    def _end(self, order: GatewayOrder, status: str, why: str, *, code: int = 0) -> None:
        order.status, order.why = status, why
        said = [tws.error(order.order_id, code, f"Order Canceled - reason:{why}")] if code else []
        self._say([*said, tws.order_status(order)])

    def _say(self, messages: list[list[Any]]) -> None:
        """Tell every client, as badly as the test wants it."""
        for line in list(self._lines):
            self._answer(line, messages)

    def _answer(self, line: socket.socket, messages: list[list[Any]]) -> None:
        if self.silent:
            return
        self._held += [message for message in messages if message[0] in self.hold]
        sent = [message for message in messages if message[0] not in self.hold for _ in range(self.repeat)]
        if self.shuffle is not None and len({message[0] for message in messages} & {3, 11, 59}) > 1:
            self.shuffle.shuffle(sent)
        try:
            line.sendall(b"".join(map(tws.packed, sent)))
        except OSError:
            self._hang_up(line)


def _read(line: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = line.recv(size - len(data))
        if not more:
            raise ConnectionError("the client has gone")
        data += more
    return data


def _message(line: socket.socket) -> list[str]:
    (size,) = struct.unpack(">I", _read(line, 4))
    return _read(line, size).decode().split("\0")[:-1]
