"""Loads what the risk of portfolios is computed from."""

import logging
from collections.abc import Collection, Hashable
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation

from django.db import connection

from apps.core.streams import redis_client
from apps.marketdata.domain import calendars
from apps.marketdata.selectors.market import HOME_CALENDAR, MarketClock
from apps.marketdata.selectors.quotes import previous_closes
from apps.portfolios.selectors.holdings import holdings_many, traded_since_many
from apps.portfolios.selectors.track import last_entry_id, ledger_versions, portfolio_tracks, portfolios_touched
from apps.risk.domain.performance import DailyValue, track_record
from apps.risk.domain.summary import RiskFacts
from apps.risk.selectors.limits import limits_of_many
from apps.risk.selectors.state import trading_states

logger = logging.getLogger(__name__)

ONE = Decimal(1)
_REVISION = """
select coalesce((select max(history_id) from risk_historicalrisklimit), 0), coalesce((select max(history_id) from risk_historicaldesklimit), 0),
    coalesce((select max(id) from risk_tradingstatechange), 0)
"""
_TOUCHED = """
select portfolio_id from risk_historicalrisklimit where history_id > %s
union select null from risk_historicaldesklimit where history_id > %s
union select portfolio_id from risk_tradingstatechange where id > %s
"""
#: Redis hash: portfolio id -> "<session> <highest wealth seen live in it>". The monitor writes it, snapshots read it.
PEAKS = "risk:peaks"
_IN_FORCE = """
select 'limits', portfolio_id, count(*), sum(id) from risk_risklimit
where active_from <= %(at)s and (active_to is null or active_to > %(at)s) group by 2
union all
select 'limits', null, count(*), sum(id) from risk_desklimit where active_from <= %(at)s and (active_to is null or active_to > %(at)s)
union all
select 'states', portfolio_id, count(*), max(id) from risk_tradingstatechange group by 2
"""


def risk_facts(portfolio_ids: Collection[int], *, market: MarketClock, now: datetime) -> dict[int, RiskFacts]:
    """Facts of several portfolios; those that do not exist are left out. Nine queries, however many they are."""
    held = holdings_many(portfolio_ids)
    limits, states = limits_of_many(held, now), trading_states(held)
    opened = calendars.session_hours(HOME_CALENDAR, market.session)[0]
    traded = traded_since_many(held.keys(), opened)
    symbols_of = {key: {*one.symbols, *(trade.symbol for trade in traded[key].values())} for key, one in held.items()}
    symbols = sorted(set().union(*symbols_of.values()))
    closes = previous_closes(symbols, market.market_time) if symbols else {}
    midnight = datetime.combine(market.session, time(), UTC)
    tracks, facts = portfolio_tracks(held.keys(), before=midnight), {}
    for portfolio_id, one in held.items():
        track = tracks[portfolio_id]
        facts[portfolio_id] = RiskFacts(
            portfolio_id=portfolio_id,
            session=market.session,
            holdings=one,
            limits=limits[portfolio_id],
            state=states[portfolio_id],
            record=track_record([DailyValue(total=total, flow=flow) for total, flow in track.values]),
            flow=track.flow,
            previous_closes={symbol: closes[symbol] for symbol in symbols_of[portfolio_id] if symbol in closes},
            traded=traded[portfolio_id],
        )
    return facts


def facts_revision() -> tuple[int, ...]:
    """Numbers that change when a fill, a limit or a trading state does: four looks at the end of an index, four times a second."""
    with connection.cursor() as cursor:
        cursor.execute(_REVISION)
        return last_entry_id(), *cursor.fetchone()


def facts_touched(since: tuple[int, ...]) -> frozenset[int] | None:
    """Portfolios in which a fill, a limit or a trading state is newer than that revision; None when one of the whole desk is."""
    with connection.cursor() as cursor:
        cursor.execute(_TOUCHED, since[1:])
        found = {portfolio_id for (portfolio_id,) in cursor.fetchall()}
    return None if None in found else frozenset(found | set(portfolios_touched(since[0])))


def facts_versions(now: datetime) -> dict[int, Hashable]:
    """Of each open portfolio, what changes when its ledger, its recorded values, the limits in force or the trading state do, its own or the
    desk's. Two queries for all, without reading what is held: time alone puts a limit in force, and a transaction may end after a later one."""
    with connection.cursor() as cursor:
        cursor.execute(_IN_FORCE, {"at": now})
        rules = {(what, portfolio_id): tuple(numbers) for what, portfolio_id, *numbers in cursor.fetchall()}
    return {
        portfolio_id: (ledger, *(rules.get((what, scope)) for what in ("limits", "states") for scope in (portfolio_id, None)))
        for portfolio_id, ledger in ledger_versions().items()
    }


def live_peaks(session: date) -> dict[int, Decimal]:
    """Highest wealth that the monitor saw in this session, by portfolio. Raises redis.RedisError when Redis is away."""
    peaks = {}
    stored: dict[bytes, bytes] = redis_client().hgetall(PEAKS)  # type: ignore[assignment]
    for key, value in stored.items():
        day, _, number = value.decode().partition(" ")
        try:
            if day == session.isoformat():
                peaks[int(key)] = Decimal(number)
        except (ValueError, InvalidOperation):
            logger.warning("the stored peak %r of portfolio %r is unreadable", value, key)
    return peaks
