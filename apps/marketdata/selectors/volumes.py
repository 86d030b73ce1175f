"""How many shares have traded: in a stretch of time, and how a session's volume is usually spread over it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import pairwise

import numpy as np
from django.db import connection

from apps.marketdata.domain import calendars
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.models import Instrument
from apps.marketdata.selectors.bars import bar_series

INTRADAY = tuple(timeframe for timeframe in Timeframe if timeframe.is_intraday)
#: How many sessions a volume curve is the mean of, and how few days may be looked at for them.
CURVE_SESSIONS = 20
CURVE_DAYS = timedelta(days=45)

# Two sources of the same market report the same trades: the one that saw more counts.
_TRADES = """
select sum(size)::numeric from marketdata_trade where instrument_id = %s and ts >= %s and ts < %s group by source_id order by 1 desc limit 1
"""
_BARS = """
select sum(volume)::numeric from (
    select distinct on (ts) volume from marketdata_bar
    where instrument_id = %s and timeframe = %s and ts >= %s and ts <= %s order by ts, revision desc
) as bar
"""


#: Sessions whose mean volume is the average volume, and the days in which they are looked for.
AVERAGE_SESSIONS, AVERAGE_DAYS = 20, timedelta(days=40)

_AVERAGES = f"""
select i.id, daily.volume from unnest(%(ids)s::bigint[]) as i(id), lateral (
    select avg(d.volume) as volume from (
        select distinct on (b.ts) b.volume from marketdata_bar b
        where b.instrument_id = i.id and b.timeframe = {int(Timeframe.DAY)} and b.ts <= %(until)s and b.ts > %(oldest)s
        order by b.ts desc, b.revision desc limit {AVERAGE_SESSIONS}) d) daily
where daily.volume > 0
"""  # noqa: S608 - numbers of this module only


@dataclass(frozen=True, slots=True, kw_only=True)
class TradedVolume:
    """Shares that traded, and what says so ("trades" or the code of a bar's time frame)."""

    shares: Decimal
    source: str


def traded_volume(instrument_id: int, start: datetime, end: datetime) -> TradedVolume | None:
    """Volume of [start, end) in stored trades, else in stored intraday bars that are complete by `end`, the shortest first.

    None where neither says anything of that stretch: nobody takes silence for a market in which nothing trades.
    """
    with connection.cursor() as cursor:
        cursor.execute(_TRADES, [instrument_id, start, end])
        if (row := cursor.fetchone()) and row[0] is not None:
            return TradedVolume(shares=row[0], source="trades")
        for timeframe in INTRADAY:
            cursor.execute(_BARS, [instrument_id, int(timeframe), start, end - timeframe.duration])
            if (row := cursor.fetchone()) and row[0] is not None:
                return TradedVolume(shares=row[0], source=timeframe.code)
    return None


def average_volumes(instrument_ids: Sequence[int], *, until: date) -> dict[int, float]:
    """Mean shares per session by instrument, over its last 20 daily bars up to a day; one without a bar or without volume is left out."""
    if not instrument_ids:
        return {}
    last = datetime.combine(until, time(), UTC)
    with connection.cursor() as cursor:
        cursor.execute(_AVERAGES, {"ids": list(instrument_ids), "until": last, "oldest": last - AVERAGE_DAYS})
        return dict(cursor.fetchall())


def volume_curve(instrument: Instrument, *, day: date, start: timedelta, length: timedelta, buckets: int) -> tuple[tuple[Decimal, ...], int]:
    """Mean share of each bucket in the volume of a stretch of the session, over the last 20 sessions before `day` with intraday bars.

    The stretch begins `start` after the open and lasts `length`; a bar counts where it begins. Also says of how many sessions; with none
    the curve is empty.
    """
    calendar = instrument.calendar
    days = calendars.sessions(calendar, day - CURVE_DAYS, day - timedelta(days=1))[-CURVE_SESSIONS:]
    if not days:
        return (), 0
    first, last = calendars.session_hours(calendar, days[0])[0], calendars.session_hours(calendar, days[-1])[1]
    for timeframe in INTRADAY:
        if timeframe.duration > length / buckets:
            break
        bars = bar_series(symbol=instrument.symbol, timeframe=timeframe, start=first, end=last)
        if len(bars.ts):
            return _mean_curve(bars.ts, bars.volume, [calendars.session_hours(calendar, one)[0] + start for one in days], length, buckets)
    return (), 0


def _mean_curve(ts: np.ndarray, volume: np.ndarray, begins: list[datetime], length: timedelta, buckets: int) -> tuple[tuple[Decimal, ...], int]:
    shares = []
    for begin in begins:
        edges = np.datetime64(begin.replace(tzinfo=None), "us") + np.arange(buckets + 1) * np.timedelta64(length // buckets)
        at = np.searchsorted(ts, edges)
        sums = np.array([volume[a:b].sum() for a, b in pairwise(at)])
        if sums.sum() > 0:
            shares.append(sums / sums.sum())
    if not shares:
        return (), 0
    return tuple(Decimal(repr(round(float(share), 9))) for share in np.mean(shares, axis=0)), len(shares)
