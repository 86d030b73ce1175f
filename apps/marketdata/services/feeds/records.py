"""What a feed spools: ticks and faults as rows of plain values, and back. Times are microseconds since 1970 UTC.

["q", instrument, ts, sequence, bid, bid_size, ask, ask_size], ["t", instrument, ts, sequence, price, size, id],
["f", kind, from, to, count, detail].
"""

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from apps.marketdata.domain.ticks import UNNUMBERED, sequence_of
from apps.marketdata.domain.vendor import QuoteTick, Tick, TradeTick
from apps.marketdata.models.feed import FaultKind

Record = list[Any]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
#: A number of our own is made of the place among ticks of one microsecond and of what the tick says: two different ticks never share
#: one, and the same tick heard by two feeds has the same.
PLACES = 1 << 14
VALUE_BITS = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that went wrong, from when to when; `count` frames, ticks or symbols were concerned."""

    kind: str
    from_at: datetime
    to_at: datetime
    detail: str
    count: int = 1


def together(faults: Sequence[Fault]) -> list[Fault]:
    """The faults with those of malformed messages as one: a vendor that sends nothing else must not fill the table."""
    bad = [fault for fault in faults if fault.kind == FaultKind.MALFORMED.value]
    others = [fault for fault in faults if fault.kind != FaultKind.MALFORMED.value]
    return others + ([replace(bad[0], to_at=bad[-1].to_at, count=len(bad))] if bad else [])


@dataclass(slots=True)
class Numbering:
    """Gives the ticks of one symbol and kind their numbers within a microsecond."""

    ts: datetime = EPOCH
    place: int = 0

    def next(self, tick: Tick) -> int:
        """The vendor's number of a trade where it has one, else one of our own."""
        if isinstance(tick, TradeTick) and (known := sequence_of(tick.trade_id)) != UNNUMBERED:
            return known
        self.place = (self.place + 1) % PLACES if tick.ts == self.ts else 0
        self.ts = tick.ts
        values = (tick.bid, tick.bid_size, tick.ask, tick.ask_size) if isinstance(tick, QuoteTick) else (tick.price, tick.size)
        digest = hashlib.blake2b(struct.pack(f"<{len(values)}d", *values), digest_size=VALUE_BITS // 8).digest()
        return (self.place << VALUE_BITS) | int.from_bytes(digest)


def tick_record(tick: Tick, instrument_id: int, sequence: int) -> Record:
    """A tick as it is spooled."""
    at = micros(tick.ts)
    if isinstance(tick, QuoteTick):
        return ["q", instrument_id, at, sequence, tick.bid, tick.bid_size, tick.ask, tick.ask_size]
    return ["t", instrument_id, at, sequence, tick.price, tick.size, tick.trade_id]


def fault_record(fault: Fault) -> Record:
    """A fault as it is spooled."""
    return ["f", fault.kind, micros(fault.from_at), micros(fault.to_at), fault.count, fault.detail]


def fault_of(record: Record) -> Fault:
    """The fault of a record."""
    _, kind, from_at, to_at, count, detail = record
    return Fault(kind=kind, from_at=moment(from_at), to_at=moment(to_at), count=count, detail=detail)


def micros(at: datetime) -> int:
    """Microseconds since 1970."""
    return (at - EPOCH) // MICROSECOND


def moment(at: int) -> datetime:
    """The time of so many microseconds since 1970."""
    return EPOCH + at * MICROSECOND


def trade_of(symbol: str, at: int, sequence: int, price: float, size: float) -> TradeTick:
    """A stored trade for the bars: known by its key in the database, so that bars are the same whether built now or from the tables later."""
    return TradeTick(symbol=symbol, ts=moment(at), price=price, size=size, trade_id=f"{at}:{sequence}")
