"""How the live feeds are doing."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from apps.marketdata.domain import calendars
from apps.marketdata.models import FeedFault, FeedHealth, FeedState
from apps.marketdata.models.feed import FeedMode

#: A process that has not shown itself for so long is dead, or its database is away.
LOST_SECONDS = 10.0
#: While a market is open a feed moves at least so often (wall time).
STILL_SECONDS = 60.0
SHOWN_FOR = timedelta(days=1)
FAULTS_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessStatus:
    """One process of a feed. `state` is "running", "lost" (it says nothing any more) or "ended"."""

    feed: str
    provider: str
    host: str
    process: int
    state: str
    started_at: datetime
    age_seconds: float
    last_tick_age_seconds: float | None
    shards: tuple[int, ...]
    symbols: int
    counters: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRow:
    """Something that went wrong; see `models.feed.FaultKind`."""

    feed: str
    kind: str
    from_at: datetime
    to_at: datetime
    count: int
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedStatus:
    """All processes of the last day, and what went wrong lately, newest first. `still`: feeds that should move and do not."""

    processes: tuple[ProcessStatus, ...]
    faults: tuple[FaultRow, ...]
    still: tuple[str, ...]

    @property
    def text(self) -> str:
        """For people."""
        lines = [_line(item) for item in self.processes] or ["No live feed has run within a day."]
        lines += [f"{name} stands still although its market is open" for name in self.still]
        lines += [f"{item.to_at:%Y-%m-%d %H:%M:%S}Z {item.feed} {item.kind} ({item.count}): {item.detail}" for item in self.faults]
        return "\n".join(lines)


def feed_status(now: datetime) -> FeedStatus:
    """Processes, faults and feeds that stand still."""
    rows = FeedHealth.objects.filter(updated_at__gt=now - SHOWN_FOR).order_by("feed", "-updated_at")
    faults = FeedFault.objects.filter(to_at__gt=now - SHOWN_FOR).order_by("-to_at", "-pk")[:FAULTS_SHOWN]
    names = ("feed", "kind", "from_at", "to_at", "count", "detail")
    return FeedStatus(
        processes=tuple(_process(row, now) for row in rows),
        faults=tuple(FaultRow(**{name: getattr(row, name) for name in names}) for row in faults),
        still=feeds_still(now),
    )


def feeds_still(now: datetime) -> tuple[str, ...]:
    """Live feeds without a tick for a minute while a market of theirs is open, half days included. A market that has just opened
    is given its minute; a feed whose processes were all ended in order is not expected to move.
    """
    names = FeedState.objects.filter(mode=FeedMode.LIVE).order_by("name")
    return tuple(state.name for state in names if not _was_ended(state.name) and is_still(state.calendars, state.updated_at, now))


def is_still(names: list[str], moved_at: datetime, now: datetime) -> bool:
    """Whether a feed of these calendars should have moved and has not."""
    return any(calendars.is_open(name, now) and (now - max(moved_at, _opened_at(name, now))).total_seconds() > STILL_SECONDS for name in names)


def _opened_at(name: str, now: datetime) -> datetime:
    opened, _ = calendars.session_hours(name, calendars.session_at(name, now))
    return opened


def _was_ended(feed: str) -> bool:
    rows = list(FeedHealth.objects.filter(feed=feed).order_by("-updated_at").values_list("ended_at", flat=True)[:1])
    return bool(rows) and rows[0] is not None


def _process(row: FeedHealth, now: datetime) -> ProcessStatus:
    age = max(0.0, (now - row.updated_at).total_seconds())
    return ProcessStatus(
        feed=row.feed,
        provider=row.provider,
        host=row.host,
        process=row.process,
        state="ended" if row.ended_at else "lost" if age > LOST_SECONDS else "running",
        started_at=row.started_at,
        age_seconds=age,
        last_tick_age_seconds=None if row.last_tick_at is None else max(0.0, (now - row.last_tick_at).total_seconds()),
        shards=tuple(row.shards),
        symbols=row.symbols,
        counters=row.counters,
    )


def _line(item: ProcessStatus) -> str:
    counters = item.counters
    last = "no tick yet" if item.last_tick_age_seconds is None else f"last tick {item.last_tick_age_seconds:.1f} s ago"
    counted = ", ".join(
        f"{counters.get(name, 0)} {name.replace('_', ' ')}" for name in ("accepted", "coalesced", "refused", "overflow", "spool_ticks", "reconnects")
    )
    return f"{item.feed} ({item.provider}) on {item.host}, process {item.process}: {item.state}, {item.symbols} symbols, {last}; {counted}"
