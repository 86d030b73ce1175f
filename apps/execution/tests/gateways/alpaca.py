"""Alpaca on loopback: orders, activities, positions and the account over HTTP, trade updates over a WebSocket, and misbehaviour on demand.

Written from Alpaca's documentation of its trading API. Numbers travel as text, as there. Every request is kept, so that a test can see
what was sent how often.
"""

import json
import socket
import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit
from uuid import NAMESPACE_URL, uuid5

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve

KEY, SECRET = "PKEXECUTIONTESTS", "secret-of-the-loopback-server"
NOON = datetime(2024, 7, 2, 16, tzinfo=UTC)
ENDED = ("filled", "canceled", "expired", "rejected", "replaced")


@dataclass
class Resting:
    """One order as the server keeps it."""

    id: str
    client_order_id: str
    symbol: str
    qty: Decimal
    side: str
    type: str
    time_in_force: str
    limit_price: str | None = None
    stop_price: str | None = None
    trail_price: str | None = None
    status: str = "new"
    filled_qty: Decimal = Decimal(0)
    replaces: str | None = None
    replaced_by: str | None = None
    at: datetime = NOON

    @property
    def sign(self) -> int:
        return 1 if self.side == "buy" else -1

    def told(self) -> dict[str, Any]:
        """The order as Alpaca writes it."""
        texts = ("id", "client_order_id", "symbol", "side", "type", "time_in_force", "limit_price", "stop_price", "trail_price", "status")
        return {
            **{name: getattr(self, name) for name in (*texts, "replaces", "replaced_by")},
            "qty": f"{self.qty:f}",
            "filled_qty": f"{self.filled_qty:f}",
            "created_at": stamp(self.at),
            "submitted_at": stamp(self.at),
            "order_class": "simple",
        }


def stamp(moment: datetime) -> str:
    """Nanoseconds and a Z, as Alpaca writes times."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f") + "123Z"


@dataclass
class AlpacaGateway:
    """`faults` are for the next requests, one each: a status, "cut" (done, but the line breaks before the answer), "silent", "lost" (not done),
    "late" (the line breaks; an order arrives by `arrive`). `depth` is what one price trades of an order at most.

    `held`: what happens is told on the stream only by `release`, in an order that `shuffle` makes; `repeat` says how often. Methods may be
    called from any thread, and wait for the request in hand.
    """

    account: str = "PA3TESTS"
    cash: Decimal = Decimal(100_000)
    depth: Decimal = Decimal(1_000_000)
    prices: dict[str, str] = field(default_factory=dict)
    orders: list[Resting] = field(default_factory=list)
    fills: list[dict[str, Any]] = field(default_factory=list)
    faults: deque[Any] = field(default_factory=deque)
    requests: list[tuple[str, str]] = field(default_factory=list)
    under_way: list[dict[str, Any]] = field(default_factory=list)
    refusal: str = ""
    late_activities: bool = False
    repeat: int = 1
    shuffle: Random | None = None
    held: bool = False
    first_status: str = "new"

    def __enter__(self) -> "AlpacaGateway":
        gateway = self
        self._lock = threading.RLock()
        self._lines: set[ServerConnection] = set()
        self._listened = 0
        self._waiting: list[dict[str, Any]] = []
        self._silence = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            protocol_version: ClassVar[str] = "HTTP/1.1"

            def handle_one(self) -> None:
                gateway._serve(self)

            do_GET = do_POST = do_PATCH = do_DELETE = handle_one  # noqa: N815

            def log_message(self, *_: Any) -> None:
                """Nothing."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._socket: Server = serve(self._stream, "127.0.0.1", 0)
        for server in (self._http, self._socket):
            threading.Thread(target=server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._silence.set()
        self.cut_streams()
        self._socket.shutdown()
        self._http.shutdown()
        self._http.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    @property
    def stream_url(self) -> str:
        return f"ws://127.0.0.1:{self._socket.socket.getsockname()[1]}/stream"

    # What tests do.

    def price(self, symbol: str, price: str) -> None:
        """The market moves: orders that can trade do."""
        with self._lock:
            self.prices[symbol] = price
            for order in list(self.orders):
                self._match(order)

    def order(self, reference: str) -> Resting:
        """The newest order under a reference."""
        with self._lock:
            return [one for one in self.orders if one.client_order_id.partition("/")[0] == reference][-1]

    def fill(self, reference: str, quantity: str, price: str) -> None:
        """A part of an order trades."""
        with self._lock:
            self._trade(self.order(reference), Decimal(quantity), price)

    def end(self, reference: str, status: str) -> None:
        """An order ends without having been asked to."""
        with self._lock:
            order = self.order(reference)
            order.status = status
            self._tell(order, status)

    def arrive(self) -> None:
        """Orders that were under way arrive after all."""
        with self._lock:
            bodies, self.under_way = self.under_way, []
            for body in bodies:
                self._post(body)

    def placed(self, reference: str) -> int:
        """How many orders there are under a reference, changes aside."""
        with self._lock:
            return sum(1 for one in self.orders if one.client_order_id == reference)

    @property
    def listened(self) -> int:
        """How many lines have begun to hear of trades."""
        with self._lock:
            return self._listened

    def stranger(self, symbol: str = "AAPL", quantity: str = "5") -> Resting:
        """Somebody orders by hand."""
        with self._lock:
            return self._place({"symbol": symbol, "qty": quantity, "side": "buy", "type": "limit", "limit_price": "1", "time_in_force": "gtc"})

    def positions(self) -> dict[str, Decimal]:
        """Signed shares by symbol."""
        held: dict[str, Decimal] = {}
        with self._lock:
            for fill in self.fills:
                held[fill["symbol"]] = held.get(fill["symbol"], Decimal(0)) + Decimal(fill["qty"]) * (1 if fill["side"] == "buy" else -1)
        return {symbol: shares for symbol, shares in held.items() if shares}

    def cash_now(self) -> Decimal:
        """Cash after all trades."""
        with self._lock:
            return self.cash - sum((Decimal(f["qty"]) * Decimal(f["price"]) * (1 if f["side"] == "buy" else -1) for f in self.fills), Decimal(0))

    def release(self) -> None:
        """Tell on the stream what was held back."""
        with self._lock:
            waiting, self._waiting, self.held = self._waiting, [], False
            if self.shuffle is not None:
                self.shuffle.shuffle(waiting)
            for message in waiting:
                self._say(message)

    def cut_streams(self) -> None:
        """Every stream breaks."""
        with self._lock:
            for line in self._lines:
                with suppress(OSError):
                    line.socket.shutdown(socket.SHUT_RDWR)

    # The stream.

    def _stream(self, line: ServerConnection) -> None:
        with suppress(ConnectionClosed, OSError):
            given = json.loads(line.recv())["data"]
            known = (given.get("key_id"), given.get("secret_key")) == (KEY, SECRET)
            line.send(
                json.dumps({"stream": "authorization", "data": {"status": "authorized" if known else "unauthorized", "action": "authenticate"}})
            )
            line.recv()
            with self._lock:
                line.send(json.dumps({"stream": "listening", "data": {"streams": ["trade_updates"]}}))
                self._lines.add(line)
                self._listened += 1
            for _ in line:
                continue
        with self._lock:
            self._lines.discard(line)

    def _tell(self, order: Resting, event: str, **more: Any) -> None:
        message = {"stream": "trade_updates", "data": {"event": event, "timestamp": stamp(order.at), "order": order.told(), **more}}
        if self.held:
            self._waiting.append(message)
        else:
            self._say(message)

    def _say(self, message: dict[str, Any]) -> None:
        for line in self._lines:
            for _ in range(self.repeat):
                with suppress(ConnectionClosed, OSError):
                    line.send(json.dumps(message).encode())  # binary frames, as Alpaca sends them

    # HTTP.

    def _serve(self, request: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(request.path)
        body = json.loads(request.rfile.read(int(request.headers.get("Content-Length") or 0)) or b"{}")
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        with self._lock:
            self.requests.append((request.command, parts.path))
            fault = self.faults.popleft() if self.faults else None
            if fault == "silent":
                self._lock.release()
                try:
                    self._silence.wait(60)
                finally:
                    self._lock.acquire()
                request.close_connection = True
                return
            if fault in ("lost", "late"):
                self.under_way += [body] if fault == "late" else []
                request.close_connection = True
                request.connection.close()
                return
            if isinstance(fault, int):
                status, answer = fault, {"code": fault * 100_000, "message": "told to fail"}
            elif (request.headers.get("APCA-API-KEY-ID"), request.headers.get("APCA-API-SECRET-KEY")) != (KEY, SECRET):
                status, answer = 401, {"message": "unauthorized."}
            else:
                status, answer = self._answer(request.command, parts.path.removeprefix("/v2"), query, body)
        if fault == "cut":
            request.close_connection = True
            request.connection.close()
            return
        content = b"" if answer is None else json.dumps(answer).encode()
        request.send_response(status)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)

    def _answer(self, method: str, path: str, query: dict[str, str], body: dict[str, Any]) -> tuple[int, Any]:
        if path == "/account":
            return 200, {"account_number": self.account, "currency": "USD", "cash": f"{self.cash_now():f}", "status": "ACTIVE"}
        if path == "/positions":
            return 200, [
                {"symbol": symbol, "qty": f"{shares:f}", "side": "long" if shares > 0 else "short"} for symbol, shares in self.positions().items()
            ]
        if path == "/account/activities/FILL":
            return 200, self._activities(query)
        if path == "/orders" and method == "POST":
            return self._post(body)
        if path == "/orders":
            until = query.get("until")
            found = sorted((one for one in self.orders if one.status not in ENDED), key=lambda one: one.at, reverse=True)
            return 200, [one.told() for one in found if until is None or stamp(one.at) < until][: int(query["limit"])]
        if path == "/orders:by_client_order_id":
            matching = [one for one in self.orders if one.client_order_id == query["client_order_id"]]
            return (200, matching[0].told()) if matching else (404, {"code": 40410000, "message": "order not found"})
        order = next((one for one in self.orders if f"/orders/{one.id}" == path), None)
        if order is None:
            return 404, {"code": 40410000, "message": "order not found"}
        if method == "DELETE":
            return self._delete(order)
        return self._patch(order, body) if method == "PATCH" else (200, order.told())

    def _post(self, body: dict[str, Any]) -> tuple[int, Any]:
        if self.refusal:
            return 403, {"code": 40310000, "message": self.refusal}
        if any(one.client_order_id == body["client_order_id"] for one in self.orders):
            return 422, {"code": 40010001, "message": "client_order_id must be unique"}
        if not all(isinstance(body.get(name, ""), str) for name in ("qty", "limit_price", "stop_price", "trail_price")):
            return 422, {"code": 42210000, "message": "numbers are sent as text"}
        order = self._place(body)
        told = order.told()  # Alpaca answers before the market does
        self._match(order)
        return 200, told

    def _place(self, body: dict[str, Any]) -> Resting:
        number = len(self.orders)
        fields = {name: body.get(name) for name in ("symbol", "side", "type", "time_in_force", "limit_price", "stop_price", "trail_price")}
        order = Resting(
            id=str(uuid5(NAMESPACE_URL, f"order {number}")),
            client_order_id=body.get("client_order_id") or f"by hand {number}",
            qty=Decimal(body["qty"]),
            at=NOON + timedelta(seconds=number),
            status=self.first_status,
            **fields,
        )
        self.orders.append(order)
        self._tell(order, "new")
        return order

    def _delete(self, order: Resting) -> tuple[int, Any]:
        if order.status in ENDED:
            return 422, {"code": 42210000, "message": f'order is already in "{order.status}" state'}
        order.status = "canceled"
        self._tell(order, "canceled")
        return 204, None

    def _patch(self, order: Resting, body: dict[str, Any]) -> tuple[int, Any]:
        if self.refusal:
            return 403, {"code": 40310000, "message": self.refusal}
        if order.status in ENDED:
            return 422, {"code": 42210000, "message": f'order is already in "{order.status}" state'}
        kept = {name: getattr(order, name) for name in ("symbol", "side", "type", "time_in_force", "limit_price", "stop_price")}
        changed = {name: value for name, value in body.items() if name in ("qty", "limit_price", "stop_price", "time_in_force", "client_order_id")}
        successor = self._place({**kept, "trail_price": body.get("trail", order.trail_price), **changed})
        successor.replaces, order.replaced_by, order.status = order.id, successor.id, "replaced"
        self._tell(order, "replaced")
        told = successor.told()
        self._match(successor)
        return 200, told

    def _activities(self, query: dict[str, str]) -> list[dict[str, Any]]:
        if self.late_activities:
            return []
        after = datetime.fromisoformat(query["after"])
        found = sorted((fill for fill in self.fills if fill["moment"] > after), key=lambda fill: fill["id"])
        token = query.get("page_token", "")
        return [{name: value for name, value in fill.items() if name != "moment"} for fill in found if fill["id"] > token][: int(query["page_size"])]

    def _match(self, order: Resting) -> None:
        """As much as can trade at the symbol's price."""
        price = self.prices.get(order.symbol)
        if price is None or order.status in ENDED or order.type not in ("market", "limit") or order.time_in_force == "cls":
            return
        if order.limit_price is None or (Decimal(order.limit_price) - Decimal(price)) * order.sign >= 0:
            self._trade(order, min(order.qty - order.filled_qty, self.depth), price)
        if order.status not in ENDED and order.time_in_force in ("ioc", "fok"):
            order.status = "canceled"
            self._tell(order, "canceled")

    def _trade(self, order: Resting, quantity: Decimal, price: str) -> None:
        number = len(self.fills)
        at = order.at + timedelta(microseconds=number + 1)
        order.filled_qty += quantity
        order.status = "filled" if order.filled_qty == order.qty else "partially_filled"
        fill = {
            "id": f"{at:%Y%m%d%H%M%S}{number:03d}::{uuid5(NAMESPACE_URL, f'fill {number}')}",
            "activity_type": "FILL",
            "transaction_time": stamp(at),
            "type": "fill" if order.status == "filled" else "partial_fill",
            "price": price,
            "qty": f"{quantity:f}",
            "side": order.side,
            "symbol": order.symbol,
            "order_id": order.id,
            "moment": at,
        }
        self.fills.append(fill)
        self._tell(order, "fill" if order.status == "filled" else "partial_fill", price=price, qty=f"{quantity:f}", execution_id=fill["id"])
