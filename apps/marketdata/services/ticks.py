"""Quotes, trades, depth and order events into the desk: checked as a whole, written by binary COPY, repetitions dropped and counted.

Each call is one transaction: all of it is stored, or nothing. A row that the desk has already, by its key (see `domain.ticks`), is a duplicate
whatever its values: facts are not changed. Calls for the same instrument and kind wait for each other.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from django.db import transaction
from numpy.typing import NDArray

from apps.core.errors import InvalidInput
from apps.core.locks import lock_transaction
from apps.marketdata.domain.copy_format import Layout
from apps.marketdata.domain.tick_checks import first_fault
from apps.marketdata.domain.ticks import (
    DepthSeries,
    OrderEventSeries,
    QuoteSeries,
    TradeSeries,
    fresh_by_key,
    fresh_ticks,
    quote_columns,
    trade_columns,
)
from apps.marketdata.domain.vendor import QuoteTick, TradeTick
from apps.marketdata.selectors.instruments import instruments_get
from apps.marketdata.selectors.ticks import DEPTH, ORDER_EVENTS, QUOTES, TRADES, TickTable, ticks_by_id, ticks_present
from apps.marketdata.services.storing import LOCK_TIMEOUT_MS, bar_source_id, copy_in


@dataclass(frozen=True, slots=True, kw_only=True)
class TickResult:
    """Numbers of rows that were new, and of rows that the desk had or that stood twice in what was given."""

    inserted: int
    duplicates: int


def quotes_store(*, quotes: QuoteSeries | Sequence[QuoteTick], source: str, recorded_at: datetime) -> TickResult:
    """Store best bids and offers of any symbols. An unnumbered quote equal to one of the same microsecond is a duplicate.

    Raises NotFound for an unknown symbol and InvalidInput which names symbol, time and fault of the first bad quote.
    """
    series = {quotes.symbol: quotes} if isinstance(quotes, QuoteSeries) else quote_columns(quotes)
    return _store(QUOTES, series, source, recorded_at, repeats=False)


def trades_store(*, trades: TradeSeries | Sequence[TradeTick], source: str, recorded_at: datetime) -> TickResult:
    """Store trades of any symbols. Trades with an id are known by it; of n equal ones without, n are kept.

    Raises NotFound for an unknown symbol and InvalidInput which names symbol, time and fault of the first bad trade.
    """
    series = {trades.symbol: trades} if isinstance(trades, TradeSeries) else trade_columns(trades)
    return _store(TRADES, series, source, recorded_at, repeats=True)


def depth_store(*, depth: DepthSeries | OrderEventSeries, source: str, recorded_at: datetime) -> TickResult:
    """Store level-2 rows or order events of one symbol, which are always numbered.

    Raises NotFound for an unknown symbol and InvalidInput which names symbol, time and fault of the first bad row.
    """
    return _store(DEPTH if isinstance(depth, DepthSeries) else ORDER_EVENTS, {depth.symbol: depth}, source, recorded_at, repeats=False)


def _store(table: TickTable[Any], series: Mapping[str, Any], source: str, recorded_at: datetime, *, repeats: bool) -> TickResult:
    instruments = instruments_get(series)
    for symbol, own in series.items():
        if (fault := first_fault(own)) is not None:
            raise InvalidInput(f"{symbol} {own.ts[fault.row]}: {fault.text}", field=fault.column)
    with transaction.atomic():
        _lock(table, (item.pk for item in instruments.values()))
        source_id = bar_source_id(source)
        inserted = sum(_merge(table, instruments[symbol].pk, own, source_id, recorded_at, repeats=repeats) for symbol, own in series.items())
    return TickResult(inserted=inserted, duplicates=sum(map(len, series.values())) - inserted)


def _lock(table: TickTable[Any], instrument_ids: Iterable[int]) -> None:
    lock_transaction(*(f"{table.name}:{pk}" for pk in instrument_ids), timeout_ms=LOCK_TIMEOUT_MS)


def _merge(table: TickTable[Any], instrument_id: int, series: Any, source_id: int, recorded_at: datetime, *, repeats: bool) -> int:
    """Write the rows that are new; how many they were."""
    if not len(series):
        return 0
    given = series.columns()
    stored = _stored(table, instrument_id, given["ts"], source_id)
    if table.key == ("sequence",):
        new, given["sequence"] = fresh_ticks(given, stored, values=table.values, repeats=repeats)
    else:
        new = fresh_by_key(given, stored, ("ts", *table.key))
    if len(new):
        new = new[np.argsort(given["ts"][new], kind="stable")]  # neighbours in the index are written together
        constants = {
            "instrument_id": instrument_id,
            "source_id": source_id,
            "recorded_at": np.datetime64(recorded_at.astimezone(UTC).replace(tzinfo=None), "us"),
        }
        layout = Layout((*table.layout.columns, ("instrument_id", "int8"), ("source_id", "int2"), ("recorded_at", "timestamptz")))
        statement = f"copy {table.name} ({', '.join(layout.names)}) from stdin (format binary)"
        copy_in(statement, layout.blocks({name: values[new] for name, values in given.items()} | constants, len(new)))
    return len(new)


def _stored(table: TickTable[Any], instrument_id: int, ts: NDArray[np.datetime64], source_id: int) -> dict[str, NDArray]:
    lower, upper = (edge.item().replace(tzinfo=UTC) for edge in (ts.min(), ts.max()))
    upper += timedelta(microseconds=1)
    if not ticks_present(table, instrument_id, lower, upper, source_id):
        upper = lower  # reads nothing, in the right types
    return ticks_by_id(table, instrument_id, lower, upper, source_id=source_id)
