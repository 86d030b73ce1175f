"""The whole risk of a stored portfolio at the latest prices."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np

from apps.marketdata.domain import calendars
from apps.marketdata.selectors.bars import visible_end
from apps.marketdata.selectors.market import HOME_CALENDAR
from apps.marketdata.selectors.quotes import reference_prices
from apps.marketdata.selectors.volumes import average_volumes
from apps.portfolios.domain.holdings import Holdings, pair
from apps.portfolios.domain.valuation import PositionValue, Valuation
from apps.portfolios.selectors.holdings import holdings
from apps.portfolios.selectors.portfolios import benchmark_symbol
from apps.portfolios.selectors.values import portfolio_values
from apps.risk.domain.portfolio_risk import PortfolioFacts, PortfolioRisk, Track, full_risk
from apps.risk.domain.returns import in_base_currency
from apps.risk.domain.risk_numbers import ReturnMatrix
from apps.risk.domain.summary import RiskView
from apps.risk.selectors.returns import WINDOW, return_matrix
from apps.risk.selectors.summary import risk_view_now

#: What beta is measured against where a portfolio names no benchmark.
MARKET = "SPY"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RiskInputs:
    """What `full_risk` takes: values in money by symbol (None without a price), returns in the portfolio's currency, and the facts."""

    values: Mapping[str, float | None]
    matrix: ReturnMatrix
    facts: PortfolioFacts
    as_of: datetime


def portfolio_risk_now(*, portfolio_id: int, now: datetime, days: int = WINDOW) -> PortfolioRisk:
    """Full risk over `days` sessions that have closed. Raises NotFound, and Unavailable when prices cannot be read; bad data is a state."""
    inputs = risk_inputs(risk_view_now(portfolio_id=portfolio_id, now=now), now=now, days=days)
    return full_risk(values=inputs.values, matrix=inputs.matrix, facts=inputs.facts, as_of=inputs.as_of)


def risk_inputs(view: RiskView, *, now: datetime, days: int = WINDOW) -> RiskInputs:
    """The inputs of a portfolio that has been valued. Cash in another currency is a position in its pair."""
    valuation, market_time = view.valuation, view.summary.market_time
    held = holdings(valuation.portfolio_id)
    values = position_values(valuation) | _foreign_cash(held, market_time)
    end = visible_end(now)
    assert not isinstance(end, datetime)  # noqa: S101 - of daily bars it is a day
    benchmark = benchmark_symbol(valuation.portfolio_id) or MARKET
    matrix = return_matrix(tuple(sorted({*values, *held.pairs, benchmark})), end=end, days=days)
    cash_pairs = {pair(currency, held.currency): currency for currency, _ in held.foreign_cash}
    foreign = {position.symbol: position.currency for position in held.positions if position.currency}
    matrix = in_base_currency(matrix, {symbol: pair(currency, held.currency) for symbol, currency in foreign.items()})
    facts = PortfolioFacts(
        equity=None if valuation.total is None else float(valuation.total),
        stale=stale_symbols(valuation, market_time),
        benchmark=matrix.returns[:, matrix.columns[benchmark]],
        currencies={symbol: foreign.get(symbol, held.currency) for symbol in values} | cash_pairs,
        traded=_traded(valuation, end),
        track=_track(valuation.portfolio_id, market_time),
    )
    return RiskInputs(values=values, matrix=matrix, facts=facts, as_of=market_time)


def position_values(valuation: Valuation) -> dict[str, float | None]:
    """Market value of each open position in the portfolio's currency; None without a price or a rate."""
    return {
        position.symbol: None if position.market_value is None else float(position.market_value)
        for position in valuation.positions
        if position.quantity
    }


def stale_symbols(valuation: Valuation, market_time: datetime) -> frozenset[str]:
    """Symbols whose price is from before the last session that has closed: a whole session passed them by."""
    due = calendars.last_completed_session(HOME_CALENDAR, market_time)
    return frozenset(position.symbol for position in valuation.positions if _session(position) < due)


def _session(position: PositionValue) -> date:
    return date.max if position.price_time is None else calendars.session_at(HOME_CALENDAR, position.price_time)


def _foreign_cash(held: Holdings, market_time: datetime) -> dict[str, float | None]:
    if not held.foreign_cash:
        return {}
    pairs = {pair(currency, held.currency): float(amount) for currency, amount in held.foreign_cash}
    rates = reference_prices(pairs, market_time=market_time)
    return {name: amount * float(rates[name].price) if name in rates else None for name, amount in pairs.items()}


def _traded(valuation: Valuation, before: date) -> dict[str, float]:
    """Average money traded in a session, at today's price and rate."""
    volumes = average_volumes([position.instrument_id for position in valuation.positions if position.quantity], until=before)
    return {
        position.symbol: volumes[position.instrument_id] * float(abs(position.market_value / position.quantity))
        for position in valuation.positions
        if position.quantity and position.market_value and position.instrument_id in volumes
    }


def _track(portfolio_id: int, market_time: datetime) -> Track | None:
    series = portfolio_values(portfolio_id, end=market_time)
    if not np.isfinite(series.daily_return).any():
        return None
    return Track(dates=series.ts.astype("datetime64[D]"), returns=series.daily_return)
