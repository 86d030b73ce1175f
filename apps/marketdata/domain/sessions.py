"""Parts of a trading day: before the open, the session itself, after the close.

`exchange_calendars` knows regular sessions only. The extended hours of the American exchanges stand here: from 04:00 on New York's
clock to the open, and four hours after the close, which is 16:00 to 20:00, and 13:00 to 17:00 on half days (NYSE Arca and Nasdaq,
"early and late trading sessions"). Other exchanges have none as far as the desk knows.
"""

from datetime import UTC, date, datetime, timedelta
from enum import IntEnum
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from apps.marketdata.domain.calendars import calendar_of

#: Calendars with extended hours.
EXTENDED = frozenset({"XNYS", "XNAS"})
PRE_OPENS = timedelta(hours=4)
POST_LASTS = np.timedelta64(4, "h")


class SessionPart(IntEnum):
    """In which part of a trading day a moment lies."""

    CLOSED = 0
    PRE = 1
    REGULAR = 2
    POST = 3


def session_part(calendar: str, moment: datetime) -> SessionPart:
    """The part of the day on one exchange. Each part begins at its first moment and ends before the next one's."""
    at = np.array([moment.astimezone(UTC).replace(tzinfo=None)], "datetime64[us]")
    return SessionPart(int(session_parts(calendar, at)[0]))


def session_parts(calendar: str, ts: NDArray[np.datetime64]) -> NDArray[np.int8]:
    """`SessionPart` of each moment, UTC datetime64[us] [T]."""
    at, begins = _places(calendar, ts)
    part = np.zeros(len(ts), np.int8)
    inside = at >= 0
    for kind in (SessionPart.PRE, SessionPart.REGULAR, SessionPart.POST):
        reached = np.zeros(len(ts), bool)
        reached[inside] = ts[inside] >= begins[kind - 1][at[inside]]
        part[reached] = kind
    over = np.ones(len(ts), bool)
    over[inside] = ts[inside] >= begins[3][at[inside]]
    part[over] = SessionPart.CLOSED
    return part


def session_of(calendar: str, ts: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
    """The session date to whose regular or extended hours each moment belongs, datetime64[D] [T]; not-a-time while all is closed."""
    at, _ = _places(calendar, ts)
    days = calendar_of(calendar).days[np.maximum(at, 0)]
    days[session_parts(calendar, ts) == SessionPart.CLOSED] = np.datetime64("NaT")
    return days


def part_begins(calendar: str, ts: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
    """When the part of the day began in which each moment lies, datetime64[us] [T]; not-a-time while all is closed."""
    at, begins = _places(calendar, ts)
    part = session_parts(calendar, ts)
    result = np.full(len(ts), np.datetime64("NaT"), "datetime64[us]")
    for kind in (SessionPart.PRE, SessionPart.REGULAR, SessionPart.POST):
        mine = part == kind
        result[mine] = begins[kind - 1][at[mine]]
    return result


def extended_hours(calendar: str, day: date) -> tuple[datetime, datetime]:
    """From when to when a session is traded, extended hours included, in UTC. Raises InvalidInput when the day has no session."""
    at = calendar_of(calendar).index_of(day)
    first, *_, last = _begins(calendar)
    begins, ends = first[at].item(), last[at].item()
    return begins.replace(tzinfo=UTC), ends.replace(tzinfo=UTC)


def _places(calendar: str, ts: NDArray[np.datetime64]) -> tuple[NDArray[np.intp], tuple[NDArray[np.datetime64], ...]]:
    begins = _begins(calendar)
    return np.searchsorted(begins[0], ts, side="right") - 1, begins


@lru_cache(maxsize=64)
def _begins(calendar: str) -> tuple[NDArray[np.datetime64], ...]:
    """When PRE, REGULAR and POST begin and when all ends, datetime64[us] in UTC [S] each."""
    found = calendar_of(calendar)
    if calendar not in EXTENDED:
        return found.opens, found.opens, found.closes, found.closes
    import pandas as pd

    local = pd.DatetimeIndex(found.days.astype("datetime64[us]")) + PRE_OPENS
    pre = local.tz_localize(found.time_zone).tz_convert("UTC").tz_localize(None).to_numpy("datetime64[us]")
    return np.minimum(pre, found.opens), found.opens, found.closes, found.closes + POST_LASTS
