"""Exchange calendars: which days have a session, and from when to when.

Read once per calendar from `exchange_calendars` into NumPy arrays, because that library costs about two seconds to import and
answers single questions slowly. Sessions from 1970 to 2040 as known to the installed version; a day outside is refused.
"""

import warnings
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, cast
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from apps.core.errors import InvalidInput

if TYPE_CHECKING:
    from exchange_calendars import ExchangeCalendar

FIRST_DAY = "1970-01-01"
LAST_DAY = "2040-12-31"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Calendar:
    """One exchange's sessions in order: `days` datetime64[D] [S], `opens` and `closes` datetime64[us] in UTC [S], `half` bool [S]."""

    name: str
    time_zone: str
    days: NDArray[np.datetime64]
    opens: NDArray[np.datetime64]
    closes: NDArray[np.datetime64]
    half: NDArray[np.bool_]

    def index_of(self, day: date) -> int:
        """Position of a session. Raises InvalidInput when the day has none."""
        at = int(np.searchsorted(self.days, np.datetime64(day, "D")))
        if at == len(self.days) or self.days[at] != np.datetime64(day, "D"):
            raise InvalidInput(f"{day} is no session of {self.name}", field="date")
        return at

    def last_before(self, day: date) -> int:
        """Position of the last session before a day, be it a session or not. Raises InvalidInput when the calendar begins later."""
        at = int(np.searchsorted(self.days, np.datetime64(day, "D"))) - 1
        if at < 0:
            raise InvalidInput(f"{self.name} is known from {self.days[0]} on, not before {day}", field="date")
        return at


@lru_cache(maxsize=64)
def calendar_of(name: str) -> Calendar:
    """The calendar of an exchange (ISO 10383 MIC, or "24/7"). Raises InvalidInput for an unknown name."""
    from exchange_calendars.errors import InvalidCalendarName

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its warnings speak of pandas' future, which is pinned
        try:
            source = _load(name)
        except InvalidCalendarName as error:
            raise InvalidInput(f"{name!r} is no exchange calendar", field="calendar") from error
    days = source.sessions.values.astype("datetime64[D]")
    return Calendar(
        name=name,
        time_zone=str(source.tz),
        days=days,
        half=np.isin(days, source.early_closes.values.astype("datetime64[D]")),
        opens=source.schedule["open"].dt.tz_localize(None).to_numpy("datetime64[us]"),
        closes=source.schedule["close"].dt.tz_localize(None).to_numpy("datetime64[us]"),
    )


def _load(name: str) -> "ExchangeCalendar":
    """The library's calendar from 1970 to 2040, or as far as the exchange's history and its holidays are known to it."""
    import exchange_calendars
    import pandas as pd

    try:
        return exchange_calendars.get_calendar(name, start=FIRST_DAY, end=LAST_DAY)
    except ValueError:
        known = exchange_calendars.get_calendar(name)
        first, last = known.bound_min(), known.bound_max()
        return exchange_calendars.get_calendar(
            name, start=FIRST_DAY if first is None else max(first, pd.Timestamp(FIRST_DAY)), end=LAST_DAY if last is None else last
        )


def sessions(calendar: str, start: date, end: date) -> tuple[date, ...]:
    """Session dates from `start` to `end`, both inclusive."""
    days = calendar_of(calendar).days
    first, last = np.searchsorted(days, [np.datetime64(start, "D"), np.datetime64(end, "D") + 1])
    return tuple(days[first:last].tolist())


def session_hours(calendar: str, day: date) -> tuple[datetime, datetime]:
    """Open and close of a session in UTC, half days included. Raises InvalidInput when the day has no session."""
    found = calendar_of(calendar)
    at = found.index_of(day)
    return _utc(found.opens[at]), _utc(found.closes[at])


def is_half_day(calendar: str, day: date) -> bool:
    """True for a session that closes early. Raises InvalidInput when the day has no session."""
    found = calendar_of(calendar)
    return bool(found.half[found.index_of(day)])


def previous_session(calendar: str, day: date) -> date:
    """The last session before a day."""
    found = calendar_of(calendar)
    return _date(found.days[found.last_before(day)])


def next_session(calendar: str, day: date) -> date:
    """The first session after a day. Raises InvalidInput past the calendar's end."""
    found = calendar_of(calendar)
    at = int(np.searchsorted(found.days, np.datetime64(day, "D"), side="right"))
    if at == len(found.days):
        raise InvalidInput(f"{calendar} is known up to {found.days[-1]}, not after {day}", field="date")
    return _date(found.days[at])


def session_at(calendar: str, moment: datetime) -> date:
    """The session that a moment belongs to: the last one that has opened. Between two sessions it is still the earlier one."""
    found = calendar_of(calendar)
    at = int(np.searchsorted(found.opens, _naive(moment), side="right")) - 1
    if at < 0:
        raise InvalidInput(f"{calendar} is known from {found.days[0]} on", field="date")
    return _date(found.days[at])


def last_completed_session(calendar: str, moment: datetime) -> date:
    """The last session whose close is not after the moment."""
    found = calendar_of(calendar)
    at = int(np.searchsorted(found.closes, _naive(moment), side="right")) - 1
    if at < 0:
        raise InvalidInput(f"{calendar} is known from {found.days[0]} on", field="date")
    return _date(found.days[at])


def is_open(calendar: str, moment: datetime) -> bool:
    """True from the open (inclusive) to the close (exclusive) of a session."""
    found = calendar_of(calendar)
    at = int(np.searchsorted(found.opens, _naive(moment), side="right")) - 1
    return at >= 0 and bool(_naive(moment) < found.closes[at])


def next_change(calendar: str, moment: datetime) -> datetime | None:
    """When the market will next open or close, in UTC; None past the calendar's end."""
    found = calendar_of(calendar)
    at = int(np.searchsorted(found.closes, _naive(moment), side="right"))
    if at == len(found.closes):
        return None
    opens = found.opens[at]
    return _utc(opens if _naive(moment) < opens else found.closes[at])


def sessions_between(calendar: str, first: date, last: date) -> int:
    """Number of sessions after `first` up to and with `last`; 0 when `last` is not later."""
    days = calendar_of(calendar).days
    before, upto = np.searchsorted(days, [np.datetime64(first, "D") + 1, np.datetime64(last, "D") + 1])
    return max(0, int(upto - before))


def local_dates(calendar: str, moments: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
    """Dates datetime64[D] [T] on the exchange's own clock of moments in UTC datetime64[us] [T]."""
    import pandas as pd

    local = pd.DatetimeIndex(moments).tz_localize("UTC").tz_convert(calendar_of(calendar).time_zone)
    return np.asarray(local.tz_localize(None).values.astype("datetime64[D]"))


def local_date(calendar: str, moment: datetime) -> date:
    """The date on the exchange's own clock."""
    return moment.astimezone(ZoneInfo(calendar_of(calendar).time_zone)).date()


def is_session(calendar: str, days: NDArray[np.datetime64]) -> NDArray[np.bool_]:
    """For each day datetime64[D] [T] whether it has a session [T]. Not-a-time has none."""
    known = calendar_of(calendar).days
    at = np.minimum(np.searchsorted(known, days), len(known) - 1)
    return np.asarray(known[at] == days)


def _naive(moment: datetime) -> np.datetime64:
    return np.datetime64(moment.astimezone(UTC).replace(tzinfo=None), "us")


def _utc(moment: np.datetime64) -> datetime:
    value: datetime = moment.astype("datetime64[us]").item()
    return value.replace(tzinfo=UTC)


def _date(day: np.datetime64) -> date:
    return cast(date, day.item())
