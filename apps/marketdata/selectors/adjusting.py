"""Bars as stored made into bars adjusted for corporate actions."""

from collections.abc import Sequence
from datetime import date, datetime

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from apps.core.errors import InvalidInput
from apps.marketdata.domain import calendars
from apps.marketdata.domain.adjustment import Adjustment, Closes, Event, adjusted
from apps.marketdata.domain.bars import BarSeries
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.domain.vendor import ActionKind
from apps.marketdata.models import Instrument
from apps.marketdata.selectors.corporate_actions import events_by_id


def adjusted_series(
    series: list[BarSeries],
    instruments: Sequence[Instrument],
    timeframe: Timeframe,
    adjustment: Adjustment,
    as_of: datetime | None = None,
    adjusted_to: date | None = None,
) -> list[BarSeries]:
    """Each series adjusted for what the desk knew at `as_of`, in the shares of `adjusted_to` (default: the last day on which any has a bar).

    Raises InvalidInput for weeks and months with an ex-date among them: such a bar is of two kinds of shares.
    """
    filled = [item for item in series if len(item)]
    if adjustment is Adjustment.NONE or not filled:
        return series
    days = {item.symbol: session_days(item.ts, timeframe, owner.calendar) for item, owner in zip(series, instruments, strict=True)}
    first = min(days[item.symbol][0] for item in filled)
    last = max(days[item.symbol][-1] for item in filled) if adjusted_to is None else np.datetime64(adjusted_to, "D")
    events = events_by_id(ids=[item.pk for item in instruments], first=first, last=last, as_of=as_of)
    if events and timeframe > Timeframe.DAY:
        raise InvalidInput(f"adjusted bars of {timeframe.code} are made of adjusted days", field="adjustment")
    whole = not timeframe.is_intraday and adjusted_to is None  # then every ex-date lies between two bars of the answer
    return [
        adjusted(item, days[item.symbol], mine, adjustment, _closes(item, days[item.symbol], None if whole else owner.pk, mine, as_of))
        if (mine := events.get(owner.pk))
        else item
        for item, owner in zip(series, instruments, strict=True)
    ]


def session_days(ts: NDArray[np.datetime64], timeframe: Timeframe, calendar: str) -> NDArray[np.datetime64]:
    """Session dates datetime64[D] [T] of bars."""
    return calendars.local_dates(calendar, ts) if timeframe.is_intraday else ts.astype("datetime64[D]")


def _closes(series: BarSeries, days: NDArray[np.datetime64], pk: int | None, events: Sequence[Event], as_of: datetime | None) -> Closes:
    """Raw closes beside the ex-dates: each day's last bar, and (with `pk`) stored daily bars, which count for more."""
    if pk is None:
        return Closes(days=days, close=series.close)
    ends = np.flatnonzero(np.append(days[1:] != days[:-1], True))
    by_day = dict(zip(days[ends].tolist(), series.close[ends].tolist(), strict=True))
    by_day |= _daily_closes(pk, [event.day for event in events if event.kind is ActionKind.DIVIDEND], as_of)
    ordered = sorted(by_day)
    return Closes(days=np.array(ordered, "datetime64[D]"), close=np.array([by_day[day] for day in ordered]))


#: The last daily bar before each day, and the first on or after it.
BESIDE = """
select bar.ts, bar.close from unnest(%(days)s::date[]) as ex(day), lateral (
    (select ts, close from marketdata_bar where instrument_id = %(pk)s and timeframe = %(timeframe)s
        and ts < ex.day::timestamp at time zone 'utc' and (%(as_of)s::timestamptz is null or recorded_at <= %(as_of)s)
        order by ts desc, revision desc limit 1)
    union all
    (select ts, close from marketdata_bar where instrument_id = %(pk)s and timeframe = %(timeframe)s
        and ts >= ex.day::timestamp at time zone 'utc' and (%(as_of)s::timestamptz is null or recorded_at <= %(as_of)s)
        order by ts, revision desc limit 1)
) as bar
"""


def _daily_closes(pk: int, ex_dates: Sequence[np.datetime64], as_of: datetime | None) -> dict[date, float]:
    if not ex_dates:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(BESIDE, {"pk": pk, "timeframe": int(Timeframe.DAY), "days": [day.item() for day in ex_dates], "as_of": as_of})
        return {ts.date(): close for ts, close in cursor.fetchall()}
