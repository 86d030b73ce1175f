"""When a trade settles: sessions after the trade date, by a table of dated rules (SEC Rule 15c6-1)."""

from bisect import bisect_right
from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np

from apps.marketdata.domain.calendars import calendar_of

#: First trade date -> sessions from trade to settlement, for US equities.
US_EQUITIES = ((date.min, 3), (date(2017, 9, 5), 2), (date(2024, 5, 28), 1))
#: What changes hands with the trade.
AT_ONCE = frozenset({"crypto"})


def sessions_to_settle(trade_date: date) -> int:
    """T+n in force on a trade date."""
    return US_EQUITIES[bisect_right(US_EQUITIES, trade_date, key=lambda rule: rule[0]) - 1][1]


def local_date(calendar: str, moment: datetime) -> date:
    """The exchange's own date at a moment."""
    return moment.astimezone(ZoneInfo(calendar_of(calendar).time_zone)).date()


def trade_settles_on(*, calendar: str, asset_class: str, traded_at: datetime) -> date:
    """Settlement date of a trade. Its trade date is the exchange's date, before and after the session too; a trade on a day without a
    session counts for the session before. Raises InvalidInput for an unknown calendar or a day that it does not cover."""
    return _settles_on(calendar, asset_class, local_date(calendar, traded_at))


@lru_cache(maxsize=4096)
def _settles_on(calendar: str, asset_class: str, day: date) -> date:
    if asset_class in AT_ONCE:
        return day
    found = calendar_of(calendar)
    trade_date = found.last_before(day + timedelta(days=1))
    at = trade_date + sessions_to_settle(found.days[trade_date].astype("datetime64[D]").item())
    last: np.datetime64 = found.days[min(at, len(found.days) - 1)]
    settles: date = last.astype("datetime64[D]").item()
    return settles
