"""Stored quotes, trades, depth and order events as arrays, by binary COPY, and the best quote at given moments.

Every read names its range: `start` inclusive, `end` exclusive, both with time zone. It answers with at most `limit` rows, the earliest of the range,
and refuses more than MOST_ROWS. Order: time, then source, then sequence; `source` (a name) leaves out all others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Generic, TypeVar

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from apps.core.errors import InvalidInput, NotFound
from apps.marketdata.domain.copy_format import Layout
from apps.marketdata.domain.ticks import DepthSeries, OrderEventSeries, QuoteSeries, TradeSeries
from apps.marketdata.models import BarSource
from apps.marketdata.selectors.bars import copy_out
from apps.marketdata.selectors.instruments import instrument_get

S = TypeVar("S", QuoteSeries, TradeSeries, DepthSeries, OrderEventSeries)
#: Rows of one read: some hundred megabytes.
MOST_ROWS: Final = 5_000_000
TIME = (("ts", "timestamptz"), ("sequence", "int8"))


@dataclass(frozen=True, slots=True, kw_only=True)
class TickTable(Generic[S]):
    """Where one kind of tick is stored: its table, its columns, and what makes two rows of one source the same (beside the time)."""

    name: str
    series: type[S]
    layout: Layout
    key: tuple[str, ...] = ("sequence",)

    @property
    def values(self) -> tuple[str, ...]:
        """Columns beside time and sequence."""
        return tuple(name for name in self.layout.names if name not in ("ts", "sequence"))


def _floats(*names: str) -> tuple[tuple[str, str], ...]:
    return tuple((name, "float8") for name in names)


QUOTES = TickTable(name="marketdata_quote", series=QuoteSeries, layout=Layout((*TIME, *_floats("bid", "bid_size", "ask", "ask_size"))))
TRADES = TickTable(name="marketdata_trade", series=TradeSeries, layout=Layout((*TIME, *_floats("price", "size"), ("aggressor", "int2"))))
DEPTH = TickTable(
    name="marketdata_depthupdate",
    series=DepthSeries,
    layout=Layout((*TIME, ("first_sequence", "int8"), ("snapshot", "bool"), ("side", "int2"), *_floats("price", "size"))),
    key=("sequence", "snapshot", "side", "price"),
)
ORDER_EVENTS = TickTable(
    name="marketdata_orderevent",
    series=OrderEventSeries,
    layout=Layout(
        (
            *TIME,
            ("letter", "int2"),
            ("ref", "int8"),
            ("new_ref", "int8"),
            ("side", "int2"),
            ("price", "float8"),
            ("shares", "int8"),
            ("printable", "bool"),
        )
    ),
)


def quotes(*, symbol: str, start: datetime, end: datetime, source: str | None = None, limit: int | None = None) -> QuoteSeries:
    """Best bids and offers of a range. Raises NotFound for an unknown symbol or source, InvalidInput for too large a range."""
    return _range(QUOTES, symbol, start, end, source, limit)


def trades(*, symbol: str, start: datetime, end: datetime, source: str | None = None, limit: int | None = None) -> TradeSeries:
    """Trades of a range. Raises NotFound for an unknown symbol or source, InvalidInput for too large a range."""
    return _range(TRADES, symbol, start, end, source, limit)


def depth(*, symbol: str, start: datetime, end: datetime, source: str | None = None, limit: int | None = None) -> DepthSeries:
    """Level-2 rows of a range, the rows of a message together. Raises NotFound and InvalidInput like `quotes`."""
    return _range(DEPTH, symbol, start, end, source, limit)


def order_events(*, symbol: str, start: datetime, end: datetime, source: str | None = None, limit: int | None = None) -> OrderEventSeries:
    """Order events of a range. Raises NotFound and InvalidInput like `quotes`."""
    return _range(ORDER_EVENTS, symbol, start, end, source, limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class TickPage:
    """Some rows of a range, and where the following ones begin: None at the end, else (time, rows of that very time to leave out)."""

    rows: QuoteSeries | TradeSeries | DepthSeries
    following: tuple[datetime, int] | None


def tick_page(table: TickTable[S], *, symbol: str, start: datetime, end: datetime, limit: int, skip: int = 0, source: str | None = None) -> TickPage:
    """The first `limit` rows of a range after `skip` of them. Raises NotFound for an unknown symbol or source."""
    instrument_id = instrument_get(symbol).pk
    found = ticks_by_id(table, instrument_id, start, end, source_id=source_get(source), most=limit + 1, skip=skip)
    more = len(found["ts"]) > limit
    rows: Any = table.series(symbol=symbol, **{name: values[:limit] for name, values in found.items()})
    if not more:
        return TickPage(rows=rows, following=None)
    last = rows.ts[-1]
    moment = datetime.fromisoformat(str(last)).replace(tzinfo=UTC)
    same = int((rows.ts == last).sum())
    return TickPage(rows=rows, following=(moment, same + skip if same == len(rows.ts) and moment == start else same))


def nbbo_at(
    symbol: str, moments: NDArray[np.datetime64] | Sequence[datetime], *, source: str | None = None, max_age_seconds: int = 3600
) -> QuoteSeries:
    """For each moment [N] (UTC, any order) the last quote at or before it; row n belongs to moment n.

    A moment without a quote within `max_age_seconds` has NaN prices and sizes, NaT as its time and sequence -1. One query reads the
    range that the moments span. Raises NotFound and InvalidInput like `quotes`.
    """
    wanted = _moments(moments)
    if not len(wanted):
        return _as_of(symbol, _empty(QUOTES), np.empty(0, np.intp))
    age = np.timedelta64(max_age_seconds, "s")
    lower, upper = (edge.item().replace(tzinfo=UTC) for edge in (wanted.min() - age, wanted.max() + np.timedelta64(1, "us")))
    found = quotes(symbol=symbol, start=lower, end=upper, source=source)
    at = np.searchsorted(found.ts, wanted, side="right") - 1
    if len(found):
        at[(at >= 0) & (wanted - found.ts[np.maximum(at, 0)] > age)] = -1
    return _as_of(symbol, found.columns(), at)


def _as_of(symbol: str, columns: dict[str, NDArray], at: NDArray[np.intp]) -> QuoteSeries:
    """Row `at[n]` for each n, nothing where it is -1."""
    nothing: dict[str, Any] = {"ts": np.datetime64("NaT", "us"), "sequence": -1}
    padded = {name: np.concatenate([values, np.full(1, nothing.get(name, np.nan), values.dtype)]) for name, values in columns.items()}
    return QuoteSeries(symbol=symbol, **{name: values[at] for name, values in padded.items()})


def _moments(moments: NDArray[np.datetime64] | Sequence[datetime]) -> NDArray[np.datetime64]:
    if isinstance(moments, np.ndarray):
        return moments.astype("datetime64[us]")
    if any(moment.tzinfo is None for moment in moments):
        raise InvalidInput("a moment has no time zone", field="moments")
    return np.array([moment.astimezone(UTC).replace(tzinfo=None) for moment in moments], "datetime64[us]")


def _range(table: TickTable[S], symbol: str, start: datetime, end: datetime, source: str | None, limit: int | None) -> S:
    for name, moment in (("start", start), ("end", end)):
        if moment.tzinfo is None:
            raise InvalidInput(f"{name} has no time zone", field=name)
    instrument_id = instrument_get(symbol).pk
    most = MOST_ROWS if limit is None else min(limit, MOST_ROWS)
    found = ticks_by_id(table, instrument_id, start, end, source_id=source_get(source), most=most + (limit is None))
    if limit is None and len(found["ts"]) > MOST_ROWS:
        raise InvalidInput(f"{symbol} has more than {MOST_ROWS:,} rows from {start} to {end}: ask for a shorter range", field="end")
    return table.series(symbol=symbol, **found)


def source_get(name: str | None) -> int | None:
    """Number of a source, None for None. Raises NotFound for one that never gave anything."""
    if name is None:
        return None
    found = BarSource.objects.filter(name=name).values_list("pk", flat=True).first()
    if found is None:
        raise NotFound(f"there is no source {name!r}", field="source")
    return int(found)


def ticks_by_id(
    table: TickTable[Any],
    instrument_id: int,
    lower: datetime,
    upper: datetime,
    *,
    source_id: int | None = None,
    most: int | None = None,
    skip: int = 0,
) -> dict[str, NDArray]:
    """Columns of one instrument's rows in [lower, upper), in the order of the key, the first `most` of them after `skip`."""
    query = (
        f"select {', '.join(table.layout.names)} from {table.name} where instrument_id = %(instrument)s and ts >= %(lower)s and ts < %(upper)s "  # noqa: S608
        f"{'' if source_id is None else 'and source_id = %(source)s'} order by ts, source_id, {', '.join(table.key)} "
        f"{'' if most is None else 'limit %(most)s'} {'offset %(skip)s' if skip else ''}"
    )
    return copy_out(
        query, {"instrument": instrument_id, "lower": lower, "upper": upper, "source": source_id, "most": most, "skip": skip}, table.layout
    )


def ticks_present(table: TickTable[Any], instrument_id: int, lower: datetime, upper: datetime, source_id: int) -> bool:
    """Whether a source gave any row in [lower, upper)."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"select exists(select 1 from {table.name} where instrument_id = %s and ts >= %s and ts < %s and source_id = %s)",  # noqa: S608
            [instrument_id, lower, upper, source_id],
        )
        return bool(cursor.fetchone()[0])


def _empty(table: TickTable[Any]) -> dict[str, NDArray]:
    return {name: np.empty(0, "datetime64[us]" if name == "ts" else "i8" if name == "sequence" else "f8") for name in table.layout.names}
