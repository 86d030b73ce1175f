"""Jobs of portfolios: thin, the work is in services."""

import logging
from datetime import datetime
from typing import Any

from apps.core.clock import now
from apps.core.jobs import Progress
from apps.core.schedule import scheduled_task
from apps.marketdata.selectors.market import market_clock
from apps.portfolios.services.borrow import borrow_fees_book
from apps.portfolios.services.corporate_actions import actions_book
from apps.portfolios.services.values import portfolio_values_catch_up

logger = logging.getLogger(__name__)


@scheduled_task("portfolios.values_record")
def values_record(*, at: datetime, progress: Progress, **_: Any) -> dict[str, Any]:
    """Record the values of the sessions that have closed by the market's clock, those that were missed included."""
    market = market_clock(at)
    sessions = portfolio_values_catch_up(market_time=market.market_time, recorded_at=now())
    missing = {portfolio_id: list(symbols) for session in sessions for portfolio_id, symbols in session.missing.items()}
    for portfolio_id, symbols in missing.items():
        logger.warning("portfolio %s has no value of the last session: no price of %s", portfolio_id, ", ".join(symbols))
    recorded = sum(len(session.recorded) for session in sessions)
    progress.say(f"{recorded} values recorded")
    return {"recorded": recorded, "sessions": [session.session.isoformat() for session in sessions if session.recorded], "missing": missing}


@scheduled_task("portfolios.actions_book")
def actions_booked(*, at: datetime, progress: Progress, **_: Any) -> dict[str, Any]:
    """Book the splits and dividends whose ex-date has begun by the market's clock."""
    report = actions_book(market_time=market_clock(at).market_time, recorded_at=now())
    for reference, why in report.refused.items():
        logger.warning("corporate action %s is not booked: %s", reference, why)
    progress.say(f"{len(report.entries)} entries booked, {len(report.refused)} refused")
    return {"entries": list(report.entries), "refused": dict(report.refused)}


@scheduled_task("portfolios.borrow_fees")
def borrow_fees(*, at: datetime, progress: Progress, **_: Any) -> dict[str, Any]:
    """Book the fees of short positions for the nights that have ended by the market's clock."""
    report = borrow_fees_book(market_time=market_clock(at).market_time, recorded_at=now())
    for reference, why in report.refused.items():
        logger.warning("borrow fee %s is not booked: %s", reference, why)
    progress.say(f"{len(report.entries)} entries booked, {len(report.refused)} refused")
    return {"entries": list(report.entries), "refused": dict(report.refused)}
