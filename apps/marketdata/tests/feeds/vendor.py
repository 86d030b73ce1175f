"""A vendor of ticks on loopback: a real WebSocket server which speaks Coinbase Exchange's format, and which can be told to misbehave."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from apps.marketdata.domain.vendor import QuoteTick, Tick, TradeTick


class Vendor:
    """Sends each tick to every client that asked for its symbol. `sent` are the ticks that at least one client was sent."""

    def __init__(self) -> None:
        self.connections = 0
        self.sent: list[Tick] = []
        self._clients: dict[ServerConnection, frozenset[str]] = {}
        self._guard = threading.Lock()
        self._numbers = 0

    def symbols(self) -> list[str]:
        """What clients are subscribed to now, each as often as it is."""
        with self._guard:
            return sorted(symbol for wanted in self._clients.values() for symbol in wanted)

    def clients(self) -> int:
        """How many are subscribed to anything now."""
        with self._guard:
            return len(self._clients)

    def trade(self, symbol: str, price: float, *, size: float = 1.0, ts: datetime | None = None, trade_id: str = "") -> TradeTick:
        """One trade, of now and with the next id unless told otherwise."""
        self._numbers += 1
        tick = TradeTick(symbol=symbol, ts=ts or datetime.now(UTC), price=price, size=size, trade_id=trade_id or str(self._numbers))
        self.send(tick)
        return tick

    def quote(self, symbol: str, bid: float, ask: float, *, size: float = 100.0, ts: datetime | None = None) -> QuoteTick:
        """One quote."""
        tick = QuoteTick(symbol=symbol, ts=ts or datetime.now(UTC), bid=bid, bid_size=size, ask=ask, ask_size=2 * size)
        self.send(tick)
        return tick

    def send(self, tick: Tick) -> None:
        """Send a tick to its subscribers."""
        text = json.dumps(_message(tick))
        reached = False
        for client, wanted in self._now():
            if tick.symbol in wanted:
                reached |= self._give(client, text)
        if reached:
            self.sent.append(tick)

    def say(self, text: str) -> None:
        """Send anything to everybody."""
        for client, _ in self._now():
            self._give(client, text)

    def hang_up(self) -> None:
        """Cut every line."""
        for client, _ in self._now():
            client.close()

    def handle(self, client: ServerConnection) -> None:
        """One client's life."""
        self.connections += 1
        try:
            for text in client:
                wanted = frozenset(json.loads(text)["product_ids"])
                with self._guard:
                    self._clients[client] = wanted
        except ConnectionClosed:
            pass
        finally:
            with self._guard:
                self._clients.pop(client, None)

    def _now(self) -> list[tuple[ServerConnection, frozenset[str]]]:
        with self._guard:
            return list(self._clients.items())

    def _give(self, client: ServerConnection, text: str) -> bool:
        try:
            client.send(text)
        except ConnectionClosed:
            return False
        return True


def _message(tick: Tick) -> dict[str, Any]:
    head = {"product_id": tick.symbol, "time": tick.ts.isoformat().replace("+00:00", "Z")}
    if isinstance(tick, TradeTick):
        return {"type": "match", "trade_id": int(tick.trade_id), "size": repr(tick.size), "price": repr(tick.price), "side": "sell", **head}
    sides = {"best_bid": tick.bid, "best_bid_size": tick.bid_size, "best_ask": tick.ask, "best_ask_size": tick.ask_size}
    return {"type": "ticker", "price": repr(tick.bid), **{name: repr(value) for name, value in sides.items()}, **head}


@contextmanager
def vendor_running() -> Iterator[tuple[Vendor, str]]:
    """A vendor, and its address."""
    vendor = Vendor()
    with serve(vendor.handle, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield vendor, f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        finally:
            server.shutdown()
            vendor.hang_up()
            thread.join(timeout=10)
