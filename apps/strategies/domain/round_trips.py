"""Fills of a run, and the round trips that they make: first in, first out."""

from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from apps.core.trading import Side

DAY_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFill:
    """One fill: `bar` is its row in the panel, `time` that bar's start, `fee` in money. `closing` marks the sale at the end of the run."""

    bar: int
    time: datetime
    symbol: str
    side: Side
    quantity: float
    price: float
    fee: float
    closing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundTrip:
    """Shares bought and sold again, or sold short and bought back: then `quantity` is negative. `pnl` is in money after fees, `return_`
    pnl / (entry price x shares), `holding_period` in days.

    `exit_reason` is "signal", or "end" for what was still open when the run ended.
    """

    symbol: str
    entry_time: datetime
    exit_time: datetime
    entry_price: float
    exit_price: float
    quantity: float
    pnl: float
    return_: float
    holding_period: float
    exit_reason: str

    def as_dict(self) -> dict[str, Any]:
        """JSON form, under the names of the first design."""
        names = ("symbol", "entry_price", "exit_price", "quantity", "pnl", "holding_period", "exit_reason")
        times = {"entry_time": self.entry_time.isoformat(), "exit_time": self.exit_time.isoformat()}
        return {**times, **{name: getattr(self, name) for name in names}, "return": self.return_}


def round_trips(fills: Iterable[EngineFill]) -> tuple[RoundTrip, ...]:
    """Match each fill with the oldest open fills of its symbol on the other side; what is then left of it opens a position, long or short."""
    open_lots: dict[str, deque[tuple[EngineFill, float]]] = defaultdict(deque)
    trips = []
    for fill in fills:
        lots, left = open_lots[fill.symbol], fill.quantity
        while left > 0 and lots and lots[0][0].side is not fill.side:
            entry, held = lots.popleft()
            taken = min(held, left)
            trips.append(_trip(entry, fill, taken))
            left -= taken
            if held > taken:
                lots.appendleft((entry, held - taken))
        if left > 0:
            lots.append((fill, left))
    return tuple(trips)


def _trip(entry: EngineFill, leaving: EngineFill, quantity: float) -> RoundTrip:
    fees = entry.fee * quantity / entry.quantity + leaving.fee * quantity / leaving.quantity
    signed = quantity * entry.side.sign
    pnl = (leaving.price - entry.price) * signed - fees
    return RoundTrip(
        symbol=entry.symbol,
        entry_time=entry.time,
        exit_time=leaving.time,
        entry_price=entry.price,
        exit_price=leaving.price,
        quantity=signed,
        pnl=pnl,
        return_=pnl / (entry.price * quantity),
        holding_period=(leaving.time - entry.time).total_seconds() / DAY_SECONDS,
        exit_reason="end" if leaving.closing else "signal",
    )
