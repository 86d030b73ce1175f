"""How fresh the desk's data is, in a few numbers."""

from dataclasses import dataclass
from datetime import date, datetime

from apps.marketdata.domain import calendars
from apps.marketdata.models import AssetClass, Instrument
from apps.marketdata.selectors.factors import latest_factor_date
from apps.marketdata.selectors.feeds import ProcessStatus, feed_status
from apps.marketdata.selectors.freshness import data_freshness
from apps.marketdata.selectors.market import HOME_CALENDAR, market_clock


@dataclass(frozen=True, slots=True, kw_only=True)
class DataStatus:
    """`latest_price_date`: the newest daily bar of a tradable instrument which the market's time has reached, `days_old` the days since,
    in the market's time; None without bars. `stale` instruments lack a bar that the calendar says should be there. `live_feeds` are the
    processes of live feeds that ran within a day.
    """

    latest_price_date: date | None
    days_old: int | None
    num_etfs: int
    latest_factor_date: date | None
    num_instruments: int
    stale: int
    stale_symbols: tuple[str, ...]
    feed: str
    feed_stopped: bool
    market_time: datetime
    live_feeds: tuple[ProcessStatus, ...]


def data_status(now: datetime) -> DataStatus:
    """The state of the data at this moment. Raises Unavailable when Redis does not answer."""
    report = data_freshness(now)
    visible = calendars.last_completed_session(HOME_CALENDAR, report.market_time)
    reached = [min(item.last_bar, visible) for item in report.instruments if item.last_bar is not None]
    latest = max(reached, default=None)
    return DataStatus(
        latest_price_date=latest,
        days_old=None if latest is None else max(0, (report.market_time.date() - latest).days),
        num_etfs=Instrument.objects.filter(asset_class=AssetClass.ETF).count(),
        latest_factor_date=latest_factor_date(until=visible),
        num_instruments=len(report.instruments),
        stale=len(report.stale),
        stale_symbols=tuple(item.symbol for item in report.stale),
        feed=market_clock(now).mode,
        feed_stopped=report.feed_stopped,
        market_time=report.market_time,
        live_feeds=feed_status(now).processes,
    )
