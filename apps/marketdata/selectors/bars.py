"""Stored bars as arrays. Read by binary COPY: a million bars take about a second.

`start` is inclusive. `end` as a date includes that day; as a datetime it is exclusive and looks at a bar's start, so a daily bar
is inside from its midnight on, hours before it is known: callers who must not look ahead pass `visible_end(now)`.
Of several revisions the latest counts, with `as_of` the latest that the desk had then. Prices are as traded unless an `adjustment` is asked
for: then they are told in the shares of one day, the last with a bar in the answer, so that what happened after the range changes nothing
in it. `adjusted_to` names another day, for an answer that is read in parts.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from apps.core.errors import InvalidInput
from apps.core.postgres.copies import copied
from apps.marketdata.domain import calendars
from apps.marketdata.domain.adjustment import Adjustment
from apps.marketdata.domain.bars import FIELDS, BarPanel, BarSeries, panel_of
from apps.marketdata.domain.copy_format import Layout
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.models import Instrument
from apps.marketdata.selectors.adjusting import adjusted_series
from apps.marketdata.selectors.instruments import instrument_get, instruments_get
from apps.marketdata.selectors.market import market_clock

Moment = date | datetime | None

SERIES = Layout((("ts", "timestamptz"), *((name, "float8") for name in FIELDS)))
MANY = Layout((("instrument_id", "int8"), *SERIES.columns))
REVISED = Layout((*MANY.columns, ("revision", "int2")))

EARLIEST = datetime(1, 1, 1, tzinfo=UTC)
LATEST = datetime(9999, 12, 31, tzinfo=UTC)


def bar_series(
    *,
    symbol: str,
    timeframe: Timeframe,
    start: Moment = None,
    end: Moment = None,
    last: int | None = None,
    adjustment: Adjustment = Adjustment.NONE,
    as_of: datetime | None = None,
    adjusted_to: date | None = None,
) -> BarSeries:
    """One symbol's bars in time order, empty when there are none; with `last` at most so many, the latest of the range.

    Raises NotFound for an unknown symbol, and InvalidInput for a time without zone or weeks or months which an ex-date cuts: those
    are made of adjusted days (`selectors.resampled`).
    """
    instrument = instrument_get(symbol)
    found = _series(symbol, instrument.pk, timeframe, *bounds(start, end), last=last, as_of=_known_at(as_of))
    return adjusted_series([found], [instrument], timeframe, adjustment, as_of, adjusted_to)[0]


def bar_panel(
    *,
    symbols: Sequence[str],
    timeframe: Timeframe,
    start: Moment = None,
    end: Moment = None,
    adjustment: Adjustment = Adjustment.NONE,
    as_of: datetime | None = None,
    adjusted_to: date | None = None,
) -> BarPanel:
    """Bars of several symbols on the union of their times, NaN where a symbol has none, columns in the order given.

    Raises as `bar_series` does, and InvalidInput when a symbol is given twice.
    """
    if len(set(symbols)) != len(symbols):
        raise InvalidInput("a symbol is given twice", field="symbols")
    instruments = list(instruments_get(symbols).values())
    series = series_as_traded(instruments, timeframe, *bounds(start, end), as_of=as_of)
    return panel_of(adjusted_series(series, instruments, timeframe, adjustment, as_of, adjusted_to))


def bars_as_of(
    moment: datetime, *, symbols: Sequence[str], timeframe: Timeframe = Timeframe.DAY, start: Moment = None, end: Moment = None
) -> BarPanel:
    """Raw bars as the desk knew them at a moment: of each bar the latest revision recorded by then, none where it was not known yet."""
    return bar_panel(symbols=symbols, timeframe=timeframe, start=start, end=end, as_of=moment)


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


def _range(ids: list[int], timeframe: Timeframe, lower: datetime, upper: datetime, as_of: datetime | None = None) -> dict[str, Any]:
    return {"ids": ids, "timeframe": int(timeframe), "lower": lower, "upper": upper, "as_of": as_of}


def _known(as_of: datetime | None) -> str:
    return "" if as_of is None else "and recorded_at <= %(as_of)s"


def _known_at(as_of: datetime | None) -> datetime | None:
    return None if as_of is None else _moment(as_of, "as_of")


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


def ids_with_bars(ids: Sequence[int], timeframe: Timeframe, lower: datetime, upper: datetime) -> set[int]:
    """Those of the instruments that have any bar stored in the range."""
    one = RANGE.replace("any(%(ids)s)", "i.id")
    with connection.cursor() as cursor:
        query = f"select i.id from unnest(%(ids)s::bigint[]) as i(id) where exists (select 1 from marketdata_bar where {one})"  # noqa: S608
        cursor.execute(query, _range(list(ids), timeframe, lower, upper))
        return {pk for (pk,) in cursor.fetchall()}


def bars_by_id(
    ids: list[int], timeframe: Timeframe, lower: datetime, upper: datetime, *, revisions: bool = False, as_of: datetime | None = None
) -> dict[str, NDArray]:
    """Columns instrument_id, ts and the five fields of the latest revisions (recorded by `as_of`), sorted by instrument and time.

    With `revisions` also the number of the revision.
    """
    layout = REVISED if revisions else MANY
    latest = "distinct on (instrument_id, ts)" if bars_revised(ids, timeframe, lower, upper) else ""
    order = "order by instrument_id, ts, revision desc" if latest else ""
    query = f"select {latest} {', '.join(layout.names)} from marketdata_bar where {RANGE} {_known(as_of)} {order}"  # noqa: S608
    columns = copy_out(query, _range(ids, timeframe, lower, upper, as_of), layout)
    if not order:
        by_time = np.lexsort((columns["ts"], columns["instrument_id"]))
        columns = {name: values[by_time] for name, values in columns.items()}
    return columns


def series_as_traded(
    instruments: Sequence[Instrument], timeframe: Timeframe, lower: datetime, upper: datetime, *, as_of: datetime | None = None
) -> list[BarSeries]:
    """Stored bars of several instruments in their order, by one query. Raises InvalidInput for an `as_of` without zone."""
    as_of = _known_at(as_of)
    if len(instruments) == 1:
        return [_series(instruments[0].symbol, instruments[0].pk, timeframe, lower, upper, as_of=as_of)]
    ids = [item.pk for item in instruments]
    columns = bars_by_id(ids, timeframe, lower, upper, as_of=as_of)
    owner = columns.pop("instrument_id")
    first, last = (np.searchsorted(owner, ids, side=side) for side in ("left", "right"))
    return [
        BarSeries(symbol=item.symbol, **{name: values[a:b] for name, values in columns.items()})
        for item, a, b in zip(instruments, first, last, strict=True)
    ]


def _series(
    symbol: str, pk: int, timeframe: Timeframe, lower: datetime, upper: datetime, *, last: int | None = None, as_of: datetime | None = None
) -> BarSeries:
    revised = bars_revised([pk], timeframe, lower, upper)
    distinct = "distinct on (ts)" if revised else ""
    order = "order by ts desc, revision desc" if revised or last is not None else ""
    limit = "" if last is None else f"limit {int(last)}"
    query = f"select {distinct} {', '.join(SERIES.names)} from marketdata_bar where {RANGE} {_known(as_of)} {order} {limit}"  # noqa: S608
    columns = copy_out(query, _range([pk], timeframe, lower, upper, as_of), SERIES)
    ts = columns["ts"]
    if len(ts) > 1 and (ts[1:] < ts[:-1]).any():
        by_time = np.argsort(ts, kind="stable")
        columns = {name: values[by_time] for name, values in columns.items()}
    return BarSeries(symbol=symbol, **columns)


def copy_out(query: str, parameters: dict[str, Any], layout: Layout) -> dict[str, NDArray]:
    """Result of a query as columns, by binary COPY."""
    return layout.decode([copied(query, parameters)])
