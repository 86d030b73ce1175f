"""What time it is in the market that the desk shows: a replay's time, or the wall clock's."""

from dataclasses import dataclass
from datetime import date, datetime

from apps.core.postgres.rows import fetch
from apps.marketdata.domain import calendars
from apps.marketdata.domain.sessions import session_part
from apps.marketdata.models import FeedState, Instrument
from apps.marketdata.models.feed import FeedMode

#: The market's time as an expression of SQL: `at` is the wall time. For an order that waits, which asks other things by the same query.
MARKET_TIME = f"""coalesce((select case when mode = '{FeedMode.LIVE.value}' then %(at)s::timestamptz else market_time end
    from marketdata_feedstate order by updated_at desc limit 1), %(at)s::timestamptz)"""  # noqa: S608 - a choice of ours
#: The desk's own exchange, which says whether "the market" is open.
HOME_CALENDAR = "XNYS"


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketClock:
    """`mode` is "replay", "live" or "none" (no feed has ever run: market_time is the wall time).

    `session` is the session that has opened last, `next_change` the next open or close in market time, `feed_age_seconds` the
    time since the feed moved (None without a feed), `ended` whether a replay has come to its last bar, `half_day` whether the market
    closes early today, `part` "pre", "regular", "post" or "closed".
    """

    mode: str
    market_time: datetime
    session: date
    is_open: bool
    next_change: datetime | None
    feed_age_seconds: float | None
    ended: bool
    half_day: bool
    part: str


def market_clock(now: datetime) -> MarketClock:
    """The market's clock as shown by the feed that moved last."""
    state = FeedState.objects.order_by("-updated_at").first()
    if state is None:
        return clock_at(now, mode="none", feed_age_seconds=None)
    age = max(0.0, (now - state.updated_at).total_seconds())
    return clock_at(now if state.mode == FeedMode.LIVE else state.market_time, mode=state.mode, feed_age_seconds=age, ended=state.ended)


def market_time_at(now: datetime) -> datetime:
    """The market's time alone, as `market_clock` says it."""
    moment: datetime = fetch(f"select {MARKET_TIME}", {"at": now})[0][0]
    return moment


def clock_at(market_time: datetime, *, mode: str, feed_age_seconds: float | None, ended: bool = False) -> MarketClock:
    """The clock of the home market at a time of that market."""
    return MarketClock(
        mode=mode,
        market_time=market_time,
        session=calendars.session_at(HOME_CALENDAR, market_time),
        is_open=calendars.is_open(HOME_CALENDAR, market_time),
        next_change=calendars.next_change(HOME_CALENDAR, market_time),
        feed_age_seconds=feed_age_seconds,
        ended=ended,
        half_day=_is_half_day(market_time),
        part=session_part(HOME_CALENDAR, market_time).name.lower(),
    )


def is_delisted(instrument: Instrument, now: datetime) -> bool:
    """Whether an instrument no longer trades at the market's time. Asks the database only about one with a day of delisting."""
    return instrument.delisted_on is not None and calendars.local_date(instrument.calendar, market_clock(now).market_time) >= instrument.delisted_on


def _is_half_day(market_time: datetime) -> bool:
    today = calendars.local_date(HOME_CALENDAR, market_time)
    return bool(calendars.sessions(HOME_CALENDAR, today, today)) and calendars.is_half_day(HOME_CALENDAR, today)
