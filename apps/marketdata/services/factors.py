"""Factor scores of a universe, computed from closes and fundamentals and stored with what they were made of."""

import hashlib
import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import lru_cache
from typing import Any

import numpy as np
from django.db import connection, transaction
from numpy.typing import NDArray

from apps.core.documents import plain
from apps.core.errors import InvalidInput, NotFound
from apps.core.jobs import NullProgress, Progress
from apps.core.locks import lock_transaction
from apps.marketdata.domain import calendars, cross_section, factors, fundamentals, windows
from apps.marketdata.domain.factors import DEFAULTS, FactorSettings, Scores, scores_panel
from apps.marketdata.domain.points import CloseKind, values_fingerprint
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.models import FactorRun, Universe
from apps.marketdata.selectors.closes import BARS, ClosePanel, closes_panel
from apps.marketdata.selectors.factors import SCORES, latest_factor_date, universe_members
from apps.marketdata.selectors.market import HOME_CALENDAR
from apps.marketdata.selectors.quarantine import quarantined_between
from apps.marketdata.selectors.ratios import fundamental_ratios
from apps.marketdata.services.points import points_merge
from apps.marketdata.services.storing import LOCK_TIMEOUT_MS, changes

Times = NDArray[np.datetime64]


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorReport:
    """What a computation did. `run` is None where it came to the numbers that were stored already.

    `scored` of `members` instruments have a composite on `last`; `first` and `last` are None where there was no date to score.
    """

    universe: str
    run: int | None
    first: date | None
    last: date | None
    dates: int
    members: int
    scored: int
    inserted: int
    revised: int
    unchanged: int

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return dict(plain(self))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Data:
    """Closes of the members on all sessions from the beginning of the warm-up; rows from `first` on are scored."""

    panel: ClosePanel
    sessions: Times
    closes: NDArray[np.float64]
    first: int


def factors_compute(
    *,
    universe: Universe,
    start: date | None = None,
    end: date | None = None,
    settings: FactorSettings = DEFAULTS,
    recorded_at: datetime,
    progress: Progress | None = None,
) -> FactorReport:
    """Score every session from `start` (None: the last one that was scored, so that late data counts) to `end` (None: the last close).

    In one transaction. Equal numbers are left alone; different ones become a new revision under a new run, so that what was known before
    can still be asked for. Raises NotFound when the universe has no instrument, and InvalidInput when `start` is after `end`.
    """
    progress = progress or NullProgress()
    members = universe_members(universe)
    if not members:
        raise NotFound(f"there are no instruments of the universe {universe.name.lower()}", field="universe")
    if start is not None and end is not None and start > end:
        raise InvalidInput(f"{start} is after {end}", field="start")
    with transaction.atomic():
        lock_transaction(f"marketdata.factors:{universe.name}", timeout_ms=LOCK_TIMEOUT_MS)
        progress.start(3, "reading closes")
        data = _load(universe, [item.symbol for item in members.values()], start, end, settings)
        if data.first >= len(data.sessions):
            return _report(universe, None, data, None, len(members), {"inserted": 0, "revised": 0, "unchanged": 0})
        progress.advance()
        progress.say(f"scoring {len(data.sessions) - data.first} dates of {len(members)} instruments")
        quality, value = fundamental_ratios({pk: item.symbol for pk, item in members.items()}, data.sessions)
        scores = scores_panel(data.closes, first=data.first, quality=quality, value=value, settings=settings)
        progress.advance()
        progress.say("storing")
        run, counts = _store(universe, list(members), data, scores, (*quality, *value), settings, recorded_at)
        progress.advance()
    return _report(universe, run, data, scores, len(members), counts)


def _load(universe: Universe, symbols: list[str], start: date | None, end: date | None, settings: FactorSettings) -> _Data:
    begin = start or latest_factor_date(universe)
    days = calendars.calendar_of(HOME_CALENDAR).days
    first = 0 if begin is None else int(np.searchsorted(days, np.datetime64(begin, "D")))
    from_day = days[max(0, first - settings.warm_up)].item() if begin is not None else None
    panel = closes_panel(symbols=symbols, adjustment=CloseKind.TOTAL_RETURN, start=from_day, end=end)
    if not len(panel):
        return _Data(panel=panel, sessions=panel.ts, closes=panel.close, first=0)
    low, high = np.searchsorted(days, [panel.ts[0].astype("datetime64[D]"), panel.ts[-1].astype("datetime64[D]") + 1])
    sessions = days[low:high].astype("datetime64[us]")
    closes = np.full((len(sessions), len(symbols)), np.nan)
    on_session = np.isin(panel.ts, sessions)
    closes[np.searchsorted(sessions, panel.ts[on_session])] = panel.close[on_session]
    _blank_quarantined(panel, sessions, closes)
    row = 0 if begin is None else int(np.searchsorted(sessions, np.datetime64(datetime.combine(begin, time()), "us")))
    return _Data(panel=panel, sessions=sessions, closes=closes, first=row)


def _blank_quarantined(panel: ClosePanel, sessions: Times, closes: NDArray[np.float64]) -> None:
    """Take out the closes of bars that must not be used: a hole is a reason, a wrong price would be a score."""
    held = quarantined_between(
        [symbol for symbol, source in zip(panel.symbols, panel.sources, strict=True) if source.startswith(BARS)],
        Timeframe.DAY,
        _day(sessions[0]),
        _day(sessions[-1]),
    )
    for symbol, periods in held.items():
        for period in periods:
            first = 0 if period.from_date is None else np.searchsorted(sessions, np.datetime64(period.from_date, "us"))
            last = len(sessions) if period.to_date is None else np.searchsorted(sessions, np.datetime64(period.to_date, "us"), side="right")
            closes[first:last, panel.symbols.index(symbol)] = np.nan


def _store(
    universe: Universe,
    ids: list[int],
    data: _Data,
    scores: Scores,
    ratios: Sequence[NDArray[np.float64]],
    settings: FactorSettings,
    recorded_at: datetime,
) -> tuple[int | None, dict[str, int]]:
    there = ~np.isnan(data.closes[data.first :]) & (scores.rank > 0).any(axis=1, keepdims=True)  # a date on which nobody has a rank is no date
    row, column = np.nonzero(there.T)[::-1]  # by instrument, then by date, as the key is
    rows = {"owner": np.array(ids, np.int64)[column], "ts": data.sessions[data.first :][row]}
    rows |= {name: getattr(scores, name)[row, column] for name in SCORES.value_names}
    run_id = _next_run_id()
    change = points_merge(SCORES, rows, fixed={"universe": int(universe)}, beside={"run_id": run_id}, recorded_at=recorded_at)
    counts = changes(change)
    if not counts["inserted"] + counts["revised"]:
        return None, counts
    FactorRun.objects.create(
        pk=run_id,
        universe=universe,
        first=_day(data.sessions[data.first]),
        last=_day(data.sessions[-1]),
        parameters=settings.as_dict(),
        sources=dict(zip(data.panel.symbols, data.panel.sources, strict=True)),
        dataset_fingerprint=values_fingerprint(data.panel.symbols, data.sessions, data.closes, *ratios),
        code_version=code_version(),
        recorded_at=recorded_at,
        **counts,
    )
    return run_id, counts


def _next_run_id() -> int:
    """A number for the run before its row is there: its scores carry it, and a run is never changed once it is written."""
    with connection.cursor() as cursor:
        cursor.execute("select nextval(pg_get_serial_sequence('marketdata_factorrun', 'id'))")
        return int(cursor.fetchone()[0])


@lru_cache(maxsize=1)
def code_version() -> str:
    """SHA-256 over the source of everything that a score depends on."""
    digest = hashlib.sha256()
    for module in (factors, cross_section, windows, fundamentals):
        digest.update(inspect.getsource(module).encode() + b"\0")
    return digest.hexdigest()


def _report(universe: Universe, run: int | None, data: _Data, scores: Scores | None, members: int, counts: dict[str, int]) -> FactorReport:
    done = scores is not None
    return FactorReport(
        universe=universe.name.lower(),
        run=run,
        first=_day(data.sessions[data.first]) if done else None,
        last=_day(data.sessions[-1]) if done else None,
        dates=len(data.sessions) - data.first if done else 0,
        members=members,
        scored=int((scores.rank[-1] > 0).sum()) if scores is not None else 0,
        **counts,
    )


def _day(moment: np.datetime64) -> date:
    day: date = moment.astype("datetime64[D]").item()
    return day
