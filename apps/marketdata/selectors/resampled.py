"""Bars of any time frame: as stored, else made of shorter ones.

Of the shorter time frames stored, the finest counts among those that reach back furthest in the range. Days, weeks and months as
traded are made by the database; minutes, hours and adjusted prices by NumPy (`domain.resampling`). A test holds the two equal.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from apps.core.errors import InvalidInput
from apps.marketdata.domain import calendars
from apps.marketdata.domain.adjustment import Adjustment
from apps.marketdata.domain.bars import FIELDS, BarPanel, BarSeries, panel_of
from apps.marketdata.domain.resampling import buckets, period_starts, resample
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.models import Instrument
from apps.marketdata.selectors.adjusting import adjusted_series, session_days
from apps.marketdata.selectors.bars import EARLIEST, LATEST, SERIES, Moment, bar_series, bars_revised, bounds, copy_out, series_as_traded
from apps.marketdata.selectors.instruments import instrument_get, instruments_get

PAD = timedelta(days=1)

#: A time frame, and an instrument's raw bars of it.
Part = tuple[Timeframe, Instrument, BarSeries]

UNITS = {Timeframe.DAY: "day", Timeframe.WEEK: "week", Timeframe.MONTH: "month"}

#: Continuous aggregates of daily bars, where TimescaleDB's community edition keeps them (migration "bar_aggregates").
AGGREGATES = {Timeframe.WEEK: "marketdata_bar_week", Timeframe.MONTH: "marketdata_bar_month"}

#: The latest revisions of one instrument's bars, each with its session date.
DAYS = """
select distinct on (ts) ts, ts at time zone 'utc' as day, open, high, low, close, volume from marketdata_bar
where instrument_id = %(pk)s and timeframe = %(source)s and ts >= %(lower)s and ts < %(upper)s
    and (%(as_of)s::timestamptz is null or recorded_at <= %(as_of)s)
order by ts, revision desc
"""
MINUTES = """
select bar.*, session.day from unnest(%(days)s::timestamp[], %(opens)s::timestamptz[], %(closes)s::timestamptz[]) as session(day, opens, closes),
lateral (
    select distinct on (ts) ts, open, high, low, close, volume from marketdata_bar
    where instrument_id = %(pk)s and timeframe = %(source)s
        and ts >= greatest(session.opens, %(lower)s) and ts < least(session.closes, %(upper)s)
        and (%(as_of)s::timestamptz is null or recorded_at <= %(as_of)s)
    order by ts, revision desc
) as bar
"""
GROUPED = """
select date_trunc(%(unit)s, day) at time zone 'utc' as ts, (array_agg(open order by ts))[1] as open, max(high) as high, min(low) as low,
    (array_agg(close order by ts desc))[1] as close, sum(volume) as volume
from ({}) as bar group by 1 order by 1
"""


def bars_at(
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
    """One symbol's bars of a time frame, stored or resampled; the parameters are those of `bar_series`.

    Every minute and hour that starts in the range is whole, as a stored one is. The first day, week or month is whole, the last holds
    what lies before `end` and may still be running. Adjusted weeks and months are made of adjusted days. Raises as `bar_series` does.
    """
    instrument = instrument_get(symbol)
    adjusted = {"adjustment": adjustment, "as_of": as_of, "adjusted_to": adjusted_to}
    found = None
    if not _mixed(timeframe, adjustment):
        found = bar_series(symbol=symbol, timeframe=timeframe, start=start, end=end, last=last, **adjusted)  # type: ignore[arg-type]
    source = None if found else finest_source(instrument.pk, timeframe, *bounds(start, end), as_of=as_of)
    if source is None:
        return found if found is not None else bar_series(symbol=symbol, timeframe=timeframe, start=start, end=end, last=last, **adjusted)  # type: ignore[arg-type]
    if adjustment is Adjustment.NONE and timeframe in UNITS:
        made = bars_by_sql(instrument, source, timeframe, *_source_bounds(timeframe, source, start, end), as_of=as_of)
    else:
        base, (pieces,) = _pieces([instrument], source, timeframe, start, end, as_of)
        (pieces,) = adjusted_series([pieces], [instrument], base, adjustment, as_of, adjusted_to)
        made = resample(pieces, base, timeframe, instrument.calendar)
    return _within(made, timeframe, start, end, last)


def panel_at(
    *,
    symbols: Sequence[str],
    timeframe: Timeframe,
    start: Moment = None,
    end: Moment = None,
    adjustment: Adjustment = Adjustment.NONE,
    as_of: datetime | None = None,
) -> BarPanel:
    """Bars of several symbols as `bar_panel` gives them, each symbol's as `bars_at` does: stored, or made where none are stored in the range.

    All prices are told in the shares of one day, the last on which any symbol has a bar. Raises as `bar_panel` does.
    """
    if len(set(symbols)) != len(symbols):
        raise InvalidInput("a symbol is given twice", field="symbols")
    instruments = list(instruments_get(symbols).values())
    mixed = _mixed(timeframe, adjustment)
    stored = [] if mixed else series_as_traded(instruments, timeframe, *bounds(start, end), as_of=as_of)
    lacking = instruments if mixed else [item for item, found in zip(instruments, stored, strict=True) if not len(found)]
    sources = finest_sources([item.pk for item in lacking], timeframe, *bounds(start, end), as_of=as_of) if lacking else {}
    if not sources:
        stored = stored or series_as_traded(instruments, timeframe, *bounds(start, end), as_of=as_of)
        return panel_of(adjusted_series(stored, instruments, timeframe, adjustment, as_of))
    parts: list[Part] = [(timeframe, item, found) for item, found in zip(instruments, stored, strict=False) if len(found)]
    for source in sorted(set(sources.values())):
        owners = [item for item in lacking if sources.get(item.pk) is source]
        base, pieces = _pieces(owners, source, timeframe, start, end, as_of)
        parts += zip([base] * len(owners), owners, pieces, strict=True)
    made = {item.symbol: _within(item, timeframe, start, end, None) for item in _made(parts, timeframe, adjustment, as_of)}
    return panel_of([made.get(symbol) or _empty(symbol) for symbol in symbols])


def _mixed(timeframe: Timeframe, adjustment: Adjustment) -> bool:
    """Whether a stored bar may hold prices in two kinds of shares, so that it must be made of days."""
    return timeframe > Timeframe.DAY and adjustment is not Adjustment.NONE


def _made(parts: "list[Part]", timeframe: Timeframe, adjustment: Adjustment, as_of: datetime | None) -> list[BarSeries]:
    """Bars of the time frame out of each instrument's raw pieces, adjusted to the last day on which any of them has one."""
    last = [session_days(pieces.ts[-1:], base, owner.calendar)[0] for base, owner, pieces in parts if len(pieces)]
    anchor = max(last).item() if last else None
    found = []
    for base in sorted({base for base, _, _ in parts}):
        owners, pieces = zip(*((owner, pieces) for at, owner, pieces in parts if at is base), strict=True)
        adjusted = adjusted_series(list(pieces), owners, base, adjustment, as_of, anchor)
        found += [resample(item, base, timeframe, owner.calendar) for item, owner in zip(adjusted, owners, strict=True)]
    return found


def _pieces(
    instruments: Sequence[Instrument], source: Timeframe, to: Timeframe, start: Moment, end: Moment, as_of: datetime | None
) -> tuple[Timeframe, list[BarSeries]]:
    """Raw bars of which those of the range are made, and their time frame. Nothing outside it: its last day is what prices are adjusted to.

    Minutes become days in the database already when days or longer bars are wanted.
    """
    lower, upper = _source_bounds(to, source, start, end)
    if source.is_intraday and not to.is_intraday:
        source, read = Timeframe.DAY, [bars_by_sql(item, source, Timeframe.DAY, lower, upper, as_of=as_of) for item in instruments]
    else:
        read = series_as_traded(instruments, source, lower, upper, as_of=as_of)
    if not to.is_intraday:
        return source, [_within(item, to, start, end, None) for item in read]
    span = _span(to, start, end)
    begins = [buckets(item.ts, source, to, owner.calendar) for item, owner in zip(read, instruments, strict=True)]
    return source, [_rows(item, np.flatnonzero((at >= span[0]) & (at < span[1]))) for item, at in zip(read, begins, strict=True)]


def finest_source(pk: int, timeframe: Timeframe, lower: datetime, upper: datetime, *, as_of: datetime | None = None) -> Timeframe | None:
    """The stored time frame of which bars of a longer one are made: of those that begin on the earliest day, the shortest."""
    return finest_sources([pk], timeframe, lower, upper, as_of=as_of).get(pk)


def finest_sources(
    ids: Sequence[int], timeframe: Timeframe, lower: datetime, upper: datetime, *, as_of: datetime | None = None
) -> dict[int, Timeframe]:
    """The same of several instruments; those of which nothing shorter was stored in the range, as known at `as_of`, are left out."""
    shorter = [item for item in Timeframe if item < timeframe and item is not Timeframe.WEEK]
    with connection.cursor() as cursor:
        cursor.execute(
            "select i.id, tf.id, first.ts from unnest(%(ids)s::bigint[]) as i(id), unnest(%(shorter)s::smallint[]) as tf(id),"
            " lateral (select ts from marketdata_bar where instrument_id = i.id and timeframe = tf.id and ts >= %(lower)s and ts < %(upper)s"
            " and (%(as_of)s::timestamptz is null or recorded_at <= %(as_of)s) order by ts limit 1) as first",
            {"ids": list(ids), "shorter": [int(item) for item in shorter], "lower": lower, "upper": upper, "as_of": as_of},
        )
        begins: dict[int, dict[Timeframe, datetime]] = {}
        for pk, code, ts in cursor.fetchall():
            begins.setdefault(pk, {})[Timeframe(code)] = ts
    return {pk: min(item for item, ts in found.items() if ts < min(found.values()) + PAD) for pk, found in begins.items()}


def bars_by_sql(
    instrument: Instrument, source: Timeframe, to: Timeframe, lower: datetime, upper: datetime, *, as_of: datetime | None = None
) -> BarSeries:
    """Days, weeks or months of raw prices, made by the database out of stored days, or of the regular sessions' shorter bars."""
    parameters = {"pk": instrument.pk, "source": int(source), "lower": lower, "upper": upper, "as_of": as_of, "unit": UNITS[to]}
    if source is Timeframe.DAY and as_of is None and (view := _aggregate(to)) and not bars_revised([instrument.pk], source, lower, upper):
        query = f"select {', '.join(SERIES.names)} from {view} where instrument_id = %(pk)s and ts >= %(lower)s and ts < %(upper)s order by ts"  # noqa: S608
        return BarSeries(symbol=instrument.symbol, **copy_out(query, parameters, SERIES))
    if source.is_intraday:
        parameters |= _sessions(instrument.calendar, lower, upper)
    query = GROUPED.format(MINUTES if source.is_intraday else DAYS)
    return BarSeries(symbol=instrument.symbol, **copy_out(query, parameters, SERIES))


def _aggregate(to: Timeframe) -> str | None:
    """Name of the continuous aggregate, None where there is none."""
    name = AGGREGATES.get(to)
    if name is None:
        return None
    with connection.cursor() as cursor:
        cursor.execute("select to_regclass(%s) is not null", [name])
        return name if cursor.fetchone()[0] else None


def _sessions(calendar: str, lower: datetime, upper: datetime) -> dict[str, Sequence[object]]:
    found = calendars.calendar_of(calendar)
    span = [_instant(moment) for moment in (lower, upper)]
    rows = slice(int(np.searchsorted(found.closes, span[0], side="right")), int(np.searchsorted(found.opens, span[1])))
    moments = {name: [moment.replace(tzinfo=UTC) for moment in getattr(found, name)[rows].tolist()] for name in ("opens", "closes")}
    return {"days": found.days[rows].tolist(), **moments}


def _source_bounds(timeframe: Timeframe, source: Timeframe, start: Moment, end: Moment) -> tuple[datetime, datetime]:
    """From where to where shorter bars are read: from the first bucket's begin, and over sessions which are not days in UTC."""
    lower, upper = bounds(start, end)
    open_start = lower == EARLIEST
    if timeframe.is_intraday:  # a bar that starts before the end is whole
        return lower if open_start else lower - timeframe.duration, min(upper, LATEST - PAD) + timeframe.duration
    dated = not isinstance(end, datetime) and end is not None
    if source.is_intraday and dated:
        upper += PAD
    if open_start:
        return lower, upper
    lower = datetime.combine(_floor(lower, timeframe), datetime.min.time(), UTC)
    return lower - PAD if source.is_intraday else lower, upper


def _floor(moment: datetime, timeframe: Timeframe) -> date:
    day: date = period_starts(np.array([moment.astimezone(UTC).date()], "datetime64[D]"), timeframe)[0].item()
    return day


def _within(made: BarSeries, timeframe: Timeframe, start: Moment, end: Moment, last: int | None) -> BarSeries:
    """The bars that were asked for, of those that were made."""
    span = _span(timeframe, start, end)
    rows = np.flatnonzero((made.ts >= span[0]) & (made.ts < span[1]))
    return _rows(made, rows if last is None else rows[-last:])


def _span(timeframe: Timeframe, start: Moment, end: Moment) -> tuple[np.datetime64, np.datetime64]:
    """Between which times bars start that begin in the range, or hold its start."""
    lower, upper = bounds(start, end)
    if not timeframe.is_intraday and lower != EARLIEST:
        lower = datetime.combine(_floor(lower, timeframe), datetime.min.time(), UTC)
    return _instant(lower), _instant(upper)


def _instant(moment: datetime) -> np.datetime64:
    return np.datetime64(moment.astimezone(UTC).replace(tzinfo=None), "us")


def _rows(series: BarSeries, rows: NDArray[np.intp]) -> BarSeries:
    return BarSeries(symbol=series.symbol, ts=series.ts[rows], **{name: getattr(series, name)[rows] for name in FIELDS})


def _empty(symbol: str) -> BarSeries:
    return BarSeries(symbol=symbol, ts=np.empty(0, "datetime64[us]"), **{name: np.empty(0) for name in FIELDS})
