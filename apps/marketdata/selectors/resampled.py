"""Bars of any time frame: as stored, else made of shorter ones.

Of the shorter time frames stored, the finest counts among those that reach back furthest in the range. Days, weeks and months as
traded are made by the database; minutes, hours and adjusted prices by NumPy (`domain.resampling`). A test holds the two equal.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import numpy as np
from django.db import connection

from apps.marketdata.domain import calendars
from apps.marketdata.domain.adjustment import Adjustment
from apps.marketdata.domain.bars import FIELDS, BarPanel, BarSeries, panel_of
from apps.marketdata.domain.resampling import period_starts, resample
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.models import Instrument
from apps.marketdata.selectors.bars import EARLIEST, SERIES, Moment, bar_panel, bar_series, bars_present, bars_revised, bounds, copy_out
from apps.marketdata.selectors.instruments import instrument_get, instruments_get

PAD = timedelta(days=1)
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

    The first bar is whole, the last holds what lies before `end` and may still be running. Adjusted weeks and months are always made
    of adjusted days. Raises as `bar_series` does.
    """
    instrument = instrument_get(symbol)
    mixed = timeframe > Timeframe.DAY and adjustment is not Adjustment.NONE
    adjusted = {"adjustment": adjustment, "as_of": as_of, "adjusted_to": adjusted_to}
    source = timeframe
    if mixed or not bars_present([instrument.pk], timeframe, *bounds(start, end)):
        found = finest_source(instrument.pk, timeframe, *bounds(start, end))
        source = found or source
    if source is timeframe:
        if mixed:
            return _empty(symbol)
        return bar_series(symbol=symbol, timeframe=timeframe, start=start, end=end, last=last, **adjusted)  # type: ignore[arg-type]
    lower, upper = _source_bounds(timeframe, source, start, end)
    if adjustment is Adjustment.NONE and timeframe in UNITS:
        made = bars_by_sql(instrument, source, timeframe, lower, upper, as_of=as_of)
    else:
        shorter = bar_series(symbol=symbol, timeframe=source, start=lower, end=upper, **adjusted)  # type: ignore[arg-type]
        made = resample(shorter, source, timeframe, instrument.calendar)
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
    """Bars of several symbols as `bar_panel` gives them; weeks and months are made of days where none are stored, or when they are adjusted.

    Raises as `bar_panel` does.
    """
    adjusted = {"adjustment": adjustment, "as_of": as_of}
    if timeframe <= Timeframe.DAY or adjustment is Adjustment.NONE:
        found = bar_panel(symbols=symbols, timeframe=timeframe, start=start, end=end, **adjusted)  # type: ignore[arg-type]
        if len(found) or timeframe <= Timeframe.DAY:
            return found
    lower, upper = _source_bounds(timeframe, Timeframe.DAY, start, end)
    days = bar_panel(symbols=symbols, timeframe=Timeframe.DAY, start=lower, end=upper, **adjusted)  # type: ignore[arg-type]
    if not len(days):
        return bar_panel(symbols=symbols, timeframe=timeframe, start=start, end=end, **adjusted)  # type: ignore[arg-type]
    calendar_of = {symbol: item.calendar for symbol, item in instruments_get(symbols).items()}
    made = [resample(days.series(symbol), Timeframe.DAY, timeframe, calendar_of[symbol]) for symbol in days.symbols]
    return panel_of([_within(item, timeframe, start, end, None) for item in made])


def finest_source(pk: int, timeframe: Timeframe, lower: datetime, upper: datetime) -> Timeframe | None:
    """The stored time frame of which bars of a longer one are made: of those that begin on the earliest day, the shortest."""
    shorter = [item for item in Timeframe if item < timeframe and item is not Timeframe.WEEK]
    with connection.cursor() as cursor:
        cursor.execute(
            "select tf.id, first.ts from unnest(%(shorter)s::smallint[]) as tf(id), lateral (select ts from marketdata_bar"
            " where instrument_id = %(pk)s and timeframe = tf.id and ts >= %(lower)s and ts < %(upper)s order by ts limit 1) as first",
            {"pk": pk, "shorter": [int(item) for item in shorter], "lower": lower, "upper": upper},
        )
        begins = {Timeframe(code): ts for code, ts in cursor.fetchall()}
    if not begins:
        return None
    earliest = min(begins.values()) + PAD
    return min(item for item, ts in begins.items() if ts < earliest)


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
    span = [np.datetime64(moment.astimezone(UTC).replace(tzinfo=None), "us") for moment in (lower, upper)]
    rows = slice(int(np.searchsorted(found.closes, span[0], side="right")), int(np.searchsorted(found.opens, span[1])))
    moments = {name: [moment.replace(tzinfo=UTC) for moment in getattr(found, name)[rows].tolist()] for name in ("opens", "closes")}
    return {"days": found.days[rows].tolist(), **moments}


def _source_bounds(timeframe: Timeframe, source: Timeframe, start: Moment, end: Moment) -> tuple[datetime, datetime]:
    """From where to where shorter bars are read: from the first bucket's begin, and over sessions which are not days in UTC."""
    lower, upper = bounds(start, end)
    if lower == EARLIEST:
        return lower, upper
    if not timeframe.is_intraday:
        lower = datetime.combine(_floor(lower, timeframe), datetime.min.time(), UTC)
        dated = not isinstance(end, datetime) and end is not None
        return (lower - PAD, upper + PAD if dated else upper) if source.is_intraday else (lower, upper)
    return lower - timeframe.duration, upper


def _floor(moment: datetime, timeframe: Timeframe) -> date:
    day: date = period_starts(np.array([moment.astimezone(UTC).date()], "datetime64[D]"), timeframe)[0].item()
    return day


def _within(made: BarSeries, timeframe: Timeframe, start: Moment, end: Moment, last: int | None) -> BarSeries:
    """The bars that were asked for, of those that were made."""
    lower, upper = bounds(start, end)
    if not timeframe.is_intraday and lower != EARLIEST:
        lower = datetime.combine(_floor(lower, timeframe), datetime.min.time(), UTC)
    span = [np.datetime64(moment.astimezone(UTC).replace(tzinfo=None), "us") for moment in (lower, upper)]
    rows = np.flatnonzero((made.ts >= span[0]) & (made.ts < span[1]))
    rows = rows if last is None else rows[-last:]
    return BarSeries(symbol=made.symbol, ts=made.ts[rows], **{name: getattr(made, name)[rows] for name in FIELDS})


def _empty(symbol: str) -> BarSeries:
    return BarSeries(symbol=symbol, ts=np.empty(0, "datetime64[us]"), **{name: np.empty(0) for name in FIELDS})
