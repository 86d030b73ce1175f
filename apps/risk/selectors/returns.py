"""The matrix of daily returns under every number of risk, read once and kept in the process for as long as its data stays the same."""

from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime, time
from typing import Any, Final

import numpy as np
from django.db import connection

from apps.core.kept import Kept
from apps.marketdata.domain import calendars
from apps.marketdata.domain.points import CloseKind
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.selectors.closes import closes_panel
from apps.marketdata.selectors.instruments import instruments_known
from apps.marketdata.selectors.market import HOME_CALENDAR
from apps.risk.domain.returns import session_returns
from apps.risk.domain.risk_numbers import ReturnMatrix, matrix_of

#: Sessions of history that risk is measured on, where nobody says otherwise: two years.
WINDOW: Final = 500
#: For how long [s] a matrix is kept at most: bars that fill a hole in the middle change neither the first nor the last bar.
LONGEST_SECONDS: Final = 600.0

Key = tuple[tuple[str, ...], date, int]
_kept: Kept[Key, tuple[tuple[Any, ...], ReturnMatrix]] = Kept(most=32, seconds=LONGEST_SECONDS)


def return_matrix(symbols: Sequence[str], *, end: date, days: int = WINDOW) -> ReturnMatrix:
    """Total returns (splits and dividends as known now) of `days` sessions up to and including `end`, columns in the order given.

    Sessions are those of the home market. A symbol that the desk does not know has a column without returns. The same object comes back
    while what is stored is the same; nobody writes to it.
    """
    key: Key = (tuple(symbols), end, days)
    sessions = _sessions(end, days)
    ids = {symbol: item.pk for symbol, item in instruments_known(symbols).items()}
    revision = closes_revision(list(ids.values()), sessions[0].item(), sessions[-1].item()) if len(sessions) else ()
    before = _kept.get(key)
    if before is not None and before[0] == revision:
        return before[1]
    found = _read(key[0], list(ids), sessions)
    if before is not None and before[1].fingerprint == found.fingerprint:
        found = before[1]  # with all that was derived from it
    _kept.put(key, (revision, found))
    return found


def _sessions(end: date, days: int) -> np.ndarray[Any, np.dtype[np.datetime64]]:
    """The `days` + 1 sessions up to a day: so many returns."""
    known = calendars.calendar_of(HOME_CALENDAR).days
    last = int(np.searchsorted(known, np.datetime64(end, "D"), side="right"))
    return known[max(0, last - days - 1) : last]


def _read(symbols: tuple[str, ...], known: list[str], sessions: np.ndarray[Any, np.dtype[np.datetime64]]) -> ReturnMatrix:
    returns = np.full((max(0, len(sessions) - 1), len(symbols)), np.nan)
    if known and len(sessions) > 1:
        first, last = sessions[0].item(), sessions[-1].item()
        panel = closes_panel(symbols=known, adjustment=CloseKind.TOTAL_RETURN, start=first, end=last)
        column = {symbol: at for at, symbol in enumerate(symbols)}
        returns[:, [column[symbol] for symbol in panel.symbols]] = session_returns(panel.ts, panel.close, sessions)
    return matrix_of(symbols=symbols, dates=sessions[1:], returns=returns)


#: What says cheaply that stored closes are not the same any more: of each instrument the newest row that could matter, the oldest bar of the
#: range, whether a bar of it was revised, and the newest corporate action.
_REVISION = """
select i.id,
    (select (b.ts, b.revision, b.recorded_at)::text from marketdata_bar b where b.instrument_id = i.id and b.timeframe = %(timeframe)s
        and b.ts <= %(last)s order by b.ts desc, b.revision desc limit 1),
    (select (b.ts, b.recorded_at)::text from marketdata_bar b where b.instrument_id = i.id and b.timeframe = %(timeframe)s
        and b.ts >= %(first)s order by b.ts limit 1),
    (select max(b.recorded_at) from marketdata_bar b where b.instrument_id = i.id and b.timeframe = %(timeframe)s and b.revision > 0
        and b.ts >= %(first)s and b.ts <= %(last)s),
    (select (c.ts, c.revision, c.recorded_at)::text from marketdata_closeprice c where c.instrument_id = i.id and c.adjustment = 1
        and c.ts <= %(last)s order by c.ts desc, c.revision desc limit 1),
    (select max(a.id) from marketdata_corporateaction a where a.instrument_id = i.id)
from unnest(%(ids)s::bigint[]) as i(id)
"""


def closes_revision(ids: Collection[int], first: date, last: date) -> tuple[Any, ...]:
    """Another value as soon as closes of these instruments from `first` to `last` are others, except for bars that fill a hole in the middle."""
    if not ids:
        return ()
    bounds = {name: datetime.combine(day, time(), UTC) for name, day in (("first", first), ("last", last))}
    with connection.cursor() as cursor:
        cursor.execute(_REVISION, {"ids": list(ids), "timeframe": int(Timeframe.DAY), **bounds})
        return tuple(cursor.fetchall())
