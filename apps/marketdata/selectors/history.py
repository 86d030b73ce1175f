"""Daily bars session by session, for a replay: a year at a time in memory, however long the history is."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta

import numpy as np
from django.db import connection

from apps.marketdata.domain import calendars
from apps.marketdata.domain.bars import BarPanel
from apps.marketdata.domain.replay import Step, row_of, step_prices
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.models import FeedState, Instrument
from apps.marketdata.selectors.bars import bar_panel, bounds
from apps.marketdata.selectors.instruments import instruments_get
from apps.marketdata.selectors.market import HOME_CALENDAR

AHEAD = timedelta(days=366)


def symbols_with_daily_bars() -> tuple[str, ...]:
    """Symbols of all instruments that have a daily bar."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select symbol from marketdata_instrument as i where exists ("
            "select 1 from marketdata_bar where instrument_id = i.id and timeframe = %s) order by symbol",
            [int(Timeframe.DAY)],
        )
        return tuple(symbol for (symbol,) in cursor.fetchall())


def feed_state(name: str) -> FeedState | None:
    """Where a feed stands; None for one that never ran."""
    return FeedState.objects.filter(pk=name).first()


class SessionHistory:
    """The stored sessions of some symbols, in order. Only sessions of the home calendar are shown."""

    def __init__(self, symbols: Sequence[str]) -> None:
        self.instruments: dict[str, Instrument] = instruments_get(symbols)
        self._panel: BarPanel | None = None
        self._upto = date.min

    def next_session(self, after: date | None) -> date | None:
        """The first session with a bar of any symbol after a day (None: the very first); None when there is none."""
        day = after
        while True:
            found = self._first_bar_after(day)
            if found is None or calendars.is_session(HOME_CALENDAR, np.array([found], "datetime64[D]"))[0]:
                return found
            day = found

    def prices(self, session: date, step: Step) -> dict[str, float]:
        """What a step shows, by symbol; symbols without a bar in the session are left out."""
        panel = self._around(session)
        row = row_of(panel, session)
        return {} if row is None else step_prices(panel, row, step)

    def forget(self) -> None:
        """Read bars again: some may have been imported meanwhile."""
        self._panel = None

    def _around(self, session: date) -> BarPanel:
        panel = self._panel
        if panel is None or not len(panel) or not panel.ts[0] <= np.datetime64(session, "us") or session > self._upto:
            self._upto = session + AHEAD
            panel = bar_panel(symbols=tuple(self.instruments), timeframe=Timeframe.DAY, start=session, end=self._upto)
            self._panel = panel
        return panel

    def _first_bar_after(self, day: date | None) -> date | None:
        if day is not None and self._panel is not None and day < self._upto:
            known = self._panel.ts[self._panel.ts > np.datetime64(day, "us")]
            if len(known):
                first: datetime = known[0].item()
                return first.date()
        lower, _ = bounds(None if day is None else day + timedelta(days=1), None)
        with connection.cursor() as cursor:
            cursor.execute(
                "select min(b.ts) from unnest(%(ids)s::bigint[]) as i(id), lateral (select ts from marketdata_bar"
                " where instrument_id = i.id and timeframe = %(timeframe)s and ts >= %(lower)s order by ts limit 1) b",
                {"ids": [item.pk for item in self.instruments.values()], "timeframe": int(Timeframe.DAY), "lower": lower},
            )
            (found,) = cursor.fetchone()
        return found.date() if found else None
