"""Quotes, trades and depth of one instrument as arrays, and how a tick is known when it comes a second time. Pure.

Times are the venue's, datetime64[us] in UTC: finer times are cut, and `sequence` keeps the order. A tick's key is (instrument, source, ts,
sequence); `sequence` is the venue's or vendor's own number where it gives one and UNNUMBERED where it gives none.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from apps.core.errors import InvalidInput
from apps.marketdata.domain.vendor import QuoteTick, TradeTick

AnyTick = TypeVar("AnyTick", QuoteTick, TradeTick)

#: The vendor gives no number: the store counts ticks of the same microsecond in the order in which they came.
UNNUMBERED: Final = -1
#: A quote without a bid or an ask has price 0 and size 0 there.
NO_PRICE: Final = 0.0
#: Letters of ITCH 5.0 that are stored: they change a book, or (P, Q, B) tell of trades beside it.
LETTERS: Final = "AFECXDUPQB"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Series:
    symbol: str
    ts: NDArray[np.datetime64]
    sequence: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ts)

    def columns(self) -> dict[str, NDArray]:
        """The arrays by name, without the symbol."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "symbol"}

    def take(self, rows: NDArray | slice) -> Self:
        """The rows of a mask, an index or a slice."""
        return self.__class__(symbol=self.symbol, **{name: values[rows] for name, values in self.columns().items()})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class QuoteSeries(_Series):
    """Best bids and offers, float64 [T]: prices, and sizes in shares or coins."""

    bid: NDArray[np.float64]
    bid_size: NDArray[np.float64]
    ask: NDArray[np.float64]
    ask_size: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TradeSeries(_Series):
    """Trades: price and size float64 [T]; `aggressor` int16 [T] is +1 when a buyer took liquidity, -1 a seller, 0 unknown."""

    price: NDArray[np.float64]
    size: NDArray[np.float64]
    aggressor: NDArray[np.int16]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DepthSeries(_Series):
    """Level-2 rows: the size of a price level becomes `size` (absolute; 0 removes it). `side` int16 [T] is +1 bid, -1 ask.

    Rows of one message share `first_sequence` and `sequence` (its first and last update); in a `snapshot` (bool [T]) both are the last
    update that it contains, and it replaces the book.
    """

    first_sequence: NDArray[np.int64]
    snapshot: NDArray[np.bool_]
    side: NDArray[np.int16]
    price: NDArray[np.float64]
    size: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OrderEventSeries(_Series):
    """Order-by-order events as ITCH 5.0 has them; `sequence` is the message's place in the venue's day, so it is never UNNUMBERED.

    `letter` int16 [T] is the code point of one of LETTERS; `ref` and `new_ref` int64 (0: none) are orders, for P, Q and B `ref` is the
    match number; `side` int16 is +1 buy, -1 sell, 0 none; `price` float64 with at most 4 places (0: none); `shares` int64;
    `printable` bool is false only for a C whose trade is not in the volume.
    """

    letter: NDArray[np.int16]
    ref: NDArray[np.int64]
    new_ref: NDArray[np.int64]
    side: NDArray[np.int16]
    price: NDArray[np.float64]
    shares: NDArray[np.int64]
    printable: NDArray[np.bool_]


def quote_columns(ticks: Sequence[QuoteTick]) -> dict[str, QuoteSeries]:
    """Ticks by symbol, in the order in which they came. Raises InvalidInput for a time without zone."""
    return {
        symbol: QuoteSeries(
            symbol=symbol,
            ts=_times([tick.ts for tick in own]),
            sequence=np.full(len(own), UNNUMBERED, np.int64),
            **{name: np.array([getattr(tick, name) for tick in own], np.float64) for name in ("bid", "bid_size", "ask", "ask_size")},
        )
        for symbol, own in _by_symbol(ticks).items()
    }


def trade_columns(ticks: Sequence[TradeTick]) -> dict[str, TradeSeries]:
    """Ticks by symbol, in the order in which they came. Raises InvalidInput for a time without zone."""
    return {
        symbol: TradeSeries(
            symbol=symbol,
            ts=_times([tick.ts for tick in own]),
            sequence=np.array([sequence_of(tick.trade_id) for tick in own], np.int64),
            price=np.array([tick.price for tick in own], np.float64),
            size=np.array([tick.size for tick in own], np.float64),
            aggressor=np.zeros(len(own), np.int16),
        )
        for symbol, own in _by_symbol(ticks).items()
    }


def sequence_of(trade_id: str) -> int:
    """A vendor's trade id as a number: itself where it is one, else 63 bits of its hash; UNNUMBERED for ""."""
    if not trade_id:
        return UNNUMBERED
    if trade_id.isascii() and trade_id.isdecimal() and int(trade_id) < 1 << 63:
        return int(trade_id)
    return int.from_bytes(hashlib.blake2b(trade_id.encode(), digest_size=8).digest(), "big") >> 1


def _by_symbol(ticks: Sequence[AnyTick]) -> dict[str, list[AnyTick]]:
    found: dict[str, list[AnyTick]] = {}
    for tick in ticks:
        found.setdefault(tick.symbol, []).append(tick)
    return found


def _times(moments: list[datetime]) -> NDArray[np.datetime64]:
    if any(moment.tzinfo is None for moment in moments):
        raise InvalidInput("a tick's time has no time zone", field="ts")
    return np.array([moment.astimezone(UTC).replace(tzinfo=None) for moment in moments], "datetime64[us]")


def fresh_ticks(
    given: Mapping[str, NDArray], stored: Mapping[str, NDArray], *, values: Sequence[str], repeats: bool
) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """Which given rows are new (their positions, in the order given), and the sequence of every given row.

    Both mappings hold `ts`, `sequence` and the columns named in `values`, of one instrument and source; `stored` at least every row at the
    times given. A numbered row is known when (ts, sequence) is. An unnumbered one is known by its values: the n-th of equal rows
    is the n-th of those stored when `repeats` (two equal trades are two trades), and any of them when not (an equal quote tells nothing);
    a new one gets the number after the highest of its microsecond.
    """
    numbered = given["sequence"] != UNNUMBERED
    sequence = given["sequence"].copy()
    new = np.zeros(len(sequence), bool)
    key = ("ts", "sequence")
    new[np.flatnonzero(numbered)[fresh_by_key({name: given[name][numbered] for name in key}, stored, key)]] = True
    unnumbered = np.flatnonzero(~numbered)
    if not len(unnumbered):
        return np.flatnonzero(new), sequence
    highest: dict[int, int] = {}
    there: dict[tuple[Any, ...], int] = {}
    for at, number, *rest in _rows(stored, ("sequence", *values), np.flatnonzero(np.isin(stored["ts"], given["ts"][unnumbered]))):
        highest[at] = max(highest.get(at, -1), number)
        there[at, *rest] = there.get((at, *rest), 0) + 1
    for row, (at, *rest) in zip(unnumbered, _rows(given, values, unnumbered), strict=True):
        key = (at, *rest)
        if there.get(key, 0) > 0:
            there[key] -= repeats
            continue
        if not repeats:
            there[key] = 1
        new[row] = True
        sequence[row] = highest[at] = highest.get(at, -1) + 1
    return np.flatnonzero(new), sequence


def fresh_by_key(given: Mapping[str, NDArray], stored: Mapping[str, NDArray], key: Sequence[str]) -> NDArray[np.intp]:
    """Positions of given rows whose key neither a stored nor an earlier given row has, in the order given."""
    count = len(stored["ts"])
    columns = [np.concatenate([stored[name], given[name].astype(stored[name].dtype)]) for name in key]
    order = np.lexsort(columns[::-1])  # stable: of equal keys the stored one comes first, then the first given
    repeated = np.ones(len(order), bool)
    repeated[:1] = False
    for column in columns:
        ordered = column[order]
        repeated[1:] &= ordered[1:] == ordered[:-1]
    fresh = order[~repeated]
    return np.sort(fresh[fresh >= count]) - count


def _rows(columns: Mapping[str, NDArray], names: Sequence[str], rows: NDArray[np.intp]) -> list[tuple[Any, ...]]:
    """The rows as tuples that begin with the time in microseconds."""
    return list(zip(columns["ts"][rows].view("i8").tolist(), *(columns[name][rows].tolist() for name in names), strict=True))
