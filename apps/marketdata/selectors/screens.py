"""Screens: a query over many instruments as of a day, never later than the market's time; and saved queries that a user sees."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

import numpy as np
from django.db.models import BooleanField, ExpressionWrapper, Q, QuerySet
from numpy.typing import NDArray

from apps.core.errors import InvalidInput, NotFound
from apps.marketdata.domain import calendars
from apps.marketdata.domain.adjustment import Adjustment
from apps.marketdata.domain.bars import BarSeries
from apps.marketdata.domain.screening import Column, Fact, Query, Screened, Term, evaluate
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.models import Instrument, Screen, Universe
from apps.marketdata.selectors.bars import visible_until
from apps.marketdata.selectors.factors import factor_scores, latest_factor_date
from apps.marketdata.selectors.features import warm_start
from apps.marketdata.selectors.fundamentals import fundamentals_as_of
from apps.marketdata.selectors.market import market_clock
from apps.marketdata.selectors.resampled import panel_at
from apps.marketdata.selectors.universes import universe_members
from apps.marketdata.selectors.watchlists import watched_instruments, watchlist_get

if TYPE_CHECKING:
    from apps.core.models import User

EVERYTHING = "all"
WATCHLIST = "watchlist:"
#: Of a figure that is reported for several periods the first of these counts: a year's earnings, not a quarter's.
PERIOD_ORDER = ("ttm", "year", "instant", "quarter")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenRow:
    """An instrument that matches, with what the query names of it by the texts of `ScreenResult.columns`."""

    symbol: str
    name: str
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenResult:
    """What a screen found in the data of `day`. `missing` gives the instruments that could not be scored, by reason."""

    query: Query
    day: date
    universe: int
    scored: int
    columns: tuple[str, ...]
    rows: tuple[ScreenRow, ...]
    missing: Mapping[str, tuple[str, ...]]
    facts_of: Mapping[str, date]

    @property
    def coverage(self) -> str:
        """ "scored 5 of 7; 2 without enough bars: FB, GOOG"."""
        parts = [
            f"{len(symbols)} {reason}: {', '.join(symbols[:10])}{' ...' if len(symbols) > 10 else ''}" for reason, symbols in self.missing.items()
        ]
        return "; ".join([f"scored {self.scored} of {self.universe}", *parts])


def screen_run(*, query: Query, universe: str, user: "User", now: datetime, day: date | None = None) -> ScreenResult:
    """Run a query on daily bars adjusted for splits, at the last session not after `day` that has closed by the market's time.

    `universe` is "all", "watchlist:<id>", or the name of a universe or asset class, whose members on that day are looked at: also those
    that left or were delisted later. A match needs everything that the query names to be known. Raises InvalidInput
    and NotFound for a universe that is none.
    """
    end = visible_until(now, timeframe=Timeframe.DAY, end=day)
    shown = end.date() if isinstance(end, datetime) else end
    instruments = _universe(universe, user, shown)
    series = _series(instruments, query, shown)
    facts, facts_of = _factors(query, instruments, shown)
    facts |= _fundamentals(query, instruments, min(market_clock(now).market_time, datetime.combine(shown + timedelta(days=1), time(), UTC)))
    found = evaluate(query, series, facts)
    current = np.array([_current(item, bars, shown) for item, bars in zip(instruments, series, strict=True)], bool)
    scored, matches = found.scored & current, found.matches & current
    columns = tuple(str(leaf) for leaf in query.leaves)
    return ScreenResult(
        query=query,
        day=shown,
        universe=len(instruments),
        scored=int(scored.sum()),
        columns=columns,
        rows=tuple(_row(instruments[at], at, columns, found) for at in np.flatnonzero(matches).tolist()),
        missing=_missing(instruments, query, found, current, scored),
        facts_of=facts_of,
    )


def screens_visible(user: "User") -> QuerySet[Screen]:
    """The user's own saved screens, then those that others share, by name."""
    own = ExpressionWrapper(Q(owner_id=user.pk), output_field=BooleanField())
    return Screen.objects.filter(Q(owner_id=user.pk) | Q(shared=True)).select_related("owner").order_by(own.desc(), "name", "pk")


def screen_get(*, user: "User", screen_id: int) -> Screen:
    """Raises NotFound, also for a screen of others that is not shared."""
    found = screens_visible(user).filter(pk=screen_id).first()
    if found is None:
        raise NotFound(f"no screen {screen_id}")
    return found


def _universe(code: str, user: "User", day: date) -> list[Instrument]:
    if code == EVERYTHING:
        return list(Instrument.objects.order_by("symbol"))
    if code.startswith(WATCHLIST) and code.removeprefix(WATCHLIST).isdecimal():
        return watched_instruments(watchlist_get(user=user, watchlist_id=int(code.removeprefix(WATCHLIST))))
    try:
        members = universe_members(code, on=day)
    except NotFound as error:
        raise InvalidInput(f"{error.detail}, {EVERYTHING}, {WATCHLIST}<number>", field="universe") from error
    return list(Instrument.objects.filter(pk__in=[one.instrument_id for one in members]).order_by("symbol"))


def _series(instruments: Sequence[Instrument], query: Query, day: date) -> list[BarSeries]:
    """Bars up to the day, as many as the query needs."""
    if not instruments:
        return []
    after = datetime.combine(day, time(), UTC) + timedelta(days=1)
    memory = query.memory
    start = None if memory is None else warm_start([item.pk for item in instruments], Timeframe.DAY, after, memory + 1)
    panel = panel_at(symbols=[item.symbol for item in instruments], timeframe=Timeframe.DAY, start=start, end=day, adjustment=Adjustment.SPLIT)
    return [panel.series(item.symbol) for item in instruments]


def _current(instrument: Instrument, bars: BarSeries, day: date) -> bool:
    """Whether the last bar is that of the day, or of the last session before where the exchange was closed on it."""
    is_session = bool(calendars.is_session(instrument.calendar, np.array([day], "datetime64[D]"))[0])
    due = day if is_session else calendars.previous_session(instrument.calendar, day)
    return len(bars) > 0 and bool(bars.ts[-1] >= np.datetime64(due, "us"))


def _factors(query: Query, instruments: Sequence[Instrument], day: date) -> tuple[dict[str, NDArray[np.float64]], dict[str, date]]:
    """Factor scores of the last date not after the day, by the text of the fact; and the dates that they are of, by universe."""
    wanted = [leaf for leaf in query.leaves if isinstance(leaf, Fact) and leaf.kind == "factor"]
    facts = {str(leaf): np.full(len(instruments), np.nan) for leaf in wanted}
    dates: dict[str, date] = {}
    place = {item.symbol: at for at, item in enumerate(instruments)}
    for universe in Universe if wanted else ():
        latest = latest_factor_date(universe, day)
        if latest is None:
            continue
        dates[universe.name.lower()] = latest
        for row in factor_scores(universe, latest):
            for leaf in wanted:
                value = getattr(row, leaf.name)
                if row.ticker in place and value is not None:
                    facts[str(leaf)][place[row.ticker]] = value
    return facts, dates


def _fundamentals(query: Query, instruments: Sequence[Instrument], moment: datetime) -> dict[str, NDArray[np.float64]]:
    """The newest figures that were published by the moment, of the longest period that is reported: see PERIOD_ORDER."""
    wanted = {leaf.name: str(leaf) for leaf in query.leaves if isinstance(leaf, Fact) and leaf.kind == "fundamental"}
    facts = {text: np.full(len(instruments), np.nan) for text in wanted.values()}
    if not wanted or not instruments:
        return facts
    place = {item.symbol: at for at, item in enumerate(instruments)}
    said = fundamentals_as_of(list(place), list(wanted), moment)
    for fact in sorted(said, key=lambda one: PERIOD_ORDER.index(one.period), reverse=True):  # the first of the order is written last
        facts[wanted[fact.metric]][place[fact.symbol]] = fact.value
    return facts


def _row(instrument: Instrument, at: int, columns: Sequence[str], found: Screened) -> ScreenRow:
    return ScreenRow(symbol=instrument.symbol, name=instrument.name, values={name: float(found.values[name][at]) for name in columns})


def _missing(
    instruments: Sequence[Instrument], query: Query, found: Screened, current: NDArray[np.bool_], scored: NDArray[np.bool_]
) -> dict[str, tuple[str, ...]]:
    """Why instruments were not scored: the first reason that holds."""
    lacking = np.zeros(len(instruments), bool)
    unknown = np.zeros(len(instruments), bool)
    for leaf in query.leaves:
        absent = ~np.isfinite(found.values[str(leaf)])
        lacking |= absent & isinstance(leaf, Column | Term)
        unknown |= absent & isinstance(leaf, Fact)
    reasons = {
        "without a bar of the day": ~current,
        "without enough bars": current & lacking,
        "without the facts": current & ~lacking & unknown,
        "where it cannot be computed": current & ~lacking & ~unknown & ~scored,
    }
    return {reason: tuple(instruments[at].symbol for at in np.flatnonzero(mask).tolist()) for reason, mask in reasons.items() if mask.any()}
