"""When standing orders for data are due: by the exchange's calendar, with its holidays, half days and daylight saving, never by a local clock."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum

from apps.marketdata.domain import calendars

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ScheduleKind(StrEnum):
    """EVERY: day and night. IN_SESSION: from the open to the close. AFTER_CLOSE: once for each session."""

    EVERY = "every"
    IN_SESSION = "in_session"
    AFTER_CLOSE = "after_close"


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """`minutes` are those between two slots, after a close those that pass before the slot. A slot is the moment for which a run counts."""

    kind: ScheduleKind
    minutes: int
    calendar: str

    def latest(self, now: datetime) -> datetime:
        """The newest slot that is not after `now`. Raises InvalidInput before the calendar's first session."""
        step = timedelta(minutes=self.minutes)
        if self.kind is ScheduleKind.EVERY:
            return EPOCH + (now - EPOCH) // step * step
        if self.kind is ScheduleKind.AFTER_CLOSE:
            return self._close(calendars.last_completed_session(self.calendar, now - step)) + step
        opens, closes = calendars.session_hours(self.calendar, calendars.session_at(self.calendar, now))
        return opens + (min(now, closes) - opens) // step * step

    def following(self, now: datetime) -> datetime:
        """The first slot after `now`. Raises InvalidInput past the calendar's end."""
        step = timedelta(minutes=self.minutes)
        latest = self.latest(now)
        if self.kind is ScheduleKind.EVERY:
            return latest + step
        if self.kind is ScheduleKind.AFTER_CLOSE:
            return self._close(calendars.next_session(self.calendar, calendars.last_completed_session(self.calendar, now - step))) + step
        session = calendars.session_at(self.calendar, latest)
        if latest + step <= self._close(session):
            return latest + step
        return calendars.session_hours(self.calendar, calendars.next_session(self.calendar, session))[0]

    def due(self, now: datetime, last: datetime | None) -> datetime | None:
        """The slot to run for, None when it has been. Of several slots that were missed only the newest is made up for."""
        slot = self.latest(now)
        return slot if last is None or slot > last else None

    def _close(self, session: date) -> datetime:
        return calendars.session_hours(self.calendar, session)[1]
