"""What the market says of one instrument, for an order that waits to be judged: one query."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection

from apps.core.money import price_from_float
from apps.core.postgres.base import Question
from apps.core.postgres.rows import fetch
from apps.core.trading import MarketFacts
from apps.marketdata.domain import calendars
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.models import MarketStatus
from apps.marketdata.selectors.market import HOME_CALENDAR
from apps.marketdata.selectors.quarantine import quarantine_text

#: Sessions whose mean volume is the average volume, and the days in which they are looked for.
VOLUME_SESSIONS = 20
VOLUME_DAYS = 40
#: How long the reference price of the bands looks back (the plan to address extraordinary volatility).
BAND_WINDOW = timedelta(minutes=5)
#: Bands are doubled for so long after the open and before the close.
WIDE_AFTER_OPEN, WIDE_BEFORE_CLOSE = timedelta(minutes=15), timedelta(minutes=25)

_FACTS = f"""
select i.id, i.symbol, i.tradable, i.currency, i.calendar, i.delisted_on, daily.volume, daily.days, daily.close, s.status, s.reason, s.low, s.high,
    (select min(u.price_tier) from marketdata_universemember m join marketdata_nameduniverse u on u.id = m.universe_id
        where m.instrument_id = i.id and u.price_tier is not null and (m.added_on is null or m.added_on <= %(session)s)
            and (m.removed_on is null or m.removed_on > %(session)s)),
    (select avg(minute.close) from (
        select distinct on (b.ts) b.close from marketdata_bar b where b.instrument_id = i.id and b.timeframe = {int(Timeframe.MINUTE)}
            and b.ts >= %(recent)s and b.ts <= %(market_time)s order by b.ts desc, b.revision desc) minute),
    (select json_agg(json_build_array(q.timeframe, q.reason, q.from_date, q.to_date) order by q.from_date nulls first, q.id)
        from marketdata_quarantine q where q.instrument_id = i.id and q.released_at is null
            and (q.from_date is null or q.from_date <= %(day)s) and (q.to_date is null or q.to_date >= %(day)s))
from marketdata_instrument i
left join lateral (
    select avg(d.volume) as volume, count(*) as days, (array_agg(d.close order by d.ts desc))[1] as close from (
        select distinct on (b.ts) b.ts, b.volume, b.close from marketdata_bar b
        where b.instrument_id = i.id and b.timeframe = {int(Timeframe.DAY)} and b.ts < %(midnight)s and b.ts >= %(oldest)s
        order by b.ts desc, b.revision desc limit {VOLUME_SESSIONS}) d) daily on true
left join lateral (
    select status, reason, low, high from marketdata_marketstatus where instrument_id = i.id and effective_at <= %(market_time)s
    order by effective_at desc, id desc limit 1) s on true
where i.symbol = %(symbol)s
"""  # noqa: S608 - numbers of this module only


def market_facts(symbol: str, *, market_time: datetime, day: date | None = None) -> MarketFacts | None:
    """The facts at a time of the market; None for an unknown symbol. One query, in SQL because each order asks it.

    `day` is the one whose quarantines count: that of the price by which an order is judged, that of the market's time without one.
    """
    values = _values(symbol, market_time, day)
    session = values["session"]
    rows = fetch(_FACTS, values)
    if not rows:
        return None
    row = rows[0]
    pk, name, tradable, currency, calendar, delisted_on, volume, days, close, status, reason, low, high, tier, mean, held_back = row
    gone = delisted_on is not None and calendars.local_date(calendar, market_time) >= delisted_on
    return MarketFacts(
        instrument_id=pk,
        symbol=name,
        tradable=tradable,
        currency=currency,
        market_time=market_time,
        session=session,
        tier=tier or 2,
        delisted_on=delisted_on if gone else None,
        halted="" if status in (None, MarketStatus.Status.TRADING) else f"{status}: {reason}",
        band=None if low is None else (low, high),
        recent_mean=None if mean is None else price_from_float(mean),
        wide=_is_wide(market_time, session),
        average_volume=Decimal(repr(volume)) if volume else None,
        volume_days=days,
        previous_close=None if close is None else price_from_float(close),
        quarantines=tuple(quarantine_text(name, None if code is None else Timeframe(code), *rest) for code, *rest in held_back or ()),
    )


def market_facts_question(symbol: str, *, market_time: datetime, day: date | None = None) -> Question:
    """What `market_facts` asks, for `asked_together`."""
    return _FACTS, _values(symbol, market_time, day)


def _values(symbol: str, market_time: datetime, day: date | None) -> dict[str, Any]:
    session = calendars.session_at(HOME_CALENDAR, market_time)
    midnight = datetime.combine(session, time(), UTC)
    return {
        "symbol": symbol,
        "market_time": market_time,
        "session": session,
        "midnight": midnight,
        "oldest": midnight - timedelta(days=VOLUME_DAYS),
        "recent": market_time - BAND_WINDOW,
        "day": day or market_time.date(),
    }


def _is_wide(market_time: datetime, session: date) -> bool:
    opened, closed = calendars.session_hours(HOME_CALENDAR, session)
    return opened <= market_time < opened + WIDE_AFTER_OPEN or closed - WIDE_BEFORE_CLOSE <= market_time < closed


def session_lows(market_time: datetime) -> dict[str, tuple[int, Decimal]]:
    """Instrument id and lowest price of the session so far by symbol, from the intraday bars that are stored. One query."""
    opened, _ = calendars.session_hours(HOME_CALENDAR, calendars.session_at(HOME_CALENDAR, market_time))
    with connection.cursor() as cursor:
        cursor.execute(
            "select i.symbol, i.id, min(b.low) from marketdata_bar b join marketdata_instrument i on i.id = b.instrument_id"
            " where b.timeframe < %s and b.ts >= %s and b.ts < %s group by i.symbol, i.id",
            [int(Timeframe.DAY), opened, market_time],
        )
        return {symbol: (pk, price_from_float(low)) for symbol, pk, low in cursor.fetchall()}
