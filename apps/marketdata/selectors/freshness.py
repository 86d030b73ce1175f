"""Which data is older than the calendar allows."""

from dataclasses import dataclass
from datetime import date, datetime

from apps.marketdata.domain import calendars
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.models import Instrument
from apps.marketdata.models.feed import FeedMode
from apps.marketdata.selectors.bars import bar_range
from apps.marketdata.selectors.feeds import feeds_still
from apps.marketdata.selectors.instruments import tradable_instruments
from apps.marketdata.selectors.market import MarketClock, market_clock
from apps.marketdata.selectors.quotes import Quote, latest_quotes

#: While the market is open a feed moves at least so often (wall time).
FEED_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """How old one instrument's data is. `sessions_behind` counts sessions that have closed since its last daily bar (None: it has
    none); `quote_age_seconds` is wall time since its last quote (None: it has none, or no feed runs).
    """

    symbol: str
    last_bar: date | None
    sessions_behind: int | None
    quote_age_seconds: float | None

    @property
    def stale(self) -> bool:
        """True when a daily bar that should be there is missing."""
        return self.sessions_behind is None or self.sessions_behind > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshnessReport:
    """All tradable instruments at one moment of the market. `feed_stopped`: a market is open and its feed has not moved; `feeds_still`
    are the live feeds of which that is true, each by the calendars of its own symbols.
    """

    market_time: datetime
    feed_stopped: bool
    feeds_still: tuple[str, ...]
    instruments: tuple[Freshness, ...]

    @property
    def stale(self) -> tuple[Freshness, ...]:
        return tuple(item for item in self.instruments if item.stale)


def data_freshness(now: datetime) -> FreshnessReport:
    """Compare the last daily bar of every listed, tradable instrument with its calendar, and the feed with the clock.

    Raises Unavailable when Redis does not answer.
    """
    clock = market_clock(now)
    instruments = tradable_instruments(on=clock.session)
    ranges = bar_range(symbols=[item.symbol for item in instruments], timeframe=Timeframe.DAY)
    quotes = {} if clock.mode == "none" else latest_quotes(item.symbol for item in instruments)
    rows = tuple(_row(item, ranges.get(item.symbol), quotes.get(item.symbol), clock, now) for item in instruments)
    still = feeds_still(now)
    return FreshnessReport(market_time=clock.market_time, feed_stopped=bool(still) or _stopped(clock), feeds_still=still, instruments=rows)


def _row(item: Instrument, known: tuple[datetime, datetime] | None, quote: Quote | None, clock: MarketClock, now: datetime) -> Freshness:
    due = calendars.last_completed_session(item.calendar, clock.market_time)
    last = known[1].date() if known else None
    return Freshness(
        symbol=item.symbol,
        last_bar=last,
        sessions_behind=None if last is None else calendars.sessions_between(item.calendar, last, due),
        quote_age_seconds=None if quote is None else (now - quote.received_at).total_seconds(),
    )


def _stopped(clock: MarketClock) -> bool:
    """Of a replay, in its own time."""
    return (
        clock.mode == FeedMode.REPLAY
        and clock.is_open
        and not clock.ended
        and clock.feed_age_seconds is not None
        and clock.feed_age_seconds > FEED_SECONDS
    )
