"""The risk of a portfolio now, for pages, REST and the first paint of the live channel: the same function that the monitor uses."""

from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from typing import Any

from apps.core.errors import NotFound
from apps.marketdata.selectors.market import market_clock
from apps.marketdata.selectors.quotes import reference_prices
from apps.risk.domain.summary import RiskSummary, RiskView, risk_view
from apps.risk.selectors.facts import live_peaks, risk_facts

__all__ = ["RiskSummary", "portfolio_frame", "risk_summaries", "risk_summary", "risk_view_now"]


def risk_summary(*, portfolio_id: int, now: datetime) -> RiskSummary:
    """Numbers of the risk strip. Raises NotFound, and Unavailable when prices cannot be read."""
    return risk_view_now(portfolio_id=portfolio_id, now=now).summary


def risk_view_now(*, portfolio_id: int, now: datetime) -> RiskView:
    """Valuation and risk at the latest prices. Raises NotFound, and Unavailable when prices cannot be read."""
    views = risk_views([portfolio_id], now)
    if portfolio_id not in views:
        raise NotFound(f"no portfolio {portfolio_id}")
    return views[portfolio_id]


def risk_summaries(portfolio_ids: list[int], *, now: datetime) -> dict[int, RiskSummary]:
    """Risk of several portfolios, valued together."""
    return {portfolio_id: view.summary for portfolio_id, view in risk_views(portfolio_ids, now).items()}


def risk_views(portfolio_ids: list[int], now: datetime) -> dict[int, RiskView]:
    """Views of the portfolios that exist."""
    market = market_clock(now)
    facts = risk_facts(portfolio_ids, market=market, now=now)
    symbols = sorted({symbol for one in facts.values() for symbol in one.symbols})
    prices = reference_prices(symbols, market_time=market.market_time) if symbols else {}
    peaks = live_peaks(market.session)
    return {
        portfolio_id: risk_view(one, prices, peak=peaks.get(portfolio_id, Decimal(1)), market_time=market.market_time, computed_at=now)
        for portfolio_id, one in facts.items()
    }


def portfolio_frame(view: RiskView) -> dict[str, Any]:
    """What the live channel "portfolio:<id>" carries: the valuation's fields, and under "risk" the summary. Whoever sends it makes it plain,
    once: it has thirteen values for each position."""
    return {field.name: getattr(view.valuation, field.name) for field in fields(view.valuation)} | {"risk": view.summary}
