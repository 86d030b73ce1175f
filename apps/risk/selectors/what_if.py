"""What a trade that nobody has made would do to a portfolio's risk and under its scenarios. Nothing is kept of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from apps.core.errors import InvalidInput
from apps.marketdata.domain import calendars
from apps.marketdata.selectors.instruments import instrument_get
from apps.marketdata.selectors.market import HOME_CALENDAR
from apps.marketdata.selectors.quotes import reference_prices
from apps.portfolios.domain.holdings import pair
from apps.portfolios.selectors.holdings import holdings
from apps.risk.domain.portfolio_risk import PortfolioRisk
from apps.risk.domain.pretrade_risk import RiskImpact, RiskQuestion, risk_impact
from apps.risk.domain.scenarios import ScenarioOutcome
from apps.risk.domain.summary import RiskView
from apps.risk.domain.what_if import HypotheticalTrade
from apps.risk.selectors.portfolio_risk import foreign_cash_values, position_values, risk_inputs
from apps.risk.selectors.risk_books import held_risk
from apps.risk.selectors.stress import stress_results


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WhatIf:
    """The portfolio's risk and scenarios with the trade in it; costs of the trade are left out, equity stays what it is."""

    trade: HypotheticalTrade
    risk: PortfolioRisk
    outcomes: tuple[ScenarioOutcome, ...]


def trade_at_market(*, symbol: str, quantity: Decimal, base: str, market_time: datetime) -> HypotheticalTrade:
    """Signed shares at the price by which the desk values them. Raises NotFound (symbol) and InvalidInput where there is no price or rate."""
    instrument = instrument_get(symbol)
    rate_of = None if instrument.currency == base else pair(instrument.currency, base)
    prices = reference_prices([symbol, *([rate_of] if rate_of else [])], market_time=market_time)
    for name in (symbol, rate_of):
        if name is not None and name not in prices:
            raise InvalidInput(f"{name} has no price", field="symbol")
    return HypotheticalTrade(
        symbol=instrument.symbol,
        instrument_id=instrument.pk,
        quantity=quantity,
        price=prices[symbol].price,
        currency=instrument.currency,
        rate=prices[rate_of].price if rate_of else Decimal(1),
    )


def what_if(view: RiskView, trade: HypotheticalTrade, *, now: datetime) -> WhatIf:
    """The risk of a portfolio that has been valued, had the trade been made. Raises Unavailable when prices cannot be read."""
    return WhatIf(
        trade=trade,
        risk=risk_inputs(view, now=now, trade=trade).full(),
        outcomes=stress_results(portfolio_id=view.valuation.portfolio_id, now=now, trade=trade),
    )


def trades_impact(view: RiskView, trades: Sequence[HypotheticalTrade], *, now: datetime) -> RiskImpact:
    """Value at risk, shortfall and stress losses of a portfolio before the trades and after all of them, by the ticket's own numbers.

    What is held counts at the price of now, so that a trade of all of it leaves nothing. Raises Unavailable when prices cannot be read.
    """
    valuation, market_time = view.valuation, view.summary.market_time
    held = holdings(valuation.portfolio_id)
    known = position_values(valuation) | foreign_cash_values(held, market_time)
    values = {symbol: value for symbol, value in known.items() if value is not None}
    quantities = {one.symbol: one.quantity for one in valuation.positions if one.quantity}
    order = {one.symbol: values[one.symbol] * float(one.quantity / quantities[one.symbol]) if one.symbol in values else one.value for one in trades}
    currencies = {one.symbol: one.currency for one in held.positions if one.currency} | {one.symbol: one.currency for one in trades}
    vector = held_risk(
        portfolio_id=valuation.portfolio_id,
        values=values,
        version=("what if", frozenset(quantities.items()), frozenset(values)),
        others=list(order),
        pairs={symbol: pair(currency, held.currency) for symbol, currency in currencies.items() if currency != held.currency},
        end=calendars.last_completed_session(HOME_CALENDAR, market_time),
        now=now,
    )
    unpriced = tuple(symbol for symbol, value in known.items() if value is None)
    equity = float(valuation.total) if valuation.total is not None else 0.0
    return risk_impact(vector, RiskQuestion(order=order, unpriced=unpriced, equity=equity))
