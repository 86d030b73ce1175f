"""When a trade settles: sessions after the trade date, by a table of dated rules of the instrument's own market."""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np

from apps.marketdata.domain.calendars import calendar_of

#: First trade date -> sessions from trade to settlement.
Cycle = Sequence[tuple[date, int]]

#: SEC Rule 15c6-1.
_US: Cycle = ((date.min, 3), (date(2017, 9, 5), 2), (date(2024, 5, 28), 1))
#: Canada changed with the United States, a holiday earlier in 2024.
_CANADA: Cycle = ((date.min, 3), (date(2017, 9, 5), 2), (date(2024, 5, 27), 1))
#: CSDR Art. 5, and with it the United Kingdom and Switzerland: T+2 since 2014, T+1 from 11 October 2027 on.
_EUROPE: Cycle = ((date.min, 3), (date(2014, 10, 6), 2), (date(2027, 10, 11), 1))
#: Germany had T+2 long before.
_GERMANY: Cycle = ((date.min, 2), (date(2027, 10, 11), 1))
#: What most other markets have.
_OTHERS: Cycle = ((date.min, 2),)

_EUROPEAN = (
    "ASEX XAMS XBRA XBRU XBSE XBUD XCSE XCYS XDUB XHEL XICE XLIS XLIT XLJU XLON XLUX XMAD XMIL XOSL XPAR XPRA XRIS XSTO XSWX XTAL XWAR XWBO XZAG"
)
#: Rules by the name of the exchange's calendar (ISO 10383 MIC): the one place that knows them.
MARKETS: dict[str, Cycle] = {
    **dict.fromkeys(("XNYS", "XNAS"), _US),
    "XTSE": _CANADA,
    **dict.fromkeys(_EUROPEAN.split(), _EUROPE),
    **dict.fromkeys(["XDUS", "XETR", "XFRA", "XHAM", "XSTU"], _GERMANY),
    "XTKS": ((date.min, 3), (date(2019, 7, 16), 2)),
    "XASX": ((date.min, 3), (date(2016, 3, 7), 2)),
}
#: What changes hands with the trade.
AT_ONCE = frozenset({"crypto"})


def sessions_to_settle(calendar: str, trade_date: date) -> int:
    """T+n in force on a trade date at the exchange of that calendar; one that has no rules here has T+2."""
    rules = MARKETS.get(calendar, _OTHERS)
    return rules[bisect_right(rules, trade_date, key=lambda rule: rule[0]) - 1][1]


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
    at = trade_date + sessions_to_settle(calendar, found.days[trade_date].astype("datetime64[D]").item())
    last: np.datetime64 = found.days[min(at, len(found.days) - 1)]
    settles: date = last.astype("datetime64[D]").item()
    return settles
