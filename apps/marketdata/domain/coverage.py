"""Which stretches of time the desk has asked a vendor for, and which are left to ask. All spans are half-open, in UTC."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta

from apps.marketdata.domain import calendars
from apps.marketdata.domain.timeframes import Timeframe

Span = tuple[datetime, datetime]

#: How long after its end a bar may still change at the vendor: free feeds are a quarter of an hour behind.
SETTLING = timedelta(minutes=30)
#: For how long a vendor that has no bar yet is taken to be late. After that, it has none.
LATE = timedelta(days=7)


def spans_merged(spans: Iterable[Span]) -> tuple[Span, ...]:
    """The same time in as few spans as possible, in order; those that touch become one."""
    merged: list[Span] = []
    for start, end in sorted(spans):
        if start >= end:
            continue
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return tuple(merged)


def spans_missing(wanted: Span, covered: Iterable[Span]) -> tuple[Span, ...]:
    """The parts of `wanted` that no covered span holds, in order."""
    missing, at = [], wanted[0]
    for start, end in spans_merged(covered):
        if end <= at:
            continue
        if start >= wanted[1]:
            break
        if start > at:
            missing.append((at, start))
        at = end
    return (*missing, (at, wanted[1])) if at < wanted[1] else tuple(missing)


def finished_until(timeframe: Timeframe, calendar: str, now: datetime) -> datetime:
    """The end (exclusive) of the starts of bars that are over at `now`. Daily bars and longer start at midnight UTC."""
    if timeframe.is_intraday:
        return (now - timeframe.duration).replace(second=0, microsecond=0) + timedelta(minutes=1)
    last = calendars.last_completed_session(calendar, now)
    if timeframe is Timeframe.DAY:
        return _midnight(last + timedelta(days=1))
    running = calendars.next_session(calendar, last)
    return _midnight(running - timedelta(days=running.weekday()) if timeframe is Timeframe.WEEK else running.replace(day=1))


def bar_end(start: datetime, timeframe: Timeframe) -> datetime:
    """Where the bar after the one that starts at `start` may start at the earliest."""
    if timeframe is Timeframe.MONTH:
        return (start.replace(day=1) + timedelta(days=32)).replace(day=1)
    return start + timedelta(minutes=int(timeframe))


def believed_until(complete_to: datetime, last_bar: datetime | None, *, timeframe: Timeframe, calendar: str, now: datetime) -> datetime:
    """Up to where an answer is believed to be all there will ever be; what comes after is asked again next time.

    Not beyond bars that may still change, and beyond the last bar only where the vendor has had a week to deliver more.
    """
    long_ago = _midnight((now - LATE).astimezone(UTC).date())
    delivered = long_ago if last_bar is None else max(long_ago, bar_end(last_bar, timeframe))
    return min(complete_to, finished_until(timeframe, calendar, now - SETTLING), delivered)


def has_session(span: Span, timeframe: Timeframe, calendar: str) -> bool:
    """Whether a bar may start in the span: a weekend needs no request. Bars longer than a day may start on any day."""
    if timeframe > Timeframe.DAY:
        return True
    last = (span[1] - timedelta(microseconds=1)).astimezone(UTC).date()
    first = span[0].astimezone(UTC).date()
    if timeframe.is_intraday:  # the exchange's day may be the day before or after in UTC
        first, last = first - timedelta(days=1), last + timedelta(days=1)
    return bool(calendars.sessions(calendar, first, last))


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
