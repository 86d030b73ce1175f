"""Stored bars as arrays. Read by binary COPY: a million bars take about a second.

`start` is inclusive. `end` as a date includes that day; as a datetime it is exclusive and looks at a bar's start, so a daily bar
is inside from its midnight on, hours before it is known: callers who must not look ahead pass `visible_end(now)`.
Of several revisions the latest counts.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from apps.core.errors import InvalidInput
from apps.marketdata.domain import calendars
from apps.marketdata.domain.bars import FIELDS, BarPanel, BarSeries, panel_of
from apps.marketdata.domain.copy_format import Layout
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.selectors.instruments import instrument_get, instruments_get
from apps.marketdata.selectors.market import market_clock

Moment = date | datetime | None

SERIES = Layout((("ts", "timestamptz"), *((name, "float8") for name in FIELDS)))
MANY = Layout((("instrument_id", "int8"), *SERIES.columns))
REVISED = Layout((*MANY.columns, ("revision", "int2")))

EARLIEST = datetime(1, 1, 1, tzinfo=UTC)
LATEST = datetime(9999, 12, 31, tzinfo=UTC)


def bar_series(*, symbol: str, timeframe: Timeframe, start: Moment = None, end: Moment = None, last: int | None = None) -> BarSeries:
    """One symbol's bars in time order, empty when there are none; with `last` at most so many, the latest of the range.

    Raises NotFound for an unknown symbol.
    """
    instrument = instrument_get(symbol)
    return _series(symbol, instrument.pk, timeframe, *bounds(start, end), last=last)


def bar_panel(*, symbols: Sequence[str], timeframe: Timeframe, start: Moment = None, end: Moment = None) -> BarPanel:
    """Bars of several symbols on the union of their times, NaN where a symbol has none, columns in the order given.

    Raises NotFound which names unknown symbols, and InvalidInput when a symbol is given twice.
    """
    if len(set(symbols)) != len(symbols):
        raise InvalidInput("a symbol is given twice", field="symbols")
    ids = {symbol: item.pk for symbol, item in instruments_get(symbols).items()}
    lower, upper = bounds(start, end)
    if len(ids) == 1:
        return panel_of([_series(symbol, pk, timeframe, lower, upper) for symbol, pk in ids.items()])
    columns = bars_by_id(list(ids.values()), timeframe, lower, upper)
    owner = columns.pop("instrument_id")
    first, last = (np.searchsorted(owner, list(ids.values()), side=side) for side in ("left", "right"))
    return panel_of(
        [BarSeries(symbol=symbol, **{name: values[a:b] for name, values in columns.items()}) for symbol, a, b in zip(ids, first, last, strict=True)]
    )


def bar_count(*, symbols: Iterable[str], timeframe: Timeframe, start: Moment = None, end: Moment = None) -> int:
    """Number of bars of these symbols; revisions of a bar count once."""
    ids = [item.pk for item in instruments_get(symbols).values()]
    lower, upper = bounds(start, end)
    with connection.cursor() as cursor:
        query = f"select count(*) from marketdata_bar where revision = 0 and {RANGE}"  # noqa: S608 - fixed text, values are parameters
        cursor.execute(query, _range(ids, timeframe, lower, upper))
        return int(cursor.fetchone()[0])


def bar_range(*, symbols: Iterable[str], timeframe: Timeframe) -> dict[str, tuple[datetime, datetime]]:
    """First and last time of each symbol's bars; a symbol without bars is left out."""
    symbol_of = {item.pk: symbol for symbol, item in instruments_get(symbols).items()}
    with connection.cursor() as cursor:
        cursor.execute(
            "select i.id, (select ts from marketdata_bar where instrument_id = i.id and timeframe = %(timeframe)s order by ts limit 1), "
            "(select ts from marketdata_bar where instrument_id = i.id and timeframe = %(timeframe)s order by ts desc limit 1) "
            "from unnest(%(ids)s::bigint[]) as i(id)",
            {"ids": list(symbol_of), "timeframe": int(timeframe)},
        )
        return {symbol_of[pk]: (first, last) for pk, first, last in cursor.fetchall() if first is not None}


def visible_end(now: datetime, *, timeframe: Timeframe = Timeframe.DAY, calendar: str = "XNYS") -> date | datetime:
    """The `end` up to which bars are finished at the market's time, so that nobody sees a bar before it has closed.

    A date for daily bars and longer (the last session that has closed; for weeks and months the day before the running one
    began), a datetime for shorter bars.
    """
    moment = market_clock(now).market_time
    if timeframe.is_intraday:
        return moment - timeframe.duration + timedelta(microseconds=1)
    last = calendars.last_completed_session(calendar, moment)
    if timeframe is Timeframe.DAY:
        return last
    following = calendars.next_session(calendar, last)
    begun = following - timedelta(days=following.weekday()) if timeframe is Timeframe.WEEK else following.replace(day=1)
    return begun - timedelta(days=1)


def visible_until(now: datetime, *, timeframe: Timeframe, end: Moment, calendar: str = "XNYS") -> date | datetime:
    """The earlier of the end that somebody asks for and `visible_end`."""
    visible = visible_end(now, timeframe=timeframe, calendar=calendar)
    return visible if end is None or bounds(None, visible) < bounds(None, end) else end


def bounds(start: Moment, end: Moment) -> tuple[datetime, datetime]:
    """The half-open range in UTC of a start and an end. Raises InvalidInput for a datetime without time zone."""
    lower = EARLIEST if start is None else _moment(start, "start")
    if end is None:
        return lower, LATEST
    return lower, _moment(end, "end") + (timedelta(0) if isinstance(end, datetime) else timedelta(days=1))


def _moment(value: date | datetime, field: str) -> datetime:
    if not isinstance(value, datetime):
        return datetime.combine(value, time(), UTC)
    if value.tzinfo is None:
        raise InvalidInput(f"{field} has no time zone", field=field)
    return value


RANGE = "instrument_id = any(%(ids)s) and timeframe = %(timeframe)s and ts >= %(lower)s and ts < %(upper)s"


def _range(ids: list[int], timeframe: Timeframe, lower: datetime, upper: datetime) -> dict[str, Any]:
    return {"ids": ids, "timeframe": int(timeframe), "lower": lower, "upper": upper}


def bars_revised(ids: list[int], timeframe: Timeframe, lower: datetime, upper: datetime) -> bool:
    """Whether any bar of the range has a second revision: one look into a partial index which is nearly always empty."""
    with connection.cursor() as cursor:
        query = f"select exists(select 1 from marketdata_bar where revision > 0 and {RANGE})"  # noqa: S608
        cursor.execute(query, _range(ids, timeframe, lower, upper))
        return bool(cursor.fetchone()[0])


def bars_present(ids: list[int], timeframe: Timeframe, lower: datetime, upper: datetime) -> bool:
    """Whether any bar is stored in the range."""
    with connection.cursor() as cursor:
        query = f"select exists(select 1 from marketdata_bar where {RANGE})"  # noqa: S608
        cursor.execute(query, _range(ids, timeframe, lower, upper))
        return bool(cursor.fetchone()[0])


def bars_by_id(ids: list[int], timeframe: Timeframe, lower: datetime, upper: datetime, *, revisions: bool = False) -> dict[str, NDArray]:
    """Columns instrument_id, ts and the five fields of the latest revisions, sorted by instrument and time.

    With `revisions` also the number of the revision.
    """
    layout = REVISED if revisions else MANY
    latest = "distinct on (instrument_id, ts)" if bars_revised(ids, timeframe, lower, upper) else ""
    order = "order by instrument_id, ts, revision desc" if latest else ""
    query = f"select {latest} {', '.join(layout.names)} from marketdata_bar where {RANGE} {order}"  # noqa: S608
    columns = copy_out(query, _range(ids, timeframe, lower, upper), layout)
    if not order:
        by_time = np.lexsort((columns["ts"], columns["instrument_id"]))
        columns = {name: values[by_time] for name, values in columns.items()}
    return columns


def _series(symbol: str, pk: int, timeframe: Timeframe, lower: datetime, upper: datetime, *, last: int | None = None) -> BarSeries:
    revised = bars_revised([pk], timeframe, lower, upper)
    distinct = "distinct on (ts)" if revised else ""
    order = "order by ts desc, revision desc" if revised or last is not None else ""
    limit = "" if last is None else f"limit {int(last)}"
    query = f"select {distinct} {', '.join(SERIES.names)} from marketdata_bar where {RANGE} {order} {limit}"  # noqa: S608
    columns = copy_out(query, _range([pk], timeframe, lower, upper), SERIES)
    ts = columns["ts"]
    if len(ts) > 1 and (ts[1:] < ts[:-1]).any():
        by_time = np.argsort(ts, kind="stable")
        columns = {name: values[by_time] for name, values in columns.items()}
    return BarSeries(symbol=symbol, **columns)


def copy_out(query: str, parameters: dict[str, Any], layout: Layout) -> dict[str, NDArray]:
    """Result of a query as columns, by binary COPY."""
    with connection.cursor() as cursor, cursor.cursor.copy(f"copy ({query}) to stdout (format binary)", parameters) as copy:
        received = bytearray()
        for block in copy:  # one row each: a list of a million views would keep the garbage collector busy for longer than the reading takes
            received += block
    return layout.decode([received])
