"""A vendor on loopback: a real HTTP server and a real WebSocket server, which can be told to misbehave."""

import json
import socket
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Empty, SimpleQueue
from typing import Any, ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

from websockets.exceptions import ConnectionClosed
from websockets.protocol import State
from websockets.sync.server import Server, ServerConnection, serve

from apps.marketdata.domain.vendor import BarTick, Tick
from apps.marketdata.providers.protocol import VendorSettings
from apps.marketdata.providers.shaping import Row
from apps.marketdata.tests.vendors.market import Market

PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a client asked for; `query` holds the last value of each name."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A status, a body that becomes JSON unless it is text, and headers."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def encoded(self) -> bytes:
        return (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What happens to one request instead of an answer: a status, a body cut in half, silence, or a line that is cut."""

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    kind: str = "status"


def too_many(retry_after: str | None = None) -> Fault:
    """429, with Retry-After as seconds or as a date when given."""
    return Fault(status=429, headers={} if retry_after is None else {"Retry-After": retry_after})


def failing(status: int = 500) -> Fault:
    """A status without an answer."""
    return Fault(status=status)


#: No fault: the request is answered, and the next fault is for the one after it.
FINE = Fault(kind="fine")
#: The first half of the answer, whole by its length: JSON that ends in the middle.
TRUNCATED = Fault(kind="truncated")
#: No answer for as long as the client waits.
SILENT = Fault(kind="silent")
#: The line is cut before an answer.
CUT = Fault(kind="cut")


class VendorServer:
    """Speaks one vendor's format about a market. Subclasses say what is asked where, and how a stream begins.

    `requests` are all requests so far (a stream that was opened is one). `script(...)` queues faults, each for one request for data.
    `distort` changes the rows of every answer with bars, before they are told. `push` sends ticks to whoever is subscribed.
    """

    name: ClassVar[str]
    #: A symbol with days, minutes and corporate actions.
    symbol: ClassVar[str] = "AAPL"
    #: Variables: keys with their values, and those that shall hold the address of the one server and the other.
    keys: ClassVar[Mapping[str, str]] = {}
    data_variables: ClassVar[Sequence[str]] = ()
    stream_variables: ClassVar[Sequence[str]] = ()
    #: What stands after the address in the variables.
    data_suffix: ClassVar[str] = ""

    def __init__(self, market: Market) -> None:
        self.market = market
        self.requests: list[Request] = []
        self.distort: Callable[[list[Row]], list[Row]] | None = None
        self.page_size = 10_000
        self._faults: deque[Fault] = deque()
        self._released = threading.Event()
        self._lock = threading.Lock()
        self._subscribers: list[SimpleQueue[str | bytes | None]] = []
        self._somebody = threading.Condition()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        self._stream: Server = serve(self._attend, "127.0.0.1", 0)
        self._threads = [
            threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True),
            threading.Thread(target=self._stream.serve_forever, daemon=True),
        ]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    @property
    def stream_url(self) -> str:
        return f"ws://127.0.0.1:{self._stream.socket.getsockname()[1]}"

    @property
    def settings(self) -> VendorSettings:
        values = dict(self.keys)
        values |= dict.fromkeys(self.data_variables, self.url + self.data_suffix)
        values |= dict.fromkeys(self.stream_variables, self.stream_url)
        return VendorSettings(values=values, timeout_seconds=PATIENCE_SECONDS)

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._released.set()
        self.disconnect()
        self._stream.shutdown()
        self._http.shutdown()
        self._http.server_close()
        for thread in self._threads:
            thread.join()

    def script(self, *faults: Fault) -> None:
        """Queue faults for the next requests for data."""
        self._faults.extend(faults)

    def rows(self, symbol: str, timeframe: Any, keep: Callable[[Row], bool]) -> list[Row]:
        """The rows that an answer shall hold: those asked for, then distorted."""
        found = [row for row in self.market.rows(symbol, timeframe) if keep(row)]
        return self.distort(found) if self.distort else found

    # what each vendor says

    def is_data(self, path: str) -> bool:
        """Whether faults may hit a path; others are the vendor's own ceremony."""
        return True

    def respond(self, request: Request) -> Answer:
        """The answer to a request."""
        raise NotImplementedError

    def greet(self, connection: ServerConnection) -> bool:
        """Go through the beginning of a stream. False when the client is turned away."""
        raise NotImplementedError

    def frames(self, ticks: Sequence[Tick | BarTick]) -> list[str | bytes]:
        """Ticks as the vendor's messages."""
        raise NotImplementedError

    # streams

    def push(self, *ticks: Tick | BarTick) -> None:
        """Send ticks to all subscribers, waiting for the first one."""
        self.push_raw(*self.frames(ticks))

    def push_raw(self, *frames: str | bytes) -> None:
        """Send messages as they are."""
        self.wait_for_subscriber()
        with self._somebody:
            for queue in self._subscribers:
                for frame in frames:
                    queue.put(frame)

    def wait_for_subscriber(self) -> None:
        with self._somebody:
            if not self._somebody.wait_for(lambda: self._subscribers, PATIENCE_SECONDS):
                raise TimeoutError(f"nobody subscribed to {self.name}")

    def wait_for_nobody(self) -> None:
        with self._somebody:
            if not self._somebody.wait_for(lambda: not self._subscribers, PATIENCE_SECONDS):
                raise TimeoutError(f"somebody is still subscribed to {self.name}")

    def disconnect(self) -> None:
        """Cut all lines, as a broken cable does."""
        with self._somebody:
            for queue in self._subscribers:
                queue.put(None)

    def note(self, request: Request) -> None:
        with self._lock:
            self.requests.append(request)

    def next_fault(self, path: str) -> Fault | None:
        with self._lock:
            return self._faults.popleft() if self._faults and self.is_data(path) else None

    def hold(self) -> None:
        """Until the server is stopped."""
        self._released.wait(PATIENCE_SECONDS)

    def _attend(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        self.note(_request(connection.request.path, dict(connection.request.headers)))
        queue: SimpleQueue[str | bytes | None] = SimpleQueue()
        with suppress(ConnectionClosed, OSError):
            if not self.greet(connection):
                return
            with self._somebody:
                self._subscribers.append(queue)
                self._somebody.notify_all()
            while (frame := _next(queue, connection)) is not None:
                connection.send(frame)
            connection.socket.shutdown(socket.SHUT_RDWR)
        with self._somebody:
            if queue in self._subscribers:
                self._subscribers.remove(queue)
            self._somebody.notify_all()


def _next(queue: "SimpleQueue[str | bytes | None]", connection: ServerConnection) -> str | bytes | None:
    """The next message to send; None to cut the line, or when the client has gone."""
    while connection.protocol.state is State.OPEN:
        with suppress(Empty):
            return queue.get(timeout=0.05)
    return None


def _request(address: str, headers: dict[str, str]) -> Request:
    parts = urlsplit(address)
    query = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
    return Request(path=unquote(parts.path), query=query, headers={name.lower(): value for name, value in headers.items()})


def _handler(server: VendorServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            request = _request(self.path, dict(self.headers.items()))
            server.note(request)
            fault = server.next_fault(request.path)
            if fault is None or fault is FINE:
                self._send(server.respond(request))
            elif fault.kind == "status":
                self._send(Answer(status=fault.status, body={"message": "scripted"}, headers=fault.headers))
            elif fault.kind == "truncated":
                whole = server.respond(request).encoded().decode()
                self._send(Answer(body=whole[: len(whole) // 2]))
            else:
                if fault.kind == "silent":
                    server.hold()
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)

        def _send(self, answer: Answer) -> None:
            body = answer.encoded()
            with suppress(OSError):
                self.send_response(answer.status)
                for name, value in {"Content-Type": "application/json", **answer.headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: the test says what is wrong."""

    return Handler
