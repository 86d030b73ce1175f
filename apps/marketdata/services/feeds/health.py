"""What a live feed counts, and the rows in which others see it: its health every second, and the market's time for screens."""

from dataclasses import asdict, dataclass
from datetime import datetime

from django.db.models import Q

from apps.marketdata.domain.calendars import session_at
from apps.marketdata.models import FeedHealth, FeedState
from apps.marketdata.models.feed import FeedMode
from apps.marketdata.selectors.market import HOME_CALENDAR


@dataclass(slots=True, kw_only=True)
class FeedCounters:
    """Ticks: `received` = `refused` + `repeated` + `foreign` + `overflow` + `accepted`; `accepted` = `delivered` + `coalesced` + `waiting`.

    `foreign` belongs to a shard that another feed has, or to no symbol asked for. `accepted` is acknowledged: on the disk. `delivered`
    are rows sent to screens; `coalesced` were replaced by a later tick of the same symbol before they were sent. `stored` is in the
    database, `known` was there already, `refused_by_database` cannot be stored; `recovered` came from spools of runs that were killed.
    The others count faults and what waits.
    """

    received: int = 0
    accepted: int = 0
    refused: int = 0
    repeated: int = 0
    foreign: int = 0
    overflow: int = 0
    delivered: int = 0
    coalesced: int = 0
    waiting: int = 0
    stored: int = 0
    known: int = 0
    refused_by_database: int = 0
    recovered: int = 0
    bars: int = 0
    late_trades: int = 0
    outside_trades: int = 0
    reconnects: int = 0
    malformed: int = 0
    redis_faults: int = 0
    database_faults: int = 0
    spool_bytes: int = 0
    spool_ticks: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Which process of which feed."""

    instance: str
    feed: str
    provider: str
    host: str
    process: int
    started_at: datetime


def health_write(
    *, identity: Identity, counters: FeedCounters, shards: list[int], symbols: int, last_tick_at: datetime | None, at: datetime, ended: bool = False
) -> None:
    """Show how the process is doing."""
    values = {
        "feed": identity.feed,
        "provider": identity.provider,
        "host": identity.host,
        "process": identity.process,
        "started_at": identity.started_at,
        "updated_at": at,
        "last_tick_at": last_tick_at,
        "ended_at": at if ended else None,
        "shards": shards,
        "symbols": symbols,
        "counters": asdict(counters),
    }
    FeedHealth.objects.update_or_create(pk=identity.instance, defaults=values)


def state_write(*, feed: str, market_time: datetime, last_tick_at: datetime, calendars: list[str]) -> None:
    """Move the feed's row on; of several processes of a feed the one whose tick is newest wins."""
    values = {"mode": FeedMode.LIVE, "market_time": market_time, "session": session_at(HOME_CALENDAR, market_time)}
    values |= {"updated_at": last_tick_at, "ended": False, "calendars": calendars}
    _, made = FeedState.objects.get_or_create(pk=feed, defaults=values)
    if not made:
        FeedState.objects.filter(Q(updated_at__lt=last_tick_at) | ~Q(mode=FeedMode.LIVE), pk=feed).update(**values)
