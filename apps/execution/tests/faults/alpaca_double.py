"""Alpaca without a socket, for thousands of runs: the book of the tests' Alpaca, which outlives every line to it.

The line is where the desk's own `AlpacaLine` stands. What is asked gets lost before or after it was done, and an order may be under way long
after it was given up. The process may die on either side of each request.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from threading import RLock
from typing import Any

from apps.core.money import ZERO
from apps.execution.brokers.alpaca_line import AlpacaLine, AlpacaSettings, Refused
from apps.execution.brokers.alpaca_updates import AlpacaUpdates
from apps.execution.brokers.alpaca_words import reference_of
from apps.execution.brokers.protocol import BrokerTimeout, BrokerUnreachable, Execution
from apps.execution.tests.gateways.alpaca import ENDED, KEY, NOON, SECRET, AlpacaGateway, Resting

SETTINGS = AlpacaSettings(key=KEY, secret=SECRET, url="http://venue")

Around = Callable[[str, Callable[[], Any]], Any]


@dataclass(frozen=True, slots=True)
class OrderAtAlpaca:
    """An order and what has taken its place, oldest first, with what has traded of it, as the venue's orders name it."""

    chain: list[Resting]
    executions: list[Execution]

    @property
    def order(self) -> "OrderAtAlpaca":
        return self

    @property
    def quantity(self) -> Decimal:
        return sum((one.filled_qty for one in self.chain[:-1]), ZERO) + self.chain[-1].qty

    @property
    def limit_price(self) -> Decimal | None:
        price = self.chain[-1].limit_price
        return None if price is None else Decimal(price)

    @property
    def left(self) -> Decimal:
        return self.chain[-1].qty - self.chain[-1].filled_qty

    @property
    def works(self) -> bool:
        return self.chain[-1].status not in ENDED


@dataclass
class AlpacaVenue(AlpacaGateway):
    """The book, the market, and at most one stream that hears of them. `posted` are the references that were sent as new orders."""

    posted: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lock = RLock()
        self._waiting = []
        self.updates: VenueUpdates | None = None

    def move(self, price: Decimal) -> None:
        self.price("AAPL", f"{price}")

    def expire(self, reference: str) -> None:
        """The order's time is over, if Alpaca has it and it works."""
        known = self.book.get(reference)
        if known is not None and known.works:
            self.end(reference, "expired")

    @property
    def book(self) -> dict[str, OrderAtAlpaca]:
        chains: dict[str, list[Resting]] = {}
        for order in self.orders:
            chains.setdefault(reference_of(order.client_order_id), []).append(order)
        return {reference: OrderAtAlpaca(chain, self._executions({one.id for one in chain})) for reference, chain in chains.items()}

    @property
    def duplicates(self) -> dict[str, int]:
        return {reference: n for reference, n in Counter(self.posted).items() if n > 1}

    def position(self) -> Decimal:
        return self.positions().get("AAPL", ZERO)

    def spent(self) -> Decimal:
        return self.cash - self.cash_now()

    def _executions(self, ids: set[str]) -> list[Execution]:
        return [
            Execution(execution_id=one["id"], quantity=Decimal(one["qty"]), price=Decimal(one["price"]), fee=ZERO, market_time=NOON)
            for one in self.fills
            if one["order_id"] in ids
        ]

    def _say(self, message: dict[str, Any]) -> None:
        if self.updates is not None and self.updates.connected:
            self.updates.changed.add(reference_of(message["data"]["order"]["client_order_id"]))


class VenueUpdates(AlpacaUpdates):
    """The stream, without a thread. `cut` breaks it or opens it anew."""

    def __init__(self, venue: AlpacaVenue) -> None:
        self.opened, self.connected = 1, True
        self.changed: set[str] = set()
        venue.updates = self

    def take(self) -> set[str]:
        taken, self.changed = self.changed, set()
        return taken

    def cut(self) -> None:
        self.connected = not self.connected
        self.opened += self.connected


class VenueLine(AlpacaLine):
    """`trouble` is asked at each request: "" (answer), "away" (not reached), "lost" (not done, and nobody knows), "silent" (done, and nobody
    knows), "late" (an order that arrives later, and nobody knows)."""

    def __init__(self, venue: AlpacaVenue, *, around: Around, trouble: Callable[[], str]) -> None:
        self.settings = SETTINGS
        self._venue, self._around, self._trouble = venue, around, trouble

    def ask(self, method: str, path: str, data: Mapping[str, Any] | None = None) -> Any:
        return self._around(f"{method} {path[:20]}", lambda: self._answer(method, path, dict(data or {})))

    def close(self) -> None:
        """Nothing."""

    def _answer(self, method: str, path: str, data: dict[str, Any]) -> Any:
        trouble = self._trouble()
        if trouble == "away":
            raise BrokerUnreachable("nobody listens")
        if method == "POST":
            self._venue.posted.append(data["client_order_id"])
        if trouble in ("lost", "late"):
            self._venue.under_way += [data] if (trouble, method) == ("late", "POST") else []
            raise BrokerTimeout(f"no answer to {method}")
        query = {name: str(value) for name, value in data.items()} if method == "GET" else {}
        status, told = self._venue._answer(method, path, query, data)
        if trouble == "silent":
            raise BrokerTimeout(f"no answer to {method}")
        if status >= 400:
            raise Refused(status, told["message"])
        return json.loads(json.dumps(told), parse_float=Decimal)
