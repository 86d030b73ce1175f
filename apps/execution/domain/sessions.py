"""Until when a day order works."""

from datetime import datetime

from apps.marketdata.domain.calendars import last_completed_session, next_session, session_hours


def day_order_end(*, calendar: str, market_time: datetime) -> datetime:
    """The close (UTC) of the first session of the calendar that ends after `market_time`.

    An order made while the market is shut belongs to the next session. Raises InvalidInput for an unknown calendar or a time outside it.
    """
    return session_hours(calendar, next_session(calendar, last_completed_session(calendar, market_time)))[1]
