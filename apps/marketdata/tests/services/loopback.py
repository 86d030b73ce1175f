"""A vendor on loopback for tests of what stands above the adapters: bars as JSON, page by page, and faults in the order wished for.

The adapters' own contract is tested against servers that speak the vendors' formats (`tests/vendors`).
"""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlencode, urlsplit
from urllib.request import urlopen

import numpy as np

from apps.marketdata.domain.bars import FIELDS, BarSeries
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.domain.vendor import ActionKind, ActionRecord, BarsPage, Offer
from apps.marketdata.providers.protocol import Guard, RateLimited, UnknownVendorSymbol, VendorNonsense, VendorUnavailable

PAGE = timedelta(days=10)


class LoopbackVendor:
    """The server: `closes` by symbol and day; `faults` are (status, body) answered before anything good;
    `requests` are what it was asked. `actions` are (kind, ex-date, value) of every symbol."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.closes: dict[str, dict[date, float]] = {}
        self.faults: list[tuple[int, str]] = []
        self.requests: list[tuple[str, str, str]] = []
        self.actions: list[tuple[str, str, str]] = []
        self.action_faults: list[tuple[int, str]] = []
        self.action_requests: list[tuple[str, str, str]] = []

    def answer_actions(self, query: dict[str, list[str]]) -> tuple[int, str]:
        symbol, start, end = (query[name][0] for name in ("symbol", "start", "end"))
        self.action_requests.append((symbol, start, end))
        if self.action_faults:
            return self.action_faults.pop(0)
        return 200, json.dumps([action for action in self.actions if start <= action[1] <= end])

    def answer(self, query: dict[str, list[str]]) -> tuple[int, str]:
        symbol, start, end = (query[name][0] for name in ("symbol", "start", "end"))
        self.requests.append((symbol, start[:10], end[:10]))
        if self.faults:
            return self.faults.pop(0)
        if symbol not in self.closes:
            return 404, ""
        rows = [
            [day.isoformat(), close, close * 1.01, close * 0.99, close, 1000.0]
            for day, close in sorted(self.closes[symbol].items())
            if start[:19] <= f"{day.isoformat()}T00:00:00" < end[:19]
        ]
        return 200, json.dumps(rows)


@contextmanager
def loopback_vendor() -> Iterator[LoopbackVendor]:
    """A server on a free port of loopback, until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = urlsplit(self.path)
            answer = vendor.answer_actions if asked.path == "/actions" else vendor.answer
            status, body = answer(parse_qs(asked.query))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    vendor = LoopbackVendor(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield vendor
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class LoopbackProvider:
    """The adapter for it. `before_page` is called before each page is handed on."""

    offer = Offer(timeframes=frozenset({Timeframe.DAY}), corporate_actions=True)

    def __init__(self, name: str, vendor: LoopbackVendor, guard: Guard, before_page: Callable[[], None] = lambda: None) -> None:
        self.name, self._vendor, self._guard, self._before_page = name, vendor, guard, before_page

    def fetch_bars(self, symbol: str, timeframe: Timeframe, start: datetime, end: datetime) -> Iterator[BarsPage]:
        while start < end:
            upper = min(start + PAGE, end)
            rows = self._guard.call(lambda start=start, upper=upper: self._get(symbol, start, upper))
            columns = {name: np.array([row[n + 1] for row in rows], float) for n, name in enumerate(FIELDS)}
            ts = np.array([row[0] for row in rows], "datetime64[us]")
            self._before_page()
            yield BarsPage(series=BarSeries(symbol=symbol, ts=ts, **columns), timeframe=timeframe, complete_to=upper)
            start = upper

    def corporate_actions(self, symbol: str, start: date, end: date) -> tuple[ActionRecord, ...]:
        rows = self._guard.call(lambda: self._get(symbol, start, end, "actions"))
        return tuple(
            ActionRecord(symbol=symbol, kind=ActionKind(kind), ex_date=date.fromisoformat(day), value=Decimal(value)) for kind, day, value in rows
        )

    def _get(self, symbol: str, start: date, end: date, what: str = "bars") -> list[list[Any]]:
        query = urlencode({"symbol": symbol, "start": start.isoformat(), "end": end.isoformat()})
        try:
            with urlopen(f"{self._vendor.url}/{what}?{query}", timeout=60) as answer:  # noqa: S310 (loopback)
                return list(json.loads(answer.read()))
        except HTTPError as error:
            error.close()
            raise {404: UnknownVendorSymbol, 429: RateLimited}.get(error.code, VendorUnavailable)(f"HTTP {error.code}") from error
        except ValueError as error:
            raise VendorNonsense(f"no JSON: {error}") from error
